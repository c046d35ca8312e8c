"""What the generator need not learn: the best linear estimate of the velocity from the statistics of the latents."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from omnicxr.models.generator.statistics import LatentStatistics


class Preconditioner(nn.Module):
    """What is known of one modality's velocity from the Gaussian with the statistics of its latents: networks work out
    the rest.

    With x_t = (1 - t) x_0 + t eps, x_0 of mean m and variance s^2, y = x_t - (1 - t) m has variance w = (1 - t)^2 s^2 +
    t^2, the best linear estimate of the velocity is (t - (1 - t) s^2) / w y - m, and what remains has variance s^2 / w.
    The estimate is taken along the `rank` principal axes of the latents, and element by element for what these leave.
    Along the axes m depends on the prompt embedding, linearly. The network sees y / sqrt(w) and gives what remains in
    units of s / sqrt(w), both with mean and variance of each element alone (for diffusion: Karras et al. 2022).
    """

    mean: Tensor
    std: Tensor
    axes: Tensor
    axis_std: Tensor
    rest_std: Tensor
    regression: Tensor

    def __init__(self, shape: tuple[int, ...], rank: int = 0, prompt_dim: int = 0) -> None:
        super().__init__()
        self.rank = rank
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("std", torch.ones(shape))
        if rank:
            self.register_buffer("axes", torch.eye(math.prod(shape), rank))
            self.register_buffer("axis_std", torch.ones(rank))
            self.register_buffer("rest_std", torch.ones(shape))
            self.register_buffer("regression", torch.zeros(prompt_dim, rank))

    @torch.no_grad()
    def set_statistics(self, statistics: LatentStatistics) -> None:
        """Take over the statistics of a training set; spreads are kept at 0.05 at least.

        Raises ValueError for statistics without the principal axes that this preconditioner has.
        """
        for name, buffer in self.named_buffers():
            value = getattr(statistics, name)
            if value is None:
                raise ValueError("A preconditioner with principal axes needs statistics with them.")
            buffer.copy_(value.clamp(min=0.05) if name.endswith("std") else value)

    def _centred(self, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        t = t.reshape(-1, *[1] * (x.ndim - 1))
        return x - (1 - t) * self.mean, ((1 - t) * self.std) ** 2 + t**2, t

    def input(self, x: Float[Tensor, " b *latent"], t: Float[Tensor, " b"]) -> Float[Tensor, " b *latent"]:
        """Noised latents => network input of unit variance."""
        y, variance, _ = self._centred(x, t)
        return y / variance.sqrt()

    def linear(
        self, x: Float[Tensor, " b *latent"], t: Float[Tensor, " b"], prompt: Float[Tensor, "b p"] | None = None
    ) -> Float[Tensor, " b *latent"]:
        """The linear estimate of the velocity; prompt: [b, prompt_dim], zero where nothing is known."""
        if not self.rank:
            return self.by_element(x, t)
        y, _, t = self._centred(x, t)
        return self._along_axes(y, t, prompt) - self.mean

    def by_element(self, x: Float[Tensor, " b *latent"], t: Float[Tensor, " b"]) -> Float[Tensor, " b *latent"]:
        """The same, of each element by itself and without the prompt: all that is known without principal axes."""
        y, _, t = self._centred(x, t)
        return _slope(self.std, t) * y - self.mean

    def estimate(
        self, x: Float[Tensor, " b *latent"], t: Float[Tensor, " b"], linear: Float[Tensor, " b *latent"]
    ) -> Float[Tensor, " b *latent"]:
        """The linear estimate of the latents x_0 = x_t - t v, in their own spread about their mean."""
        return (x - t.reshape(-1, *[1] * (x.ndim - 1)) * linear - self.mean) / self.std

    def output(
        self,
        x: Float[Tensor, " b *latent"],
        t: Float[Tensor, " b"],
        *,
        linear: Float[Tensor, " b *latent"],
        network: Float[Tensor, " b *latent"],
    ) -> Float[Tensor, " b *latent"]:
        """Linear estimate and network output => velocity."""
        _, variance, _ = self._centred(x, t)
        return linear + self.std / variance.sqrt() * network

    def _along_axes(self, y: Tensor, t: Tensor, prompt: Tensor | None) -> Tensor:
        with torch.autocast(y.device.type, enabled=False):
            y, flat_t = y.float(), t.flatten()[:, None]
            along = y.flatten(1) @ self.axes
            rest = y - (along @ self.axes.T).view_as(y)
            shift = 0.0 if prompt is None else prompt.float() @ self.regression
            found = _slope(self.axis_std, flat_t) * (along - (1 - flat_t) * shift) - shift
            return (found @ self.axes.T).view_as(y) + _slope(self.rest_std, t) * rest


def _slope(std: Tensor, t: Tensor) -> Tensor:
    """Velocity per unit of x_t - (1 - t) m, the best linear estimate for latents of this spread."""
    return (t - (1 - t) * std**2) / (((1 - t) * std) ** 2 + t**2)
