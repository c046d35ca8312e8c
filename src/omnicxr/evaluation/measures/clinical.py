"""Do generated pictures show, and generated reports state, what the study has? Findings against labels, estimates
against continuous truth.

Only a positive label counts as positive; uncertain and not mentioned count as negative.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from omnicxr.data.measures import by_side
from omnicxr.domain import Finding
from omnicxr.domain.measures import LOBES, MEASURES, PLACES, extent
from omnicxr.evaluation.measures import metrics
from omnicxr.evaluation.measures.uncertainty import estimate, mean_estimate
from omnicxr.evaluation.readers.panel import Reading

USUAL_FIVE = (Finding.ATELECTASIS, Finding.CARDIOMEGALY, Finding.CONSOLIDATION, Finding.EDEMA, Finding.PLEURAL_EFFUSION)
_FIVE = [list(Finding).index(f) for f in USUAL_FIVE]


def finding_scores(
    labels: np.ndarray, found: np.ndarray, patients: np.ndarray, known: np.ndarray | None = None
) -> dict[str, Any]:
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
    return {
        "by_labeler": finding_scores(labels, reading.stated, patients),
        "by_judge": finding_scores(labels, reading.found, patients),
    }


def truth_errors(measures: np.ndarray, truth: np.ndarray, patients: np.ndarray) -> dict[str, Any]:
    """The judge's estimates [n, m] against the continuous truth [n, m] (`domain.measures.MEASURES`): error and
    correlation of each measure, and

    `size`: of the studies with the lesion, the correlation of its extents added up over all places; `side`: of those
    that have it on one side only, the share in which the mean estimate is larger on that side (0.5 is chance); `place`:
    for lesions of lobes, of those that have it in one lobe only, the share in which the largest estimate is that lobe's
    (0.2 is chance).
    """
    r = metrics.correlation(measures, truth)
    errors = {
        name: {
            "mean_absolute_error": mean_estimate(np.abs(measures[:, i] - truth[:, i]), patients).json(),
            "correlation": float(r[i]),
        }
        for i, name in enumerate(MEASURES)
    }
    by_kind = {kind: _LesionEstimates.of(kind, measures, truth) for kind in PLACES}
    return {
        **errors,
        "size": {kind: found.size() for kind, found in by_kind.items()},
        "side": {kind: _LesionEstimates.by_side(kind, measures, truth).right_share(patients) for kind in PLACES},
        "place": {kind: found.right_share(patients) for kind, found in by_kind.items() if PLACES[kind] == LOBES},
    }


@dataclass(frozen=True)
class _LesionEstimates:
    """One kind of lesion: extents [n, places], estimated and true."""

    estimate: np.ndarray
    truth: np.ndarray

    @classmethod
    def of(cls, kind: str, measures: np.ndarray, truth: np.ndarray) -> _LesionEstimates:
        columns = [MEASURES.index(extent(kind, place)) for place in PLACES[kind]]
        return cls(measures[:, columns], truth[:, columns])

    @classmethod
    def by_side(cls, kind: str, measures: np.ndarray, truth: np.ndarray) -> _LesionEstimates:
        return cls(by_side(kind, measures), by_side(kind, truth))

    def size(self) -> dict[str, Any]:
        has = (self.truth > 0).any(1)
        r = (
            metrics.correlation(self.estimate[has].sum(1, keepdims=True), self.truth[has].sum(1, keepdims=True))[0]
            if has.any()
            else np.nan
        )
        return {"correlation": float(r), "studies": int(has.sum())}

    def right_share(self, patients: np.ndarray) -> dict[str, Any]:
        """Of the studies with the lesion in one place only: how often the largest estimate is there."""
        one = (self.truth > 0).sum(1) == 1
        if one.sum() < metrics.MIN_CASES:
            return {"value": None, "low": None, "high": None, "studies": int(one.sum())}
        right = self.estimate.argmax(1) == self.truth.argmax(1)
        return {**mean_estimate(right[one], patients[one]).json(), "studies": int(one.sum())}


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
