"""Integrating the flow from noise (t = 1) to data (t = 0)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor

from omnicxr.flow.path import diffusion_times

Key = TypeVar("Key", bound=Hashable)
Velocity = Callable[[dict[Key, Tensor], float], Mapping[Key, Tensor]]
"""(x_t of every stream, t) => velocity of every stream."""


def timesteps(steps: int, shift: float = 1.0) -> list[float]:
    """`steps` + 1 times from 1 to 0; `shift` above 1 spends more of them near noise: t' = s t / (1 + (s - 1) t)."""
    linear = torch.linspace(1, 0, steps + 1).tolist()
    return [shift * t / (1 + (shift - 1) * t) for t in linear]


def diffusion_timesteps(steps: int) -> list[float]:
    """`steps` of `diffusion_times`, evenly spaced from the last one down, then 0. Euler steps between them are DDIM with eta 0 (Song et al. 2021)."""
    return [*diffusion_times().flip(0)[[1000 * i // steps for i in range(steps)]].tolist(), 0.0]


def begin(noise: dict[Key, Tensor], t: float) -> dict[Key, Tensor]:
    """Standard normal noise => where sampling begins at time t: noise with the spread of x_t for data of unit variance; at t = 1 the noise itself."""
    return {m: x * ((1 - t) ** 2 + t**2) ** 0.5 for m, x in noise.items()}


def euler(velocity: Velocity[Key], noise: dict[Key, Tensor], times: list[float]) -> dict[Key, Tensor]:
    """First-order steps: one evaluation each."""
    x = dict(noise)
    for t, following in pairwise(times):
        v = velocity(x, t)
        x = {m: x[m] + (following - t) * v[m] for m in x}
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


SOLVERS = {"euler": euler, "heun": heun}
