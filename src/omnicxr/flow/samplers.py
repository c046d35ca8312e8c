"""Integrating the flow from noise (t = 1) to data (t = 0)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from functools import partial
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor

from omnicxr.flow.path import diffusion_times, noise_from_velocity

Key = TypeVar("Key", bound=Hashable)
Velocity = Callable[[dict[Key, Tensor], float], Mapping[Key, Tensor]]
"""(x_t of every stream, t) => velocity of every stream."""
FRESH_BELOW = 0.6
"""Time from which ancestral steps draw fresh noise; docs/ablations.md, "Guidance and fresh noise"."""


def timesteps(steps: int, shift: float = 1.0) -> list[float]:
    """`steps` + 1 times from 1 to 0; `shift` above 1 spends more of them near noise: t' = s t / (1 + (s - 1) t)."""
    linear = torch.linspace(1, 0, steps + 1).tolist()
    return [shift * t / (1 + (shift - 1) * t) for t in linear]


def diffusion_timesteps(steps: int) -> list[float]:
    """`steps` of `diffusion_times`, evenly spaced from the last one down, then 0. Euler steps between them are DDIM
    with eta 0 (Song et al. 2021)."""
    return [*diffusion_times().flip(0)[[1000 * i // steps for i in range(steps)]].tolist(), 0.0]


def begin(noise: dict[Key, Tensor], t: float) -> dict[Key, Tensor]:
    """Standard normal noise => where sampling begins at time t: noise with the spread of x_t for data of unit variance;
    at t = 1 the noise itself."""
    return {m: x * ((1 - t) ** 2 + t**2) ** 0.5 for m, x in noise.items()}


def euler(
    velocity: Velocity[Key],
    noise: dict[Key, Tensor],
    times: list[float],
    fresh: Callable[[], Mapping[Key, Tensor]] | None = None,
) -> dict[Key, Tensor]:
    """First-order steps: one evaluation each. With `fresh`, which draws standard normal noise of the shape of x, those
    below `FRESH_BELOW` are ancestral.

    Then eps = x_t + (1 - t) v becomes, at t' after t, sqrt(1 - s^2) eps + s fresh with s^2 = 1 - SNR(t) / SNR(t'),
    SNR(t) = ((1 - t) / t)^2: ancestral sampling (Ho et al. 2020; DDIM with eta 1, Song et al. 2021, eq. 16) in the
    coordinates of the flow.
    """
    x = dict(noise)
    for t, following in pairwise(times):
        v = velocity(x, t)
        ahead = {m: x[m] + (following - t) * v[m] for m in x}
        if fresh and t < FRESH_BELOW and following > 0:
            share, new = 1 - ((1 - t) / t * following / (1 - following)) ** 2, fresh()
            for m in ahead:
                ahead[m] = ahead[m] + following * (
                    ((1 - share) ** 0.5 - 1) * noise_from_velocity(x[m], v[m], t) + share**0.5 * new[m]
                )
        x = ahead
    return x


def heun(velocity: Velocity[Key], noise: dict[Key, Tensor], times: list[float]) -> dict[Key, Tensor]:
    """Second-order steps (trapezoid): two evaluations each, one in the last."""
    x = dict(noise)
    for t, following in pairwise(times):
        v = velocity(x, t)
        ahead = {m: x[m] + (following - t) * v[m] for m in x}
        if following > 0:
            v2 = velocity(ahead, following)
            ahead = {m: x[m] + (following - t) * (v[m] + v2[m]) / 2 for m in x}
        x = ahead
    return x


SOLVERS = ("ancestral", "euler", "heun")


def solve(
    solver: str,
    velocity: Velocity[Key],
    noise: dict[Key, Tensor],
    times: list[float],
    fresh: Callable[[], Mapping[Key, Tensor]],
) -> dict[Key, Tensor]:
    """Integrate with one of SOLVERS; only `ancestral`, which is Euler with fresh noise, draws any."""
    return {"ancestral": partial(euler, fresh=fresh), "euler": euler, "heun": heun}[solver](velocity, noise, times)
