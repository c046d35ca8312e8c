"""What the latents do not tell of a picture, drawn in pixels by a second, small flow.

The decoder gives the mean of all pictures that have the same latents, which is soft: rims of ribs, vessels and leads
are where they may be, a little. A picture is x = mean + spread * u, and u is drawn by a rectified flow that sees the
mean and the latents (diffusion as a decoder: Shi et al. 2022; here only for what is missing). Its network works at a
quarter of the resolution, so that it costs about as much as the decoder.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from omnicxr.domain.settings import Between, Settings
from omnicxr.models.component import Component
from omnicxr.models.layers import timestep_embedding
from omnicxr.models.older import without_retired

RefinerChannels = Annotated[int, Between(8, 4096, multiple=8)]
FACTOR = 4
"""Pixels per cell of the network along each side."""


@dataclass(frozen=True, kw_only=True)
class RefinerConfig(Settings):
    """Sizes of the network, and how it is sampled."""

    latent_channels: Annotated[int, Between(1, 512)] = 16
    channels: RefinerChannels = 64
    blocks: Annotated[int, Between(0, 64)] = 4
    steps: Annotated[int, Between(1, 1000)] = 4
    """Heun's, of two evaluations each, one in the last (docs/decisions.md, "Refiner steps")."""


class Refiner(Component):
    """Pictures are [b, 1, s, s], latents [b, c, h, w], standardised, of an eighth of the size or less."""

    config_class = RefinerConfig
    config: RefinerConfig
    spread: Tensor
    """Standard deviation of what the mean lacks, over training pictures."""

    def __init__(self, config: RefinerConfig) -> None:
        super().__init__(config)
        c = config.channels
        self.first = nn.Conv2d(2 * FACTOR**2 + config.latent_channels, c, 3, padding=1)
        self.embed = nn.Sequential(nn.Linear(c, c), nn.SiLU(), nn.Linear(c, c), nn.SiLU())
        self.blocks = nn.ModuleList(ModulatedBlock(c) for _ in range(config.blocks))
        self.last = nn.Sequential(
            nn.GroupNorm(8, c), nn.SiLU(), nn.Conv2d(c, 128, 3, padding=1), nn.PixelShuffle(2),
            nn.SiLU(), nn.Conv2d(32, 4, 3, padding=1), nn.PixelShuffle(2),
        )  # fmt: skip
        nn.init.zeros_(self.last[-2].weight)  # type: ignore[arg-type]
        self.register_buffer("spread", torch.tensor(0.03))

    @classmethod
    def from_older(
        cls, config: dict[str, Any], weights: dict[str, Tensor], folder: Path
    ) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Folders of format 2: the network was also told how much noise was on the latents, which was always none in
        sampling; what it made of "none" goes into the bias of the first layer of the conditioning."""
        config = without_retired(config, {"generated_noise": 0.0}, folder)
        missing, first, bias = (weights.get(k) for k in ("missing", "embed.0.weight", "embed.0.bias"))
        if missing is None or first is None or bias is None:
            return config, weights
        width = bias.numel()
        if first.shape != (width, 2 * width) or missing.ndim != 1 or not len(missing):
            return config, weights  # which does not fit, as whoever asked finds
        none = timestep_embedding(torch.zeros(1), width)[0]
        new = {
            "embed.0.weight": first[:, :width].contiguous(),
            "embed.0.bias": bias + first[:, width:] @ none,
            "spread": missing[0],
        }
        return config, {k: v for k, v in weights.items() if k != "missing"} | new

    def forward(
        self,
        u_t: Float[Tensor, "b 1 s s"],
        t: Float[Tensor, " b"],
        *,
        mean: Float[Tensor, "b 1 s s"],
        latents: Float[Tensor, "b c h w"],
    ) -> Float[Tensor, "b 1 s s"]:
        """u at time t, the decoder's mean, and the latents it comes from => velocity of u.

        Counted from the best guess for white u of variance 1, (2t - 1) / (t^2 + (1 - t)^2) u_t.
        """
        condition = self.embed(timestep_embedding(t, self.config.channels))
        seen = [F.pixel_unshuffle(u_t, FACTOR), F.pixel_unshuffle(mean, FACTOR)]
        x = self.first(torch.cat([*seen, F.interpolate(latents, size=seen[0].shape[-2:])], 1))
        for block in self.blocks:
            x = block(x, condition)
        share = ((2 * t - 1) / (t**2 + (1 - t) ** 2))[:, None, None, None]
        return share * u_t + self.last(x).to(u_t.dtype)


class ModulatedBlock(nn.Module):
    """x + conv(act(scale * norm(conv(act(norm(x)))) + shift)), 3x3, same size; scale and shift come from the condition;
    begins as x."""

    def __init__(self, channels: int, groups: int = 8) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(groups, channels), nn.Conv2d(channels, channels, 3, padding=1)
        self.norm2, self.conv2 = nn.GroupNorm(groups, channels), nn.Conv2d(channels, channels, 3, padding=1)
        self.modulation = nn.Linear(channels, 2 * channels)
        for parameter in (self.conv2.weight, self.modulation.weight, self.modulation.bias):
            nn.init.zeros_(parameter)

    def forward(self, x: Float[Tensor, "b c h w"], condition: Float[Tensor, "b c"]) -> Float[Tensor, "b c h w"]:
        """Features and what they are conditioned on => features."""
        scale, shift = self.modulation(condition)[:, :, None, None].chunk(2, 1)
        h = self.norm2(self.conv1(F.silu(self.norm1(x)))) * (1 + scale) + shift
        return x + self.conv2(F.silu(h))
