"""How sure is a figure? Bootstrap over patients: studies of one patient are drawn together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

RESAMPLES = 200
Statistic = Callable[..., float]
"""Arrays with one row per study => one figure."""


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % interval; NaN where it cannot be worked out."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference(Estimate):
    """Figure of A minus figure of B on the same studies."""

    p_value: float
    """Two-sided: twice the smaller share of resamples on either side of no difference, at least 2 / (resamples + 1)."""


def patient_resamples(patients: np.ndarray, *, count: int | None = None, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Row numbers of `count` (RESAMPLES) bootstrap samples: as many patients as there are, drawn with replacement, each
    with all studies.

    The samples of the last few sets of patients are kept, because one evaluation asks for the same ones thousands of
    times.
    """
    _, group = np.unique(patients, return_inverse=True)
    return _resamples(tuple(group.tolist()), count or RESAMPLES, seed)


@lru_cache(maxsize=8)
def _resamples(group: tuple[int, ...], count: int, seed: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(np.array(group)[order], np.arange(max(group) + 2))
    rows = [order[starts[g] : starts[g + 1]] for g in range(len(starts) - 1)]
    return tuple(np.concatenate([rows[g] for g in rng.integers(len(rows), size=len(rows))]) for _ in range(count))


def estimate(statistic: Statistic, *arrays: np.ndarray, patients: np.ndarray, seed: int = 0) -> Estimate:
    """The statistic with its percentile interval."""
    draws = np.array([statistic(*(a[rows] for a in arrays)) for rows in patient_resamples(patients, seed=seed)])
    draws = draws[np.isfinite(draws)]
    low, high = np.quantile(draws, [0.025, 0.975]) if len(draws) else (np.nan, np.nan)
    return Estimate(statistic(*arrays), float(low), float(high))


def mean_estimate(values: np.ndarray, patients: np.ndarray) -> Estimate:
    """The mean of one value per study."""
    return estimate(lambda v: float(v.mean()), values, patients=patients)


def compare(
    statistic: Statistic, a: tuple[np.ndarray, ...], b: tuple[np.ndarray, ...], *, patients: np.ndarray, seed: int = 0
) -> Difference:
    """Paired comparison of two models on the same studies: every resample is used for both."""
    draws = np.array(
        [
            statistic(*(v[rows] for v in a)) - statistic(*(v[rows] for v in b))
            for rows in patient_resamples(patients, seed=seed)
        ]
    )
    draws = draws[np.isfinite(draws)]
    value = statistic(*a) - statistic(*b)
    if not len(draws):
        return Difference(value, np.nan, np.nan, np.nan)
    low, high = np.quantile(draws, [0.025, 0.975])
    tail = min((draws <= 0).sum(), (draws >= 0).sum())
    return Difference(value, float(low), float(high), float(min(1.0, 2 * (tail + 1) / (len(draws) + 1))))
