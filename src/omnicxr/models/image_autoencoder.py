"""Convolutional KL autoencoder: pictures <=> latents 8 or 16 times smaller. Both views share it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from omnicxr.domain.settings import Between, Settings
from omnicxr.models.component import Component
from omnicxr.models.layers import ResidualBlock


@dataclass(frozen=True, kw_only=True)
class ImageAutoencoderConfig(Settings):
    """Sizes of the image autoencoder."""

    latent_channels: Annotated[int, Between(1, 512)] = 16
    pixels_per_latent: Annotated[int, Between(4, 64, multiple=4)] = 8
    """Along each side. Networks are of the same size with 8 and with 16, at which each of their cells
    stands for more pixels."""
    widths: Annotated[tuple[int, int], Between(8, 4096, multiple=8)] = (64, 128)
    """Channels at twice the resolution of the latents, and at that of the latents."""
    encoder_blocks: Annotated[int, Between(0, 64)] = 2
    decoder_blocks: Annotated[int, Between(0, 64)] = 3


class ImageAutoencoder(Component):
    """Pictures are [b, 1, s, s] in -1..1; latents are standardised: [b, c, h, w], `pixels_per_latent` times smaller."""

    config_class = ImageAutoencoderConfig
    config: ImageAutoencoderConfig
    latent_mean: Tensor
    latent_std: Tensor

    def __init__(self, config: ImageAutoencoderConfig) -> None:
        super().__init__(config)
        fine, coarse = config.widths
        c, cell = config.latent_channels, config.pixels_per_latent // 2
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(cell),
            nn.Conv2d(cell**2, fine, 3, padding=1),
            *(ResidualBlock(fine) for _ in range(config.encoder_blocks)),
            nn.Conv2d(fine, coarse, 3, stride=2, padding=1),
            *(ResidualBlock(coarse) for _ in range(config.encoder_blocks)),
            nn.GroupNorm(8, coarse), nn.SiLU(), nn.Conv2d(coarse, 2 * c, 3, padding=1),
        )  # fmt: skip
        self.decoder = nn.Sequential(
            nn.Conv2d(c, coarse, 3, padding=1),
            *(ResidualBlock(coarse) for _ in range(config.decoder_blocks)),
            nn.Conv2d(coarse, 4 * fine, 1), nn.PixelShuffle(2),
            *(ResidualBlock(fine) for _ in range(config.decoder_blocks)),
            nn.GroupNorm(8, fine), nn.SiLU(), nn.Conv2d(fine, 128, 3, padding=1),
            nn.PixelShuffle(2), nn.SiLU(), nn.Conv2d(32, (cell // 2) ** 2, 3, padding=1), nn.PixelShuffle(cell // 2),
        )  # fmt: skip
        self.register_buffer("latent_mean", torch.zeros(c))
        self.register_buffer("latent_std", torch.ones(c))

    def moments(self, x: Float[Tensor, "b 1 s s"]) -> tuple[Tensor, Tensor]:
        """pixels => mean and log variance of the raw latents, each [b, c, h, w]."""
        mean, logvar = self.encoder(x).chunk(2, 1)
        return mean, logvar.clamp(-12, 4)

    def decode_raw(self, z: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 1 s s"]:
        """raw latents => pixels, not clamped."""
        return self.decoder(z)

    def encode(self, x: Float[Tensor, "b 1 s s"]) -> Float[Tensor, "b c h w"]:
        """pixels => standardised latents (the posterior mean)."""
        mean, _ = self.moments(x)
        return (mean - _per_channel(self.latent_mean)) / _per_channel(self.latent_std)

    def decode(self, z: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 1 s s"]:
        """standardised latents => pixels in -1..1."""
        return self.decode_raw(z * _per_channel(self.latent_std) + _per_channel(self.latent_mean)).clamp(-1, 1)


def _per_channel(v: Tensor) -> Tensor:
    return v[None, :, None, None]


def pixels_from_uint8(images: Tensor) -> Tensor:
    """uint8 [b, s, s] => float [b, 1, s, s] in -1..1."""
    return images[:, None].float() / 127.5 - 1


def uint8_from_pixels(x: Tensor) -> Tensor:
    """float [b, 1, s, s] in -1..1 => uint8 [b, s, s]."""
    return ((x[:, 0].clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def structural_similarity(x: Float[Tensor, "b 1 s s"], y: Float[Tensor, "b 1 s s"]) -> Float[Tensor, " b"]:
    """SSIM (Wang et al. 2004, 11 x 11 Gaussian window of sigma 1.5) of pictures in -1..1; differentiable."""
    offsets = torch.arange(11, device=x.device, dtype=x.dtype) - 5
    kernel = torch.exp(-(offsets**2) / (2 * 1.5**2))
    kernel = kernel / kernel.sum()

    def smooth(v: Tensor) -> Tensor:
        return F.conv2d(F.conv2d(v, kernel[None, None, :, None]), kernel[None, None, None, :])

    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2  # the data range is 2
    mx, my = smooth(x), smooth(y)
    vx, vy, cov = smooth(x * x) - mx**2, smooth(y * y) - my**2, smooth(x * y) - mx * my
    ssim = (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    return ssim.mean((1, 2, 3))
