"""Figures with intervals. Labels are bool arrays [n, findings], scores float arrays of the same shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sacrebleu
from sklearn.metrics import f1_score, roc_auc_score

from omnicxr.evaluation.uncertainty import estimate

MIN_CASES = 5
"""A finding with fewer positive or negative studies than this has no AUROC."""


def _f1(labels: np.ndarray, predicted: np.ndarray, **options: Any) -> float:
    return float(f1_score(labels, predicted, zero_division=0.0, **options))  # pyright: ignore[reportArgumentType]


def auroc(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Area under the ROC curve per finding [findings]; NaN where there are too few cases."""
    out = np.full(labels.shape[1], np.nan)
    for i in range(labels.shape[1]):
        positive = int(labels[:, i].sum())
        if min(positive, len(labels) - positive) >= MIN_CASES:
            out[i] = roc_auc_score(labels[:, i], scores[:, i])
    return out


def macro(values: np.ndarray) -> float:
    """Mean over the findings that have a value; NaN if none has."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def best_thresholds(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Per finding, the score above which F1 is best: chosen on validation data, used on test data."""
    out = np.full(labels.shape[1], 0.5)
    for i in range(labels.shape[1]):
        if labels[:, i].sum() >= MIN_CASES:
            candidates = np.unique(np.quantile(scores[:, i], np.linspace(0.02, 0.98, 97)))
            out[i] = candidates[int(np.argmax([_f1(labels[:, i], scores[:, i] > c) for c in candidates]))]
    return out


def micro_f1(labels: np.ndarray, predicted: np.ndarray) -> float:
    """F1 over all findings and studies together."""
    return _f1(labels, predicted, average="micro")


def macro_f1(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Mean F1 over the findings with enough positive studies; NaN if none has."""
    there = labels.sum(0) >= MIN_CASES
    return _f1(labels[:, there], predicted[:, there], average="macro") if there.any() else float("nan")


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
    """Rank (1 is best) of each row's own partner among `group` rows of `b` in order, by cosine; of equals the first in order is ahead.

    Rows past the last whole group are left out.
    """
    ranks = []
    for start in range(0, len(a) - group + 1, group):
        similarity = a[start : start + group] @ b[start : start + group].T
        own = similarity.diagonal()[:, None]
        ranks.append(1 + (similarity > own).sum(1) + np.tril(similarity == own, -1).sum(1))
    return np.concatenate(ranks) if ranks else np.zeros(0, int)


def partner_rank(a: np.ndarray, b: np.ndarray, *, group: int = 50) -> float:
    """Share of rows of `a` whose most similar row of `b`, among `group` in order, is their own partner (R@1)."""
    ranks = partner_ranks(a, b, group=group)
    return float((ranks == 1).mean()) if len(ranks) else float("nan")


def bleu4(generated: Sequence[str], references: Sequence[str]) -> float:
    """Corpus BLEU-4 in 0..1 (sacrebleu, lower-cased, 13a tokens)."""
    return sacrebleu.corpus_bleu(list(generated), [list(references)], lowercase=True).score / 100


def distinct_share(reports: Sequence[str]) -> float:
    """Distinct reports over all reports, 0..1."""
    return len(set(reports)) / len(reports)


def with_interval(statistic: Callable[..., float], *arrays: np.ndarray, seed: int = 0) -> dict[str, Any]:
    """The statistic and its 95 % bootstrap interval over studies (rows are resampled together)."""
    return estimate(statistic, *arrays, patients=np.arange(len(arrays[0])), seed=seed).json()
