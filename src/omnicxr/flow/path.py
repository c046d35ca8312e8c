"""Time and sign of the rectified flow, once for the whole project (Liu et al. 2022; Lipman et al. 2022).

t = 0 is data, t = 1 is noise:  x_t = (1 - t) x_0 + t eps,  target velocity v = eps - x_0.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def _like(t: Tensor | float, x: Tensor) -> Tensor | float:
    """One time for all rows, or [b] for each."""
    return t.reshape(-1, *[1] * (x.ndim - 1)) if isinstance(t, Tensor) else t


def add_noise(x_0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    """x_t for t [b] in 0..1."""
    share = _like(t, x_0)
    return (1 - share) * x_0 + share * noise


def velocity_target(x_0: Tensor, noise: Tensor) -> Tensor:
    """d x_t / d t."""
    return noise - x_0


def data_from_velocity(x_t: Tensor, velocity: Tensor, t: Tensor | float) -> Tensor:
    """x_0 = x_t - t v."""
    return x_t - _like(t, x_t) * velocity


def noise_from_velocity(x_t: Tensor, velocity: Tensor, t: Tensor | float) -> Tensor:
    """eps = x_t + (1 - t) v."""
    return x_t + (1 - _like(t, x_t)) * velocity


def coarse_to_fine_error(error: Tensor, levels: int) -> Tensor:
    """Mean square of an error [b, c, h, w], plus that of its means over 2 x 2, 4 x 4, ... blocks, each times the cells
    of a block; over 1 + levels.

    Errors that are white over the picture count the same at every level; coherent ones, which carry anatomy and
    findings, count up to (1 + 4 + 16 + ...) / (1 + levels) times as much. Every level is a proper loss for the
    conditional mean, so the best velocity stays the same.
    """
    total = (error**2).mean()
    for level in range(1, levels + 1):
        error = F.avg_pool2d(error, 2)
        total = total + 4**level * (error**2).mean()
    return total / (1 + levels)


def sample_times(
    batch: int,
    generator: torch.Generator | None = None,
    *,
    shift: float = 0.0,
    spread: float = 1.0,
    device: torch.device | None = None,
) -> Tensor:
    """Training times [batch] in 0..1, logit-normal (Esser et al. 2024, eq. 19): sigmoid(spread n + shift), n standard
    normal."""
    return torch.sigmoid(spread * torch.randn(batch, generator=generator, device=device) + shift)


def diffusion_times() -> Tensor:
    """The 1000 times of latent diffusion (Rombach et al. 2022: square roots of beta linear from 0.00085 to 0.012) on
    this path, rising to 0.936.

    Diffusion has x = alpha x_0 + sigma eps with alpha^2 + sigma^2 = 1; divided by alpha + sigma that is x_t at t =
    sigma / (alpha + sigma).
    """
    beta = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    alpha_squared = torch.cumprod(1 - beta, 0)
    alpha, sigma = alpha_squared.sqrt(), (1 - alpha_squared).sqrt()
    return (sigma / (alpha + sigma)).float()


def sample_diffusion_times(batch: int, generator: torch.Generator | None = None) -> Tensor:
    """Training times [batch], each of `diffusion_times` equally likely."""
    return diffusion_times()[torch.randint(1000, (batch,), generator=generator)]
