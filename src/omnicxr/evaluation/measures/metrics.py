"""Figures of findings, agreement and text. Labels are bool arrays [n, findings], scores float arrays of the same
shape."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata

MIN_CASES = 5
"""A finding with fewer positive or negative studies than this has no AUROC, one with fewer positive ones no F1 in the
macro mean."""


def auroc(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Area under the ROC curve per finding [findings], by ranks (Mann-Whitney U); NaN where there are too few cases."""
    positive = labels.sum(0)
    negative = len(labels) - positive
    wins = (rankdata(scores, axis=0) * labels).sum(0) - positive * (positive + 1) / 2
    enough = np.minimum(positive, negative) >= MIN_CASES
    return np.divide(
        wins, positive * negative, out=np.full(labels.shape[1], np.nan), where=enough & (positive * negative > 0)
    )


def macro(values: np.ndarray) -> float:
    """Mean over the findings that have a value; NaN if none has."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def f1(labels: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """F1 per finding [findings]; 0 where there is neither a positive study nor a positive prediction."""
    hits = (labels & predicted).sum(0)
    total = labels.sum(0) + predicted.sum(0)
    return np.divide(2 * hits, total, out=np.zeros(labels.shape[1]), where=total > 0)


def micro_f1(labels: np.ndarray, predicted: np.ndarray) -> float:
    """F1 over all findings and studies together."""
    return float(f1(labels.reshape(-1, 1), predicted.reshape(-1, 1))[0])


def macro_f1(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Mean F1 over the findings with enough positive studies; NaN if none has."""
    there = labels.sum(0) >= MIN_CASES
    return float(f1(labels, predicted)[there].mean()) if there.any() else float("nan")


def weighted_f1(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Mean F1 weighted by the number of positive studies; NaN without any."""
    count = labels.sum(0)
    return float((f1(labels, predicted) * count).sum() / count.sum()) if count.any() else float("nan")


def best_thresholds(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Per finding, the score above which F1 is best: chosen on validation data, used on test data."""
    out = np.full(labels.shape[1], 0.5)
    for i in range(labels.shape[1]):
        if labels[:, i].sum() >= MIN_CASES:
            candidates = np.unique(np.quantile(scores[:, i], np.linspace(0.02, 0.98, 97)))
            above = scores[:, i, None] > candidates
            out[i] = candidates[int(np.argmax(f1(np.broadcast_to(labels[:, i, None], above.shape), above)))]
    return out


def correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson correlation of each column of `a` with that of `b`; NaN for a column that does not vary."""
    a, b = a - a.mean(0), b - b.mean(0)
    spread = np.sqrt((a**2).sum(0) * (b**2).sum(0))
    return np.divide((a * b).sum(0), spread, out=np.full(a.shape[1], np.nan), where=spread > 1e-12)


def kappa(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cohen's kappa per column of two bool arrays; NaN where both are constant."""
    agree = (a == b).mean(0)
    chance = a.mean(0) * b.mean(0) + (1 - a.mean(0)) * (1 - b.mean(0))
    return np.divide(agree - chance, 1 - chance, out=np.full(a.shape[1], np.nan), where=chance < 1 - 1e-12)


def partner_ranks(a: np.ndarray, b: np.ndarray, *, group: int = 50) -> np.ndarray:
    """Rank (1 is best) of each row's own partner among `group` rows of `b` in order, by cosine; of equals the first in
    order is ahead.

    Rows past the last whole group are left out.
    """
    ranks = []
    for start in range(0, len(a) - group + 1, group):
        similarity = a[start : start + group] @ b[start : start + group].T
        own = similarity.diagonal()[:, None]
        ranks.append(1 + (similarity > own).sum(1) + np.tril(similarity == own, -1).sum(1))
    return np.concatenate(ranks) if ranks else np.zeros(0, int)


def distinct_share(reports: Sequence[str]) -> float:
    """Distinct reports over all reports, 0..1."""
    return len(set(reports)) / len(reports)
