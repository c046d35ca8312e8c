"""Time and sign of the rectified flow, once for the whole project (Liu et al. 2022; Lipman et al. 2022).

t = 0 is data, t = 1 is noise:  x_t = (1 - t) x_0 + t eps,  target velocity v = eps - x_0.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def _like(t: Tensor | float, x: Tensor) -> Tensor | float:
    """One time for all rows, or [b] for each."""
    return t.reshape(-1, *[1] * (x.ndim - 1)) if isinstance(t, Tensor) else t


def add_noise(
    x_0: Float[Tensor, " b *latent"], noise: Float[Tensor, " b *latent"], t: Float[Tensor, " b"]
) -> Float[Tensor, " b *latent"]:
    """x_t for t in 0..1."""
    share = _like(t, x_0)
    return (1 - share) * x_0 + share * noise


def velocity_target(x_0: Float[Tensor, " *shape"], noise: Float[Tensor, " *shape"]) -> Float[Tensor, " *shape"]:
    """d x_t / d t."""
    return noise - x_0


def data_from_velocity(
    x_t: Float[Tensor, " *shape"], velocity: Float[Tensor, " *shape"], t: Float[Tensor, " b"] | float
) -> Float[Tensor, " *shape"]:
    """x_0 = x_t - t v."""
    return x_t - _like(t, x_t) * velocity


def noise_from_velocity(
    x_t: Float[Tensor, " *shape"], velocity: Float[Tensor, " *shape"], t: Float[Tensor, " b"] | float
) -> Float[Tensor, " *shape"]:
    """eps = x_t + (1 - t) v."""
    return x_t + (1 - _like(t, x_t)) * velocity


def sample_times(
    batch: int,
    *,
    shift: float = 0.0,
    spread: float = 1.0,
    generator: torch.Generator | None = None,
    device: torch.device | None = None,
) -> Float[Tensor, " b"]:
    """Training times in 0..1, logit-normal (Esser et al. 2024, eq. 19): sigmoid(spread n + shift), n normal."""
    return torch.sigmoid(spread * torch.randn(batch, generator=generator, device=device) + shift)
