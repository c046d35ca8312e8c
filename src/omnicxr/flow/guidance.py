"""Guidance: away from what is drawn where nothing is given, and away from what a worse model draws.

Classifier-free guidance (Ho and Salimans 2022) shows more of what is given; autoguidance (Karras et al. 2024, "Guiding
a diffusion model with a bad version of itself") takes back the faults that two models have in common, the worse one
more of them. Both act at all times (docs/decisions.md, "Guidance").
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from omnicxr.flow.path import data_from_velocity


def away_from(
    velocity: Float[Tensor, " b *latent"], other: Float[Tensor, " b *latent"], scale: float
) -> Float[Tensor, " b *latent"]:
    """(scale - 1) (v - v_other), to be added to v: scale 1 is no guidance."""
    return (scale - 1) * (velocity - other)


def away_from_nothing_given(
    x_t: Float[Tensor, " b *latent"],
    t: float,
    *,
    velocity: Float[Tensor, " b *latent"],
    unguided: Float[Tensor, " b *latent"],
    scale: float,
) -> Float[Tensor, " b *latent"]:
    """The same without the part of the difference that is parallel to the estimate of the data, x_0 = x_t - t v.

    That part makes x_0 larger as it is, which is contrast and not findings (adaptive projected guidance, Sadat et al.
    2024, without its momentum and threshold).
    """
    difference = velocity - unguided
    difference = difference - _along(difference, data_from_velocity(x_t, velocity, t))
    return (scale - 1) * difference


def _along(x: Tensor, direction: Tensor) -> Tensor:
    """The part of each row of x [b, ...] that is parallel to that of `direction`."""
    axes = tuple(range(1, x.ndim))
    return (x * direction).sum(axes, keepdim=True) / (direction**2).sum(axes, keepdim=True).clamp(min=1e-12) * direction
