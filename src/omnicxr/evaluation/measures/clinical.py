"""Do generated pictures show, and generated reports state, what the study has? Findings against labels, estimates
against continuous truth.

Only a positive label counts as positive; uncertain and not mentioned count as negative.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from omnicxr.data.measures import by_side
from omnicxr.domain import Finding
from omnicxr.domain.measures import LOBES, MEASURES, PLACES, extent
from omnicxr.evaluation.measures import metrics
from omnicxr.evaluation.measures.uncertainty import Estimate, estimate, mean_estimate
from omnicxr.evaluation.readers.panel import Reading
from omnicxr.evaluation.results import (
    F1,
    Auroc,
    FindingScores,
    FrequentF1,
    LesionSize,
    MeasureError,
    Share,
    TruthErrors,
)

USUAL_FIVE = (Finding.ATELECTASIS, Finding.CARDIOMEGALY, Finding.CONSOLIDATION, Finding.EDEMA, Finding.PLEURAL_EFFUSION)
_FIVE = [list(Finding).index(f) for f in USUAL_FIVE]
FREQUENT = 14
"""Positive studies from which on a finding is frequent: on the 590 test studies of Open-I, mostly normal, five are, and
the others have eight or fewer, of which F1 says nothing."""


def finding_scores(
    labels: np.ndarray, found: np.ndarray, patients: np.ndarray, *, known: np.ndarray | None = None
) -> FindingScores:
    """F1 of findings found, bool [n, 14] like the labels, over the 14, the usual 5 and the frequent ones.

    `known`, bool [14]: findings that the reader can find; the others are left out of everything.
    """
    known = np.ones(len(Finding), bool) if known is None else known
    five = [i for i in _FIVE if known[i]]
    return FindingScores(
        all=_f1(labels[:, known], found[:, known], patients),
        usual_five=_f1(labels[:, five], found[:, five], patients),
        frequent=_frequent(labels, found, patients, known=known),
        f1_by_finding=_by_finding(np.where(known, metrics.f1(labels, found), np.nan)),
    )


def view_findings(reading: Reading, labels: np.ndarray, patients: np.ndarray) -> tuple[Auroc, FindingScores]:
    """Of the classifier's reading of pictures."""
    per_finding = metrics.auroc(labels, reading.scores)
    auroc = Auroc(
        macro=estimate(macro_auroc, labels, reading.scores, patients=patients),
        macro_of_five=metrics.macro(per_finding[_FIVE]),
        by_finding=_by_finding(per_finding),
    )
    return auroc, finding_scores(labels, reading.found, patients, known=reading.known)


def at_chance(own: Auroc) -> bool:
    """Whether a reader is no better than chance: the interval of its own macro AUROC reaches 0.5 or lies below it.

    False where it has no interval, as then nothing has an AUROC.
    """
    return own.macro.low <= 0.5


def truth_errors(measures: np.ndarray, truth: np.ndarray, patients: np.ndarray) -> TruthErrors:
    """The judge's estimates [n, m] against the continuous truth [n, m] (`domain.measures.MEASURES`)."""
    r = metrics.correlation(measures, truth)
    errors = {
        name: MeasureError(mean_estimate(np.abs(measures[:, i] - truth[:, i]), patients), float(r[i]))
        for i, name in enumerate(MEASURES)
    }
    by_place = {kind: _LesionEstimates.of(kind, measures, truth) for kind in PLACES}
    return TruthErrors(
        measures=errors,
        size={kind: found.size() for kind, found in by_place.items()},
        side=right_sides(measures, truth, patients),
        place={kind: found.right_share(patients) for kind, found in by_place.items() if PLACES[kind] == LOBES},
    )


def right_sides(measures: np.ndarray, truth: np.ndarray, patients: np.ndarray) -> dict[str, Share]:
    """Kind of lesion => of the studies that have it on one side only, the share that is estimated larger there."""
    return {
        kind: _LesionEstimates(by_side(kind, measures), by_side(kind, truth)).right_share(patients) for kind in PLACES
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

    def size(self) -> LesionSize:
        has = (self.truth > 0).any(1)
        if not has.any():
            return LesionSize(float("nan"), 0)
        estimated, true = (v[has].sum(1, keepdims=True) for v in (self.estimate, self.truth))
        return LesionSize(float(metrics.correlation(estimated, true)[0]), int(has.sum()))

    def right_share(self, patients: np.ndarray) -> Share:
        """Of the studies with the lesion in one place only: how often the largest estimate is there."""
        one = (self.truth > 0).sum(1) == 1
        if one.sum() < metrics.MIN_CASES:
            return Share(float("nan"), float("nan"), float("nan"), int(one.sum()))
        right = self.estimate.argmax(1) == self.truth.argmax(1)
        return Share(**asdict(mean_estimate(right[one], patients[one])), studies=int(one.sum()))


def macro_auroc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Mean AUROC over the findings that have one."""
    return metrics.macro(metrics.auroc(labels, scores))


def _f1(labels: np.ndarray, found: np.ndarray, patients: np.ndarray) -> F1:
    return F1(
        micro=estimate(metrics.micro_f1, labels, found, patients=patients),
        macro=estimate(metrics.macro_f1, labels, found, patients=patients),
        weighted=metrics.weighted_f1(labels, found),
    )


def _frequent(labels: np.ndarray, found: np.ndarray, patients: np.ndarray, *, known: np.ndarray) -> FrequentF1:
    counts = labels.sum(0)
    chosen = [i for i, f in enumerate(Finding) if known[i] and counts[i] >= FREQUENT and f is not Finding.NO_FINDING]
    if not chosen:
        none = Estimate(float("nan"), float("nan"), float("nan"))
        return FrequentF1([], none, none)
    f1 = _f1(labels[:, chosen], found[:, chosen], patients)
    return FrequentF1([list(Finding)[i] for i in chosen], f1.micro, f1.macro)


def _by_finding(values: np.ndarray) -> dict[Finding, float]:
    return dict(zip(Finding, map(float, values), strict=True))
