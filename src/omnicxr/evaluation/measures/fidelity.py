"""Do generated pictures look like others, and are they as varied? Distances between two sets of feature vectors.

Features are [n, d] arrays of any extractor. A Fréchet distance is called FID only for features of InceptionV3.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import torch

from omnicxr.domain import UserError
from omnicxr.evaluation.results import Distances, Manifold

MIN_SAMPLES = 50
"""Fewer samples per set give no distance: it would say more about the number than about the pictures."""
KERNEL_SUBSETS, KERNEL_SUBSET_SIZE = 100, 500
NEIGHBOURS = 5
_CHUNK = 2048


def check_features(*sets: np.ndarray) -> None:
    """Raises UserError for features that are not finite, not of equal width, or too few."""
    for features in sets:
        if features.ndim != 2 or features.shape[1] != sets[0].shape[1]:
            raise UserError(
                f"Features of shape {features.shape} and {sets[0].shape} cannot be compared: extract both with the same"
                " network."
            )
        if len(features) < MIN_SAMPLES:
            raise UserError(
                f"Only {len(features)} samples: at least {MIN_SAMPLES} are needed for a distance between sets."
            )
        if not np.isfinite(features).all():
            raise UserError("Some features are not finite: check the pictures and the extractor's weights.")


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Fréchet distance of two Gaussians fitted to [n, d] and [m, d] (Heusel et al. 2017, eq. 6), at least 0.

    |mu_a - mu_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)); the trace of the root is the nuclear norm of A^T B, for centred
    A and B scaled by (n - 1)^(-1/2), so no matrix root is taken and fewer samples than dimensions do no harm.
    """
    check_features(a, b)
    a, b = a.astype(np.float64), b.astype(np.float64)
    of_means = mean_distance(a, b)
    a, b = ((v - v.mean(0)) / np.sqrt(len(v) - 1) for v in (a, b))
    root = (
        np.linalg.svd(a @ b.T, compute_uv=False).sum()
        if min(len(a), len(b)) < a.shape[1]
        else _root_by_covariance(a, b)
    )
    return float(max(of_means + (a**2).sum() + (b**2).sum() - 2 * root, 0.0))


def mean_distance(a: np.ndarray, b: np.ndarray) -> float:
    """|mu_a - mu_b|^2 of [n, d] and [m, d]: the part of the Fréchet distance that is a shift, a fault (or a virtue)
    that all pictures share."""
    return float(((a.mean(0, dtype=np.float64) - b.mean(0, dtype=np.float64)) ** 2).sum())


