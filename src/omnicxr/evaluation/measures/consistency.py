"""Do the parts of one study agree? Given parts are the study's own, the others generated: each pair of parts is
compared, beside pairs of held-out and of shuffled ones.

A model that ignores its input scores like shuffled pairs.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from omnicxr.domain import Modality
from omnicxr.domain.measures import MEASURES
from omnicxr.evaluation.measures import metrics
from omnicxr.evaluation.measures.uncertainty import estimate, mean_estimate
from omnicxr.evaluation.readers.panel import Reading
from omnicxr.evaluation.results import Agreement, LikeHeldOut

GROUP = 50
"""Partners are looked for among so many, in the order of the studies."""


def finding_kappa(a: np.ndarray, b: np.ndarray) -> float:
    """Mean kappa of findings found (bool [n, 14]) in two parts."""
    return metrics.macro(metrics.kappa(a, b))


def score_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Mean correlation of the finding scores [n, 14] of two parts."""
    return metrics.macro(metrics.correlation(a, b))


def pair_agreement(a: Reading, b: Reading, patients: np.ndarray) -> Agreement:
    """Findings, continuous truth, and whether partners find each other, of n studies read in two parts."""
    known = a.known & b.known
    ranks = metrics.partner_ranks(a.embeds, b.embeds, group=GROUP)
    of_all = metrics.partner_ranks(a.embeds, b.embeds, group=len(patients))
    return Agreement(
        finding_kappa=estimate(finding_kappa, a.found[:, known], b.found[:, known], patients=patients),
        score_correlation=estimate(score_correlation, a.scores, b.scores, patients=patients),
        cardiothoracic_ratio_correlation=estimate(first_correlation, a.measures, b.measures, patients=patients),
        measure_correlation=_by_measure(a.measures, b.measures),
        embedding_similarity=float((a.embeds * b.embeds).sum(1).mean()),
        partner_recall_at_1=float((ranks <= 1).mean()) if len(ranks) else np.nan,
        partner_recall_at_5=float((ranks <= 5).mean()) if len(ranks) else np.nan,
        partner_median_rank=float(np.median(ranks)) if len(ranks) else np.nan,
        partner_median_rank_of_all=estimate(lambda r: float(np.median(r)), of_all, patients=patients),
        studies=len(patients),
    )


def like_held_out(generated: np.ndarray, held_out: np.ndarray, patients: np.ndarray) -> LikeHeldOut:
    """The judge's estimates [n, measures] of generated pictures against those of held-out ones of the same studies."""
    return LikeHeldOut(
        cardiothoracic_ratio_error=mean_estimate(np.abs(generated[:, 0] - held_out[:, 0]), patients),
        cardiothoracic_ratio_correlation=estimate(first_correlation, generated, held_out, patients=patients),
        measure_correlation=_by_measure(generated, held_out),
    )


def _by_measure(a: np.ndarray, b: np.ndarray) -> dict[str, float]:
    """Correlation of each of `MEASURES`."""
    return dict(zip(MEASURES, map(float, metrics.correlation(a, b)), strict=True))


def first_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of the first measure, the cardiothoracic ratio."""
    return float(metrics.correlation(a[:, :1], b[:, :1])[0])


def study_agreement(
    parts: dict[Modality, Reading], patients: np.ndarray, given: tuple[Modality, ...] = ()
) -> dict[str, Agreement]:
    """Every pair of parts of which at least one was generated, for instance "frontal+lateral"."""
    pairs = combinations([m for m in Modality if m in parts], 2)
    return {f"{m}+{n}": pair_agreement(parts[m], parts[n], patients) for m, n in pairs if not {m, n} <= set(given)}
