"""Sizes of the generator, and the shapes of the latents that it generates."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from omnicxr.domain import Modality, UserError

PATCH = 2
"""Latents of an image per token along each side: with 1 attention costs 16 times as much."""


@dataclass(frozen=True, kw_only=True)
class GeneratorSizes:
    """What a preset chooses; everything else follows from the autoencoders and prompt encoders."""

    width: int = 192
    depth: int = 8
    heads: int = 6
    local_channels: int = 64
    """Channels of the convolutions before and after the tokens of images, a multiple of 8."""
    principal_axes: int = 256
    """Axes of image latents along which the linear estimate of the velocity is taken; 0: each element by itself."""

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise UserError(
                f"A generator of width {self.width} cannot be split into {self.heads} heads: choose a divisor."
            )
        if self.local_channels % 8 or self.local_channels < 8:
            raise UserError(f"local_channels is {self.local_channels}: choose a multiple of 8.")

    def for_guide(self) -> GeneratorSizes:
        """Sizes of the guide: half as wide, two thirds as deep. It is to have the generator's faults, and more of them
        (Karras et al. 2024)."""
        return replace(
            self,
            width=self.width // 2,
            depth=math.ceil(2 * self.depth / 3),
            heads=max(1, self.heads // 2),
            local_channels=self.local_channels // 2,
        )


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig(GeneratorSizes):
    """The sizes together with the shapes of latents and prompt embeddings: all that the network is built from."""

    image_channels: int = 16
    latent_size: int = 16
    """Side of the image latents."""
    report_tokens: int = 8
    report_channels: int = 32
    prompt_dim: int = 192

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.latent_size % PATCH:
            raise UserError(f"Image latents of side {self.latent_size} cannot be cut into tokens of {PATCH} x {PATCH}.")

    def latent_shape(self, modality: Modality) -> tuple[int, ...]:
        """Shape of one study's latents: (c, h, w) or (K, c)."""
        if modality.is_image:
            return (self.image_channels, self.latent_size, self.latent_size)
        return (self.report_tokens, self.report_channels)

    def tokens(self, modality: Modality) -> int:
        """Number of tokens of one study's latents."""
        return (self.latent_size // PATCH) ** 2 if modality.is_image else self.report_tokens

    def axes(self, modality: Modality) -> int:
        """Principal axes that the preconditioner knows: none of reports, of which a linear estimate tells little."""
        return min(self.principal_axes, math.prod(self.latent_shape(modality))) if modality.is_image else 0
