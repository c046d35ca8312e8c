"""From test scores to figures: AUROC and F1 of every regime with intervals, and what synthetic data adds, paired on the
same studies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from omnicxr.domain import Finding, Modality
from omnicxr.downstream.spec import CUT, FILLED, REAL, SYNTHETIC, Cell, StudySpec
from omnicxr.evaluation.measures import metrics
from omnicxr.evaluation.measures.uncertainty import Difference, Estimate, compare, estimate


@dataclass(frozen=True)
class CellResult:
    """What one classifier made of the test studies."""

    scores: np.ndarray
    """[n, 14]."""
    found: np.ndarray
    """bool [n, 14]: above thresholds from the validation studies beside them, in every regime."""
    studies: int
    """That it was trained on last."""


@dataclass(frozen=True)
class Results:
    """One view of a study."""

    labels: np.ndarray
    """bool [n, 14]."""
    patients: np.ndarray
    cells: dict[Cell, CellResult]

    def of(self, **wanted: Any) -> list[CellResult]:
        """The seeds of one setting: cells with these fields."""
        return [r for cell, r in self.cells.items() if all(getattr(cell, k) == v for k, v in wanted.items())]


@dataclass(frozen=True)
class RegimeFigures:
    """Classifiers of one regime and share of real data: every figure is the mean over seeds."""

    regime: str
    real_share: float | None
    """None where no real study was trained on."""
    studies: int
    auroc_macro: Estimate
    auroc_of_seeds: list[float]
    f1_macro: Estimate
    f1_micro: Estimate
    f1_weighted: Estimate
    auroc: dict[Finding, float]
    f1: dict[Finding, float]
    minus_real: Difference | None
    """Macro AUROC minus that of real data alone."""


@dataclass(frozen=True)
class RareFigures:
    """AUROC of a finding of which only `keep` real studies were left."""

    finding: Finding
    keep: int
    whole: Estimate
    cut: Estimate
    filled: Estimate
    filled_minus_cut: Difference


@dataclass(frozen=True)
class ViewFigures:
    """All figures of the classifiers of one view."""

    scarcity: list[RegimeFigures]
    imbalance: list[RareFigures]


@dataclass(frozen=True)
class StudyFigures:
    """The study's metrics.json."""

    about: str
    """The file beside it that holds the settings."""
    test_studies: int
    held_out: str
    """What the test studies are to be called: "real", or "held-out simulated"."""
    views: dict[Modality, ViewFigures]


def summary(spec: StudySpec, results: Results) -> ViewFigures:
    """All figures of a view; intervals are over patients of the test set, with the same seeds."""
    scarcity = []
    for regime in spec.regimes:
        for share in (1.0,) if regime == SYNTHETIC else spec.real_shares:
            cells = results.of(regime=regime, share=share, finding=None)
            base = results.of(regime=REAL, share=max(spec.real_shares) if regime == SYNTHETIC else share)
            difference = (
                _difference(results, cells, base, per_finding=metrics.auroc) if regime != REAL and base else None
            )
            real_share = None if regime == SYNTHETIC else share
            scarcity.append(_figures(results, cells, regime=regime, real_share=real_share, minus_real=difference))
    return ViewFigures(scarcity, _imbalance(spec, results))


def _imbalance(spec: StudySpec, results: Results) -> list[RareFigures]:
    out = []
    for finding in spec.imbalance.findings:
        column = list(Finding).index(finding)

        def one(labels: np.ndarray, scores: np.ndarray, column: int = column) -> np.ndarray:
            return metrics.auroc(labels[:, [column]], scores[:, [column]])

        for keep in spec.imbalance.keep:
            cut, filled = (results.of(regime=r, finding=finding, keep=keep) for r in (CUT, FILLED))
            figures = RareFigures(
                finding=finding,
                keep=keep,
                whole=_auroc(results, results.of(regime=REAL, share=1.0), one),
                cut=_auroc(results, cut, one),
                filled=_auroc(results, filled, one),
                filled_minus_cut=_difference(results, filled, cut, per_finding=one),
            )
            out.append(figures)
    return out


def _figures(
    results: Results, cells: list[CellResult], *, regime: str, real_share: float | None, minus_real: Difference | None
) -> RegimeFigures:
    auroc = np.array([metrics.auroc(results.labels, c.scores) for c in cells])  # NaN for the same findings in all
    f1 = np.mean([metrics.f1(results.labels, c.found) for c in cells], axis=0)
    return RegimeFigures(
        regime=regime,
        real_share=real_share,
        studies=cells[0].studies,
        auroc_macro=_auroc(results, cells, metrics.auroc),
        auroc_of_seeds=[metrics.macro(a) for a in auroc],
        f1_macro=_f1(results, cells, metrics.macro_f1),
        f1_micro=_f1(results, cells, metrics.micro_f1),
        f1_weighted=_f1(results, cells, metrics.weighted_f1),
        auroc=dict(zip(Finding, map(float, auroc.mean(0)), strict=True)),
        f1=dict(zip(Finding, map(float, f1), strict=True)),
        minus_real=minus_real,
    )


def _f1(results: Results, cells: list[CellResult], figure: Callable[..., float]) -> Estimate:
    return estimate(
        lambda labels, *found: float(np.mean([figure(labels, f) for f in found])),
        results.labels,
        *(c.found for c in cells),
        patients=results.patients,
    )


def _auroc(results: Results, cells: list[CellResult], per_finding: Callable[..., np.ndarray]) -> Estimate:
    scores = (c.scores for c in cells)
    return estimate(_over_seeds(per_finding), results.labels, *scores, patients=results.patients)


def _difference(
    results: Results, a: list[CellResult], b: list[CellResult], *, per_finding: Callable[..., np.ndarray]
) -> Difference:
    """Mean over seeds of A minus that of B, on the same resamples of the test set."""
    first, second = ((results.labels, *(c.scores for c in cells)) for cells in (a, b))
    return compare(_over_seeds(per_finding), first, second, patients=results.patients)


def _over_seeds(per_finding: Callable[..., np.ndarray]) -> Callable[..., float]:
    return lambda labels, *scores: float(np.mean([metrics.macro(per_finding(labels, s)) for s in scores]))
