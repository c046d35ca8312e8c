"""Guidance: away from what is drawn where nothing is given, and away from what a worse model draws, applied in an
interval of time (Kynkaanniemi et al. 2024).

Classifier-free guidance (Ho and Salimans 2022) shows more of what is given; autoguidance (Karras et al. 2024, "Guiding
a diffusion model with a bad version of itself") takes back the faults that two models have in common, the worse one
more of them.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TypeVar

from torch import Tensor

from omnicxr.flow.path import data_from_velocity

Key = TypeVar("Key", bound=Hashable)


def guidance(
    x_t: Mapping[Key, Tensor],
    t: float,
    velocity: Mapping[Key, Tensor],
    other: Mapping[Key, Tensor],
    scale: float,
    parallel: float = 1.0,
) -> dict[Key, Tensor]:
    """(scale - 1) (v - v_other) of every stream at time t, to be added to v: scale 1 is no guidance.

    The part of the difference that is parallel to the estimate of the data, x_0 = x_t - t v, makes it larger as it is,
    which is contrast; so much of it as `parallel` says is kept (adaptive projected guidance, Sadat et al. 2024, without
    its momentum and threshold). 1 is plain guidance.
    """
    out = {}
    for m, v in velocity.items():
        difference = v - other[m]
        if parallel != 1:
            difference = difference - (1 - parallel) * _along(difference, data_from_velocity(x_t[m], v, t))
        out[m] = (scale - 1) * difference
    return out


def _along(x: Tensor, direction: Tensor) -> Tensor:
    """The part of each row of x [b, ...] that is parallel to that of `direction`."""
    axes = tuple(range(1, x.ndim))
    return (x * direction).sum(axes, keepdim=True) / (direction**2).sum(axes, keepdim=True).clamp(min=1e-12) * direction


def is_guided(t: float, scale: float, interval: tuple[float, float]) -> bool:
    """Whether guidance acts at time t: scale differs from 1 and t lies in the closed interval."""
    return scale != 1 and interval[0] <= t <= interval[1]
