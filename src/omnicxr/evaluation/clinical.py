"""Do generated pictures show, and generated reports state, what the study has? Findings against labels, estimates against continuous truth.

Only a positive label counts as positive; uncertain and not mentioned count as negative.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from omnicxr.domain import Finding
from omnicxr.evaluation import metrics
from omnicxr.evaluation.reader import Reading
from omnicxr.evaluation.uncertainty import estimate, mean_estimate
from omnicxr.models.judge import MEASURES

USUAL_FIVE = (Finding.ATELECTASIS, Finding.CARDIOMEGALY, Finding.CONSOLIDATION, Finding.EDEMA, Finding.PLEURAL_EFFUSION)
_FIVE = [list(Finding).index(f) for f in USUAL_FIVE]


def finding_scores(labels: np.ndarray, found: np.ndarray, patients: np.ndarray, known: np.ndarray | None = None) -> dict[str, Any]:
    """F1 over the 14 findings and the usual 5: micro with interval, macro with interval, weighted, and per finding.

    `known`, bool [14]: findings that the reader can find; the others are left out of everything.
    """
    known = np.ones(len(Finding), bool) if known is None else known
    five = [i for i in _FIVE if known[i]]
    return {
        **_f1s(labels[:, known], found[:, known], patients),
        "usual_five": _f1s(labels[:, five], found[:, five], patients),
        "f1": _by_finding(np.where(known, metrics.f1(labels, found), np.nan)),
    }


def image_findings(reading: Reading, labels: np.ndarray, patients: np.ndarray) -> dict[str, Any]:
    """AUROC (macro with interval, per finding) and F1 of the classifier's reading of pictures."""
    per_finding = metrics.auroc(labels, reading.scores)
    return {
        "auroc_macro": estimate(macro_auroc, labels, reading.scores, patients=patients).json(),
        "auroc_usual_five": metrics.macro(per_finding[_FIVE]),
        "auroc": _by_finding(per_finding),
        **finding_scores(labels, reading.found, patients, reading.known),
    }


def report_findings(reading: Reading, labels: np.ndarray, patients: np.ndarray) -> dict[str, Any]:
    """F1 of what reports state, by the labeler (`by_labeler`) and by the judge's report classifier (`by_judge`)."""
    assert reading.stated is not None
    return {"by_labeler": finding_scores(labels, reading.stated, patients), "by_judge": finding_scores(labels, reading.found, patients)}


def truth_errors(measures: np.ndarray, truth: np.ndarray, patients: np.ndarray) -> dict[str, Any]:
    """The judge's estimates [n, 7] against the continuous truth [n, 7]: mean absolute error and correlation per measure, and sides.

    Cardiothoracic ratio as such; effusion, pneumothorax and consolidation as extents of 0..1 on each side, 0 where absent. `side`: of the studies
    with the finding on one side only, the share in which the estimate is larger on that side (0.5 is chance).
    """
    r = metrics.correlation(measures, truth)
    errors = {
        name: {"mean_absolute_error": mean_estimate(np.abs(measures[:, i] - truth[:, i]), patients).json(), "correlation": float(r[i])}
        for i, name in enumerate(MEASURES)
    }
    return {**errors, "side": {kind: _side(measures, truth, patients, kind) for kind in ("effusion", "pneumothorax", "consolidation")}}


def _side(measures: np.ndarray, truth: np.ndarray, patients: np.ndarray, kind: str) -> dict[str, Any]:
    left, right = (MEASURES.index(f"{kind}_{side}") for side in ("left", "right"))
    one_sided = (truth[:, left] > 0) != (truth[:, right] > 0)
    if one_sided.sum() < metrics.MIN_CASES:
        return {"value": None, "low": None, "high": None, "studies": int(one_sided.sum())}
    right_one = (measures[:, left] > measures[:, right]) == (truth[:, left] > truth[:, right])
    return {**mean_estimate(right_one[one_sided], patients[one_sided]).json(), "studies": int(one_sided.sum())}


def macro_auroc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Mean AUROC over the findings that have one."""
    return metrics.macro(metrics.auroc(labels, scores))


def _f1s(labels: np.ndarray, found: np.ndarray, patients: np.ndarray) -> dict[str, Any]:
    return {
        "f1_micro": estimate(metrics.micro_f1, labels, found, patients=patients).json(),
        "f1_macro": estimate(metrics.macro_f1, labels, found, patients=patients).json(),
        "f1_weighted": metrics.weighted_f1(labels, found),
    }


def _by_finding(values: np.ndarray) -> dict[str, float]:
    return dict(zip(map(str, Finding), map(float, values), strict=True))
