"""Integrating the flow from noise (t = 1) to data (t = 0)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor

Key = TypeVar("Key", bound=Hashable)
Velocity = Callable[[dict[Key, Tensor], float], Mapping[Key, Tensor]]
"""(x_t of every stream, t) => velocity of every stream."""


def timesteps(steps: int, shift: float = 1.0) -> list[float]:
    """`steps` + 1 times from 1 to 0; `shift` above 1 spends more of them near noise: t' = s t / (1 + (s - 1) t)."""
    linear = torch.linspace(1, 0, steps + 1).tolist()
    return [shift * t / (1 + (shift - 1) * t) for t in linear]


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
