"""Texture for decoded pictures: how strong what is missing is, and how its pixels go together."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from omnicxr.data.dataset import PreparedDataset
from omnicxr.models.image_autoencoder import ImageAutoencoder, pixels_from_uint8, uint8_from_pixels
from omnicxr.models.texture import Texture, TextureConfig, noise_kernel
from omnicxr.training.batches import EpochSampler, evenly, held_out_pictures, pictures, pictures_of
from omnicxr.training.config import Preset
from omnicxr.training.loop import Losses
from omnicxr.training.sheets import save_reconstructions

KERNEL_IMAGES = 512
"""Pictures from which the correlation of the texture is worked out."""


class TextureStage:
    """Loss: negative logarithm of the Gaussian likelihood of what the autoencoder loses, given what it gives."""

    name = "texture"

    def __init__(self, preset: Preset, data: PreparedDataset, held_out: PreparedDataset, autoencoder: ImageAutoencoder,
                 *, seed: int, world_size: int) -> None:  # fmt: skip
        self.model = Texture(TextureConfig())
        self.autoencoder, self.data, self.held_out = autoencoder, data, held_out
        self.items = pictures_of(data)
        self.sampler = EpochSampler(len(self.items), preset.optimization[self.name].batch_size, seed=seed, world_size=world_size)

    def losses(self, model: Texture, step: int, rank: int) -> Losses:
        return self._losses(model, pictures(self.data, self.items, self.sampler.batch(step, rank)))

    def held_out_losses(self, model: Texture) -> list[Losses]:
        return [self._losses(model, x) for x in held_out_pictures(self.held_out)]

    def _losses(self, model: Texture, x: Tensor) -> Losses:
        mean, residual = self._lost(x)
        log_scale = model.log_scale(mean)
        return {"loss": gaussian_loss(log_scale, residual), "scale": log_scale.detach().exp().mean()}

    @torch.no_grad()
    def finish(self) -> None:
        chosen = evenly(len(self.items), KERNEL_IMAGES)
        white = []
        for i in range(0, len(chosen), 32):
            mean, residual = self._lost(pictures(self.data, self.items, chosen[i : i + 32]))
            white.append((residual * (-self.model.log_scale(mean)).exp())[:, 0])
        self.model.kernel.copy_(noise_kernel(torch.cat(white), self.model.config.kernel_size))

    @torch.no_grad()
    def _lost(self, uint8: Tensor) -> tuple[Tensor, Tensor]:
        """What the autoencoder gives of some pictures, and what is missing in it: each [b, 1, s, s]."""
        x = pixels_from_uint8(uint8).to(self.model.device)
        mean = self.autoencoder.to(x.device).decode(self.autoencoder.encode(x)).float()
        return mean, x - mean

    def sample_sheet(self, path: Path) -> None:
        """Held-out pictures above what comes back of them, with texture."""
        noise = torch.Generator().manual_seed(0)

        def reconstruct(uint8: Tensor) -> Tensor:
            mean, _ = self._lost(uint8)
            return uint8_from_pixels(self.model(mean, torch.randn(mean.shape, generator=noise).to(mean)))

        save_reconstructions(self.held_out, reconstruct, path)


def gaussian_loss(log_scale: Tensor, residual: Tensor) -> Tensor:
    """Negative logarithm of the likelihood of the residuals, mean over pixels, without the constant."""
    return (log_scale + 0.5 * (residual * (-log_scale).exp()) ** 2).mean()
