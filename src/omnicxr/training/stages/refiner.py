"""The refiner: a flow in pixels for what the autoencoder loses."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from omnicxr.flow.path import add_noise, sample_times, velocity_target
from omnicxr.flow.refining import refined
from omnicxr.models.image_autoencoder import ImageAutoencoder, pixels_from_uint8, uint8_from_pixels
from omnicxr.models.refiner import Refiner, RefinerConfig
from omnicxr.training.batches import EpochSampler, Pictures, evenly, held_out_pictures
from omnicxr.training.loop import Losses
from omnicxr.training.sheets import save_reconstructions
from omnicxr.training.stages.context import StageContext

TIME_SHIFT, TIME_SPREAD = 0.3, 1.2
STATISTICS_IMAGES = 256


class RefinerStage:
    """Loss: mean square error of the velocity of u, what the decoder's mean lacks over its spread."""

    name = "refiner"

    def __init__(self, context: StageContext, *, autoencoder: ImageAutoencoder) -> None:
        preset = context.preset
        config = RefinerConfig(
            latent_channels=preset.image_autoencoder.latent_channels, channels=preset.refiner_channels
        )
        self.model = Refiner(config).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.autoencoder, self.held_out = autoencoder.to(context.device), context.held_out
        self.pictures = Pictures(context.data, context.device)
        self.sampler = EpochSampler(
            len(self.pictures), context.batch_size(self.name), seed=context.seed, world_size=context.world_size
        )
        self._measure()

    @torch.no_grad()
    def _measure(self) -> None:
        """How much is missing."""
        chosen, total = evenly(len(self.pictures), STATISTICS_IMAGES), 0.0
        for i in range(0, len(chosen), 32):
            x = pixels_from_uint8(self.pictures[chosen[i : i + 32]]).to(self.autoencoder.device)
            lost = x - self.autoencoder.decode(self.autoencoder.encode(x))
            total += float(lost.square().mean((1, 2, 3)).sum())
        self.model.spread.fill_((total / len(chosen)) ** 0.5)

    def losses(self, model: Refiner, step: int, rank: int) -> Losses:
        """Of one micro-batch of training."""
        return self._losses(model, self.pictures[self.sampler.batch(step, rank)])

    def held_out_losses(self, model: Refiner) -> list[Losses]:
        """Of held-out micro-batches, always the same ones."""
        return [self._losses(model, x) for x in held_out_pictures(self.held_out)]

    def _losses(self, model: Refiner, uint8: Tensor) -> Losses:
        x = pixels_from_uint8(uint8).to(model.device)
        with torch.no_grad():
            latents = self.autoencoder.encode(x)
            mean = self.autoencoder.decode(latents).float()
            u = (x - mean) / model.spread
        t, noise = sample_times(len(x), shift=TIME_SHIFT, spread=TIME_SPREAD, device=x.device), torch.randn_like(u)
        error = model(add_noise(u, noise, t), t, mean=mean, latents=latents) - velocity_target(u, noise)
        return {"loss": error.float().square().mean()}

    def finish(self) -> None:
        """Nothing: what travels with the weights was measured before training."""

    @torch.no_grad()
    def sample_sheet(self, path: Path) -> None:
        """Held-out pictures above what comes back of them."""
        noise = torch.Generator().manual_seed(0)

        def reconstruct(uint8: Tensor) -> Tensor:
            latents = self.autoencoder.encode(pixels_from_uint8(uint8).to(self.model.device))
            return uint8_from_pixels(refined(self.autoencoder, self.model, latents, rngs=[noise]))

        save_reconstructions(self.held_out, reconstruct, path)
