"""Statistics of latents over a training set, for the generator's preconditioner."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from omnicxr.data.dataset import PreparedDataset
from omnicxr.domain import Modality
from omnicxr.models.generator.network import Generator
from omnicxr.models.generator.preconditioner import LatentStatistics
from omnicxr.training.batches import evenly
from omnicxr.training.latents import Latents

ROWS = 16_384
"""Studies that statistics are taken from, evenly chosen."""
SPARE_AXES, POWER_ITERATIONS = 16, 4
"""Of the randomised search for principal axes (Halko et al. 2011)."""
RIDGE = 0.01
"""Added to the prompt embeddings' covariance, in units of their mean variance."""


@torch.no_grad()
def latent_statistics(
    latents: Latents, data: PreparedDataset, modality: Modality, network: Generator
) -> LatentStatistics:
    """Of the studies that have the modality; principal axes, as many as the network's config asks for, come from
    torch's global generator."""
    rows = data.having(modality)
    rows = rows[evenly(len(rows), ROWS)]
    values = latents.rows(modality, rows).cpu()
    std, mean = (x.float() for x in torch.std_mean(values.double(), 0))
    rank = network.config.axes(modality)
    if not rank:
        return LatentStatistics(mean, std)
    centred = (values - mean).flatten(1)
    found = min(rank, *centred.shape)
    axes = torch.zeros(centred.shape[1], rank)
    axes[:, :found] = torch.svd_lowrank(centred, q=min(found + SPARE_AXES, *centred.shape), niter=POWER_ITERATIONS)[2][
        :, :found
    ]
    along = centred @ axes
    rest = (centred - along @ axes.T).view_as(values)
    return LatentStatistics(
        mean, std, axes, along.std(0), rest.std(0), _regression(latents, data, modality, network, rows, along)
    )


def _regression(
    latents: Latents, data: PreparedDataset, modality: Modality, network: Generator, rows: np.ndarray, along: Tensor
) -> Tensor:
    """Prompts of all that can be given for the modality => its latents along the axes, by one ridge regression without
    intercept."""
    others = [m for m in Modality if m is not modality]
    size = network.config.prompt_dim
    squares, products = torch.zeros(size, size), torch.zeros(size, along.shape[1])
    for given in (s for n in range(1, len(others) + 1) for s in combinations(others, n)):
        there = np.isin(rows, data.having(modality, *given))
        if there.any():
            embeds = latents.prompt(given, rows[there])
            assert embeds is not None
            prompts = (network.prompts_or_null(embeds.to(network.device), len(embeds)) - network.null_embeds).cpu()
            squares += prompts.T @ prompts
            products += prompts.T @ along[torch.from_numpy(there)]
    if not squares.any():  # nothing can be given, or prompts are off
        return products
    return torch.linalg.solve(squares + RIDGE * squares.trace() / size * torch.eye(size), products)
