"""From test scores to figures: AUROC and F1 of every regime with intervals, and what synthetic data adds, paired on the
same studies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from omnicxr.domain import Finding
from omnicxr.downstream.spec import CUT, FILLED, REAL, SYNTHETIC, Cell, StudySpec
from omnicxr.evaluation.measures import metrics
from omnicxr.evaluation.measures.uncertainty import compare, estimate


@dataclass(frozen=True)
class CellResult:
    """What one classifier made of the real test studies."""

    scores: np.ndarray
    """[n, 14]."""
    found: np.ndarray
    """bool [n, 14]: above thresholds from real validation studies, in every regime."""
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


def summary(spec: StudySpec, results: Results) -> dict[str, Any]:
    """All figures of a view. Every figure is the mean over seeds; intervals are over patients of the test set, with the
    same seeds."""
    scarcity = []
    for regime in spec.regimes:
        for share in (1.0,) if regime == SYNTHETIC else spec.real_shares:
            cells = results.of(regime=regime, share=share, finding=None)
            base = results.of(regime=REAL, share=max(spec.real_shares) if regime == SYNTHETIC else share)
            scarcity.append(
                {
                    "regime": regime,
                    "real_share": None if regime == SYNTHETIC else share,
                    "studies": cells[0].studies,
                    **_figures(results, cells),
                    "minus_real": _difference(results, cells, base, metrics.auroc) if base and regime != REAL else None,
                }
            )
    return {"scarcity": scarcity, "imbalance": _imbalance(spec, results)}


def _imbalance(spec: StudySpec, results: Results) -> list[dict[str, Any]]:
    out = []
    for finding in spec.imbalance.findings:
        column = list(Finding).index(finding)

        def one(labels: np.ndarray, scores: np.ndarray, column: int = column) -> np.ndarray:
            return metrics.auroc(labels[:, [column]], scores[:, [column]])

        whole = results.of(regime=REAL, share=1.0)
        for keep in spec.imbalance.keep:
            cut, filled = (results.of(regime=r, finding=finding, keep=keep) for r in (CUT, FILLED))
            out.append(
                {
                    "finding": finding,
                    "keep": keep,
                    **{
                        name: _seed_mean(results, cells, one)
                        for name, cells in (("whole", whole), (CUT, cut), (FILLED, filled))
                    },
                    "filled_minus_cut": _difference(results, filled, cut, one),
                }
            )
    return out


def _figures(results: Results, cells: list[CellResult]) -> dict[str, Any]:
    per_finding = np.mean(
        [metrics.auroc(results.labels, c.scores) for c in cells], axis=0
    )  # NaN for the same findings in all of them
    by_seed = [metrics.macro(metrics.auroc(results.labels, c.scores)) for c in cells]
    f1 = np.mean([metrics.f1(results.labels, c.found) for c in cells], axis=0)
    return {
        "auroc_macro": _seed_mean(results, cells, metrics.auroc),
        "auroc_of_seeds": by_seed,
        **{
            f"f1_{name}": _mean_over_seeds(results, cells, figure)
            for name, figure in (
                ("macro", metrics.macro_f1),
                ("micro", metrics.micro_f1),
                ("weighted", metrics.weighted_f1),
            )
        },
        "auroc": dict(zip(map(str, Finding), map(float, per_finding), strict=True)),
        "f1": dict(zip(map(str, Finding), map(float, f1), strict=True)),
    }


def _mean_over_seeds(results: Results, cells: list[CellResult], figure: Callable[..., float]) -> dict[str, Any]:
    return estimate(
        lambda labels, *found: float(np.mean([figure(labels, f) for f in found])),
        results.labels,
        *(c.found for c in cells),
        patients=results.patients,
    ).json()


def _seed_mean(results: Results, cells: list[CellResult], per_finding: Callable[..., np.ndarray]) -> dict[str, Any]:
    return estimate(
        _over_seeds(per_finding), results.labels, *(c.scores for c in cells), patients=results.patients
    ).json()


def _difference(
    results: Results, a: list[CellResult], b: list[CellResult], per_finding: Callable[..., np.ndarray]
) -> dict[str, Any]:
    """Mean over seeds of A minus that of B, on the same resamples of the test set."""
    first, second = ((results.labels, *(c.scores for c in cells)) for cells in (a, b))
    return asdict(compare(_over_seeds(per_finding), first, second, patients=results.patients))


def _over_seeds(per_finding: Callable[..., np.ndarray]) -> Callable[..., float]:
    return lambda labels, *scores: float(np.mean([metrics.macro(per_finding(labels, s)) for s in scores]))
