"""Do the parts of one study agree? Given parts are real, the others generated: each pair of parts is compared, beside real pairs and shuffled ones.

A model that ignores its input scores like shuffled pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from omnicxr.domain import Modality
from omnicxr.evaluation import metrics
from omnicxr.evaluation.uncertainty import estimate

GROUP = 50
"""Partners are looked for among so many, in the order of the studies."""


@dataclass(frozen=True)
class Reading:
    """What the judge and the prompt encoder make of one part of every study."""

    scores: np.ndarray
    """[n, 14] finding probabilities."""
    measures: np.ndarray
    """[n, k] continuous truth as the judge estimates it; NaN columns for parts that do not show it."""
    embeds: np.ndarray
    """[n, d] prompt embeddings of length 1."""
    found: np.ndarray
    """bool [n, 14]: scores above the thresholds of that part."""


def pair_agreement(a: Reading, b: Reading, patients: np.ndarray) -> dict[str, Any]:
    """Findings (kappa and correlation of the scores), continuous truth (r per measure), and whether partners find each other."""
    ranks = metrics.partner_ranks(a.embeds, b.embeds, group=GROUP)
    return {
        "finding_kappa": estimate(lambda x, y: metrics.macro(metrics.kappa(x, y)), a.found, b.found, patients=patients).json(),
        "score_correlation": estimate(lambda x, y: metrics.macro(metrics.correlation(x, y)), a.scores, b.scores, patients=patients).json(),
        "measure_correlation": [float(r) for r in metrics.correlation(a.measures, b.measures)],
        "embedding_similarity": float((a.embeds * b.embeds).sum(1).mean()),
        "partner_recall_at_1": float((ranks <= 1).mean()) if len(ranks) else float("nan"),
        "partner_recall_at_5": float((ranks <= 5).mean()) if len(ranks) else float("nan"),
        "partner_median_rank": float(np.median(ranks)) if len(ranks) else float("nan"),
        "candidates": GROUP,
    }


def study_agreement(parts: dict[Modality, Reading], patients: np.ndarray) -> dict[str, Any]:
    """Every pair of parts, for instance "frontal+lateral" => figures."""
    return {f"{m}+{n}": pair_agreement(parts[m], parts[n], patients) for m, n in combinations([m for m in Modality if m in parts], 2)}
