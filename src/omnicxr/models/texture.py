"""What the latents do not tell of a picture, as texture: noise of a fixed correlation, as strong at every place as what is missing there.

The decoder gives the mean of all pictures that have the same latents, which is smooth. x = mean + strength * scale(mean) * (kernel * noise) draws
one of them, with everything that is missing taken for Gaussian: fine vessels and bone become grain. `strength` is below 1 because what is missing
has structure: chosen by the distance to real validation pictures (LOG.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from omnicxr.models.component import Component
from omnicxr.models.layers import ResidualBlock


@dataclass(frozen=True, kw_only=True)
class TextureConfig:
    """Sizes of the network that tells how strong the texture is."""

    channels: int = 32
    kernel_size: int = 11
    """Pixels; odd."""
    strength: float = 0.5


class Texture(Component):
    """Pictures are [b, 1, s, s] in -1..1, s a multiple of 4."""

    config_class = TextureConfig
    config: TextureConfig
    kernel: Tensor

    def __init__(self, config: TextureConfig) -> None:
        super().__init__(config)
        c = config.channels
        self.net = nn.Sequential(
            nn.PixelUnshuffle(4), nn.Conv2d(16, c, 3, padding=1), ResidualBlock(c), ResidualBlock(c), nn.GroupNorm(8, c), nn.SiLU(),
            nn.Conv2d(c, 1, 3, padding=1),
        )  # fmt: skip
        nn.init.constant_(self.net[-1].bias, math.log(0.04))  # type: ignore[arg-type]
        kernel = torch.zeros(config.kernel_size, config.kernel_size)
        kernel[config.kernel_size // 2, config.kernel_size // 2] = 1
        self.register_buffer("kernel", kernel)

    def log_scale(self, mean: Float[Tensor, "b 1 s s"]) -> Float[Tensor, "b 1 s s"]:
        """Logarithm of the standard deviation of what is missing at every pixel."""
        return F.interpolate(self.net(mean).float(), scale_factor=4, mode="bilinear", align_corners=False)

    def forward(self, mean: Float[Tensor, "b 1 s s"], noise: Float[Tensor, "b 1 s s"]) -> Float[Tensor, "b 1 s s"]:
        """Decoded pictures and standard normal noise => pictures with texture, in -1..1."""
        margin = self.config.kernel_size // 2
        coloured = F.conv2d(F.pad(noise, (margin,) * 4, mode="circular"), self.kernel[None, None])
        return (mean + self.config.strength * self.log_scale(mean).exp() * coloured).clamp(-1, 1)


def noise_kernel(residuals: Float[Tensor, "n s s"], size: int) -> Float[Tensor, "size size"]:
    """The symmetric filter that gives white noise the mean power spectrum of the residuals; cut to `size`, sum of squares 1."""
    spectrum = (torch.fft.fft2(residuals.double()).abs() ** 2).mean(0).sqrt()
    full = torch.fft.fftshift(torch.fft.ifft2(spectrum).real)
    first = residuals.shape[-1] // 2 - size // 2
    kernel = full[first : first + size, first : first + size]
    return (kernel / kernel.square().sum().sqrt()).float()
