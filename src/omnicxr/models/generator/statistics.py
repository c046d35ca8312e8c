"""Statistics of one modality's latents over a training set, which the preconditioner keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

SPARE_AXES, POWER_ITERATIONS = 16, 4
"""Of the randomised search for principal axes (Halko et al. 2011)."""
RIDGE = 0.01
"""Added to the prompt embeddings' covariance, in units of their mean variance."""


@dataclass(frozen=True, kw_only=True)
class LatentStatistics:
    """In the shape of one study's latents, apart from the axes."""

    mean: Tensor
    std: Tensor
    axes: Tensor | None = None
    """[elements, rank], orthonormal: the principal axes."""
    axis_std: Tensor | None = None
    """[rank]"""
    rest_std: Tensor | None = None
    """Of each element, without what lies along the axes."""
    regression: Tensor | None = None
    """[prompt_dim, rank]: prompt embedding, as streams see it, => mean along the axes."""


@dataclass(frozen=True, kw_only=True)
class PromptedRows:
    """Which studies have what one set of modalities needs to be given, and the prompts that these make."""

    rows: Bool[Tensor, " n"]
    prompts: Float[Tensor, "k p"]
    """In the scale that streams see, one for each of `rows` that is true."""


@torch.no_grad()
def latent_statistics(
    values: Float[Tensor, " n *latent"], *, rank: int = 0, prompt_dim: int = 0, prompted: Sequence[PromptedRows] = ()
) -> LatentStatistics:
    """Of clean latents, with `rank` principal axes, 0 for none.

    prompted: for every set of modalities that can be given, who has it; the mean along the axes follows from them.
    """
    std, mean = (x.float() for x in torch.std_mean(values.double(), 0))
    if not rank:
        return LatentStatistics(mean=mean, std=std)
    centred = (values - mean).flatten(1)
    found = min(rank, *centred.shape)
    axes = torch.zeros(centred.shape[1], rank)
    spare = min(found + SPARE_AXES, *centred.shape)
    with torch.random.fork_rng(devices=[]):  # the same axes for the same latents, whatever was drawn before
        torch.manual_seed(0)
        axes[:, :found] = torch.svd_lowrank(centred, q=spare, niter=POWER_ITERATIONS)[2][:, :found]
    along = centred @ axes  # [n, rank]
    rest = (centred - along @ axes.T).view_as(values)
    return LatentStatistics(
        mean=mean,
        std=std,
        axes=axes,
        axis_std=along.std(0),
        rest_std=rest.std(0),
        regression=_regression(along, prompted, prompt_dim),
    )


def _regression(along: Float[Tensor, "n r"], prompted: Sequence[PromptedRows], size: int) -> Float[Tensor, "p r"]:
    """Prompts of all that can be given => latents along the axes, by one ridge regression without intercept."""
    squares, products = torch.zeros(size, size), torch.zeros(size, along.shape[1])
    for given in prompted:
        squares += given.prompts.T @ given.prompts
        products += given.prompts.T @ along[given.rows]
    if not squares.any():  # nothing can be given
        return products
    return torch.linalg.solve(squares + RIDGE * squares.trace() / size * torch.eye(size), products)
