"""Sizes of the generator, and the shapes of the latents that it generates."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated

from omnicxr.domain import Modality
from omnicxr.domain.settings import Between, Settings
from omnicxr.models.layers import MAX_DEPTH, MAX_WIDTH, check_heads
from omnicxr.models.prompt_encoders import PromptDim

PATCH = 2
"""Latents of an image per token along each side: with 1 attention costs 16 times as much."""


@dataclass(frozen=True, kw_only=True)
class GeneratorSizes(Settings):
    """What a preset chooses; everything else follows from the autoencoders and prompt encoders."""

    width: Annotated[int, Between(4, MAX_WIDTH)] = 192
    depth: Annotated[int, Between(1, MAX_DEPTH)] = 8
    heads: Annotated[int, Between(1, MAX_WIDTH)] = 6
    local_channels: Annotated[int, Between(8, 4096, multiple=8)] = 64
    """Channels of the convolutions before and after the tokens of images."""
    principal_axes: Annotated[int, Between(0, 16_384)] = 256
    """Axes of image latents along which the linear estimate of the velocity is taken; 0: each element by itself."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_heads("generator", self.width, self.heads)

    def for_guide(self) -> GeneratorSizes:
        """Sizes of the guide: half as wide, two thirds as deep. It is to have the generator's faults, and more of them
        (Karras et al. 2024)."""
        heads = max(1, self.heads // 2)
        return replace(
            self,
            width=max(4, self.width // 2) // heads * heads,
            depth=math.ceil(2 * self.depth / 3),
            heads=heads,
            local_channels=max(8, self.local_channels // 16 * 8),
        )


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig(GeneratorSizes):
    """The sizes together with the shapes of latents and prompt embeddings: all that the network is built from."""

    image_channels: Annotated[int, Between(1, 512)] = 16
    latent_size: Annotated[int, Between(PATCH, 256, multiple=PATCH)] = 16
    """Side of the image latents."""
    report_tokens: Annotated[int, Between(1, 1024)] = 8
    report_channels: Annotated[int, Between(1, 4096)] = 32
    prompt_dim: PromptDim = 192

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
