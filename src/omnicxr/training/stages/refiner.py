"""The refiner: a flow in pixels for what the autoencoder loses."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from omnicxr.data.dataset import PreparedDataset
from omnicxr.flow.path import add_noise, sample_times, velocity_target
from omnicxr.flow.refining import refined
from omnicxr.models.image_autoencoder import ImageAutoencoder, pixels_from_uint8, uint8_from_pixels
from omnicxr.models.refiner import MAX_NOISE, Refiner, RefinerConfig
from omnicxr.training.batches import EpochSampler, evenly, held_out_pictures, pictures, pictures_of
from omnicxr.training.config import Preset
from omnicxr.training.loop import Losses
from omnicxr.training.sheets import save_reconstructions

CLEAN_SHARE = 0.5
"""Of the pictures whose latents are learned from as they are; the others get noise of a strength from 0 to MAX_NOISE."""
TIME_SHIFT, TIME_SPREAD = 0.3, 1.2
STATISTICS_IMAGES = 256


class RefinerStage:
    """Loss: mean square error of the velocity of u, what the decoder's mean lacks over its spread."""

    name = "refiner"

    def __init__(self, preset: Preset, data: PreparedDataset, held_out: PreparedDataset, autoencoder: ImageAutoencoder,
                 *, seed: int, world_size: int) -> None:  # fmt: skip
        shape = preset.image_autoencoder
        self.model = Refiner(RefinerConfig(latent_channels=shape.latent_channels, channels=shape.widths[0])).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.autoencoder, self.data, self.held_out = autoencoder, data, held_out
        self.items = pictures_of(data)
        self.sampler = EpochSampler(len(self.items), preset.optimization[self.name].batch_size, seed=seed, world_size=world_size)
        self._measure()

    @torch.no_grad()
    def _measure(self) -> None:
        """How much is missing, with and without noise on the latents."""
        noise, squares = torch.Generator().manual_seed(0), torch.zeros(2)
        chosen = evenly(len(self.items), STATISTICS_IMAGES)
        for i in range(0, len(chosen), 32):
            x = pixels_from_uint8(pictures(self.data, self.items, chosen[i : i + 32]))
            latents = self.autoencoder.encode(x)
            noised = latents + MAX_NOISE * torch.randn(latents.shape, generator=noise)
            squares += torch.stack([(x - self.autoencoder.decode(z)).square().mean((1, 2, 3)).sum() for z in (latents, noised)])
        self.model.missing.copy_((squares / len(chosen)).sqrt())

    def losses(self, model: Refiner, step: int, rank: int) -> Losses:
        return self._losses(model, pictures(self.data, self.items, self.sampler.batch(step, rank)))

    def held_out_losses(self, model: Refiner) -> list[Losses]:
        return [self._losses(model, x) for x in held_out_pictures(self.held_out)]

    def _losses(self, model: Refiner, uint8: Tensor) -> Losses:
        x = pixels_from_uint8(uint8).to(model.device)
        level = MAX_NOISE * torch.rand(len(x), device=x.device)
        level[: round(CLEAN_SHARE * len(x))] = 0
        with torch.no_grad():
            latents = self.autoencoder.to(x.device).encode(x)
            latents = latents + level[:, None, None, None] * torch.randn_like(latents)
            mean = self.autoencoder.decode(latents).float()
            u = (x - mean) / model.spread(level)
        t, noise = sample_times(len(x), shift=TIME_SHIFT, spread=TIME_SPREAD, device=x.device), torch.randn_like(u)
        error = model(add_noise(u, noise, t), t, mean, latents, level) - velocity_target(u, noise)
        return {"loss": error.float().square().mean()}

    def finish(self) -> None:
        """Nothing: what travels with the weights was measured before training."""

    @torch.no_grad()
    def sample_sheet(self, path: Path) -> None:
        """Held-out pictures above what comes back of them."""
        noise = torch.Generator().manual_seed(0)

        def reconstruct(uint8: Tensor) -> Tensor:
            autoencoder = self.autoencoder.to(self.model.device)
            latents = autoencoder.encode(pixels_from_uint8(uint8).to(self.model.device))
            return uint8_from_pixels(refined(autoencoder, self.model, latents, 0.0, noise))

        save_reconstructions(self.held_out, reconstruct, path)
