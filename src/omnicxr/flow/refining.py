"""From latents to pictures: decoded, and what the decoder's mean lacks drawn by the refiner's flow."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from omnicxr.flow.samplers import heun, timesteps
from omnicxr.models.image_autoencoder import ImageAutoencoder
from omnicxr.models.refiner import Refiner


def draw(
    refiner: Refiner,
    mean: Float[Tensor, "b 1 s s"],
    latents: Float[Tensor, "b c h w"],
    *,
    noise: Float[Tensor, "b 1 s s"],
) -> Float[Tensor, "b 1 s s"]:
    """The decoder's mean of some latents, and standard normal noise => pictures in -1..1."""

    def velocity(u: Tensor, t: float) -> Tensor:
        return refiner(u, torch.full((len(u),), t, device=u.device), mean=mean, latents=latents)

    return (mean + refiner.spread * heun(velocity, noise, timesteps(refiner.config.steps))).clamp(-1, 1)


def refined(
    autoencoder: ImageAutoencoder,
    refiner: Refiner,
    latents: Float[Tensor, "b c h w"],
    *,
    rngs: Sequence[torch.Generator],
) -> Float[Tensor, "b 1 s s"]:
    """Latents => pictures in -1..1: decoded, and drawn on from there.

    Random numbers are drawn on the CPU, by one random generator for each picture, or by one for all of them.
    """
    mean = autoencoder.decode(latents)
    share = len(mean) // len(rngs)
    noise = torch.cat([torch.randn(share, *mean.shape[1:], generator=rng) for rng in rngs]).to(mean)
    return draw(refiner, mean, latents, noise=noise)
