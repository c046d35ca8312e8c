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
    noise_level: float,
    noise: Float[Tensor, "b 1 s s"],
) -> Float[Tensor, "b 1 s s"]:
    """The decoder's mean of some latents with noise of `noise_level` on them, and standard normal noise => pictures in
    -1..1."""
    level = torch.full((len(mean),), noise_level, device=mean.device)

    def velocity(u: Tensor, t: float) -> Tensor:
        return refiner(u, torch.full_like(level, t), mean, latents, level)

    u = heun(velocity, noise, timesteps(refiner.config.steps))
    return (mean + refiner.spread(level) * u).clamp(-1, 1)


def refined(
    autoencoder: ImageAutoencoder,
    refiner: Refiner,
    latents: Float[Tensor, "b c h w"],
    noise_level: float,
    generators: Sequence[torch.Generator],
) -> Float[Tensor, "b 1 s s"]:
    """Latents => pictures in -1..1: noise of `noise_level` on the latents, decoded, and drawn on from there.

    Random numbers are drawn on the CPU, by one generator for each picture, or by one for all of them.
    """

    def normal(like: Tensor) -> Tensor:
        share = len(like) // len(generators)
        return torch.cat([torch.randn(share, *like.shape[1:], generator=g) for g in generators]).to(like)

    noised = latents + noise_level * normal(latents)
    mean = autoencoder.decode(noised)
    return draw(refiner, mean, noised, noise_level, normal(mean))
