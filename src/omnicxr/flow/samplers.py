"""Integrating the flow from noise (t = 1) to data (t = 0)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from omnicxr.flow.path import noise_from_velocity

Velocity = Callable[[Tensor, float], Tensor]
"""(x_t [b, ...], t) => velocity of the same shape."""
FRESH_BELOW = 0.6
"""Time from which ancestral steps draw fresh noise; docs/decisions.md, "Fresh noise"."""


def timesteps(steps: int) -> list[float]:
    """`steps` + 1 times from 1 to 0, evenly spaced."""
    return torch.linspace(1, 0, steps + 1).tolist()


def euler(velocity: Velocity, noise: Float[Tensor, " *shape"], times: list[float]) -> Float[Tensor, " *shape"]:
    """First-order steps: one evaluation each."""
    x = noise
    for t, following in pairwise(times):
        x = x + (following - t) * velocity(x, t)
    return x


def ancestral(
    velocity: Velocity,
    noise: Float[Tensor, " *shape"],
    times: list[float],
    *,
    fresh: Callable[[], Tensor],
    fresh_below: float = FRESH_BELOW,
) -> Float[Tensor, " *shape"]:
    """Euler steps, of which those below `fresh_below` replace part of the noise by new noise, which `fresh` draws.

    Then eps = x_t + (1 - t) v becomes, at t' after t, sqrt(1 - s^2) eps + s fresh with s^2 = 1 - SNR(t) / SNR(t'),
    SNR(t) = ((1 - t) / t)^2: ancestral sampling (Ho et al. 2020; DDIM with eta 1, Song et al. 2021, eq. 16) in the
    coordinates of the flow.
    """
    x = noise
    for t, following in pairwise(times):
        v = velocity(x, t)
        ahead = x + (following - t) * v
        if t < fresh_below and following > 0:
            share = 1 - ((1 - t) / t * following / (1 - following)) ** 2  # s^2
            ahead = ahead + following * (((1 - share) ** 0.5 - 1) * noise_from_velocity(x, v, t) + share**0.5 * fresh())
        x = ahead
    return x


def heun(velocity: Velocity, noise: Float[Tensor, " *shape"], times: list[float]) -> Float[Tensor, " *shape"]:
    """Second-order steps (trapezoid): two evaluations each, one in the last."""
    x = noise
    for t, following in pairwise(times):
        v = velocity(x, t)
        ahead = x + (following - t) * v
        if following > 0:
            ahead = x + (following - t) * (v + velocity(ahead, following)) / 2
        x = ahead
    return x
