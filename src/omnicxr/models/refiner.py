"""What the latents do not tell of a picture, drawn in pixels by a second, small flow.

The decoder gives the mean of all pictures that have the same latents, which is soft: rims of ribs, vessels and leads
are where they may be, a little. A picture is x = mean + spread * u, and u is drawn by a rectified flow that sees the
mean and the latents (diffusion as a decoder: Shi et al. 2022; here only for what is missing). Its network works at a
quarter of the resolution, so that it costs about as much as the decoder.

Latents that were generated are those of no picture. The flow therefore also learns from latents with noise on them,
told how much (conditioning augmentation, Ho et al. 2022), and generated ones can be given `generated_noise`, under
which their faults are less plain.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from omnicxr.models.component import Component
from omnicxr.models.layers import timestep_embedding

MAX_NOISE = 0.2
"""Standard deviation of the strongest noise on latents, of variance 1, in training."""
FACTOR = 4
"""Pixels per cell of the network along each side."""


@dataclass(frozen=True, kw_only=True)
class RefinerConfig:
    """Sizes of the network, and how it is sampled."""

    latent_channels: int = 16
    channels: int = 64
    """A multiple of 8."""
    blocks: int = 4
    steps: int = 4
    """Heun's, of two evaluations each, one in the last. Few are for refiners that saw few pictures: more of theirs
    bring detail of the right power in the wrong places (docs/ablations.md)."""
    generated_noise: float = 0.0
    """On generated latents, 0 to MAX_NOISE: 0.05 helped generators that were worse than the present ones
    (docs/ablations.md)."""


class Refiner(Component):
    """Pictures are [b, 1, s, s], latents [b, c, h, w], standardised, of an eighth of the size or less."""

    config_class = RefinerConfig
    config: RefinerConfig
    missing: Tensor

    def __init__(self, config: RefinerConfig) -> None:
        super().__init__(config)
        c = config.channels
        self.first = nn.Conv2d(2 * FACTOR**2 + config.latent_channels, c, 3, padding=1)
        self.embed = nn.Sequential(nn.Linear(2 * c, c), nn.SiLU(), nn.Linear(c, c), nn.SiLU())
        self.blocks = nn.ModuleList(ModulatedBlock(c) for _ in range(config.blocks))
        self.last = nn.Sequential(
            nn.GroupNorm(8, c), nn.SiLU(), nn.Conv2d(c, 128, 3, padding=1), nn.PixelShuffle(2),
            nn.SiLU(), nn.Conv2d(32, 4, 3, padding=1), nn.PixelShuffle(2),
        )  # fmt: skip
        nn.init.zeros_(self.last[-2].weight)  # type: ignore[arg-type]
        self.register_buffer("missing", torch.tensor([0.03, 0.05]))

    def spread(self, noise_level: Float[Tensor, " b"]) -> Float[Tensor, "b 1 1 1"]:
        """Standard deviation of what the mean lacks: `missing` is it for latents as they are and with MAX_NOISE, and
        its square goes linearly with that of the noise."""
        least, most = self.missing.square()
        return (least + (most - least) * (noise_level / MAX_NOISE) ** 2).sqrt()[:, None, None, None]

    def forward(
        self,
        u_t: Float[Tensor, "b 1 s s"],
        t: Float[Tensor, " b"],
        mean: Float[Tensor, "b 1 s s"],
        latents: Float[Tensor, "b c h w"],
        noise_level: Float[Tensor, " b"],
    ) -> Float[Tensor, "b 1 s s"]:
        """u at time t, the decoder's mean, and the latents it comes from => velocity of u.

        Counted from the best guess for white u of variance 1, (2t - 1) / (t^2 + (1 - t)^2) u_t.
        """
        width = self.config.channels
        condition = self.embed(torch.cat([timestep_embedding(t, width), timestep_embedding(noise_level, width)], 1))
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