def _root_by_covariance(a: np.ndarray, b: np.ndarray) -> float:
    """tr (C_a C_b)^(1/2) for many samples: the root of the eigenvalues of L^T C_b L, with C_a = L L^T."""
    values, vectors = np.linalg.eigh(a.T @ a)
    root = vectors * np.sqrt(values.clip(min=0))
    return float(np.sqrt(np.linalg.eigvalsh(root.T @ (b.T @ b) @ root).clip(min=0)).sum())


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation over subsets."""

    mean: float
    std: float


def kernel_distance(a: np.ndarray, b: np.ndarray, *, seed: int = 0, subset_size: int | None = None) -> Spread:
    """Unbiased squared maximum mean discrepancy with the kernel (x . y / d + 1)^3 (Binkowski et al. 2018), over random
    subsets of 500, or of half of the smaller set.

    Can be a little below 0 for equal distributions: that is what unbiased means.
    """
    check_features(a, b)
    rng = np.random.default_rng(seed)
    size = subset_size or min(KERNEL_SUBSET_SIZE, len(a) // 2, len(b) // 2)
    a, b = a.astype(np.float64), b.astype(np.float64)
    in_a, in_b = np.zeros((KERNEL_SUBSETS, len(a))), np.zeros((KERNEL_SUBSETS, len(b)))
    for subset in zip(in_a, in_b, strict=True):
        for members in subset:
            members[rng.choice(len(members), size, replace=False)] = 1
    within = sum(
        (_kernel_sums(x, x, in_x=i, in_y=i) - i @ _kernel((x**2).sum(1), x)) / (size * (size - 1))
        for x, i in ((a, in_a), (b, in_b))
    )
    values = within - 2 * _kernel_sums(a, b, in_x=in_a, in_y=in_b) / size**2
    return Spread(float(np.mean(values)), float(np.std(values)))


def _kernel(products: np.ndarray, features: np.ndarray) -> np.ndarray:
    return (products / features.shape[1] + 1) ** 3


def _kernel_sums(x: np.ndarray, y: np.ndarray, *, in_x: np.ndarray, in_y: np.ndarray) -> np.ndarray:
    """Sum of the kernel over all pairs of a row of `x` and a row of `y` in each subset; `in_x` [subsets, n] and `in_y`
    [subsets, m] say which are.

    Every pair's kernel is worked out once for all subsets.
    """
    chunks = [slice(i, i + _CHUNK) for i in range(0, len(x), _CHUNK)]
    return sum(((in_x[:, c] @ _kernel(x[c] @ y.T, x)) * in_y).sum(1) for c in chunks)  # pyright: ignore[reportReturnType]


def manifold(reference: np.ndarray, generated: np.ndarray, *, neighbours: int = NEIGHBOURS) -> Manifold:
    """Precision, recall, density and coverage; a sample's reach is the distance to its k-th nearest neighbour in its
    own set."""
    check_features(reference, generated)
    x, y = torch.from_numpy(reference.astype(np.float32)), torch.from_numpy(generated.astype(np.float32))
    reach_x, reach_y = _reach(x, neighbours), _reach(y, neighbours)
    inside = torch.zeros(len(y), dtype=torch.long)
    reached, nearest = torch.zeros(len(x), dtype=torch.bool), torch.full((len(x),), torch.inf)
    for start in range(0, len(x), _CHUNK):
        rows = slice(start, start + _CHUNK)
        distance = torch.cdist(x[rows], y, compute_mode="donot_use_mm_for_euclid_dist")
        inside += (distance < reach_x[rows, None]).sum(0)
        reached[rows] = (distance < reach_y).any(1)
        nearest[rows] = distance.min(1).values
    return Manifold(
        precision=float((inside > 0).double().mean()),
        recall=float(reached.double().mean()),
        density=float(inside.double().mean() / neighbours),
        coverage=float((nearest < reach_x).double().mean()),
    )


def _reach(x: torch.Tensor, neighbours: int) -> torch.Tensor:
    """Distance of each row to its k-th nearest other row."""
    parts = [
        torch.cdist(x[i : i + _CHUNK], x, compute_mode="donot_use_mm_for_euclid_dist") for i in range(0, len(x), _CHUNK)
    ]
    return torch.cat([p.kthvalue(neighbours + 1, dim=1).values for p in parts])


def distances(reference: np.ndarray, generated: np.ndarray) -> Distances:
    """All of the above, of features [n, d] and [m, d]."""
    kernel = kernel_distance(reference, generated)
    return Distances(
        frechet=frechet_distance(reference, generated),
        frechet_of_means=mean_distance(reference, generated),
        kernel=kernel.mean,
        kernel_std=kernel.std,
        **asdict(manifold(reference, generated)),
    )


def nearest_distance(queries: np.ndarray, references: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each query [n, d] the distance to its nearest reference [m, d], and that one's index."""
    distances, indices = [], []
    references_ = torch.from_numpy(references.astype(np.float32))
    for start in range(0, len(queries), _CHUNK):
        found = torch.cdist(torch.from_numpy(queries[start : start + _CHUNK].astype(np.float32)), references_).min(1)
        distances.append(found.values.numpy())
        indices.append(found.indices.numpy())
    return np.concatenate(distances), np.concatenate(indices)
