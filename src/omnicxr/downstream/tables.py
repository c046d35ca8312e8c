"""The figures of a downstream study as tables: a row per regime and share of real data, a column per metric."""

from __future__ import annotations

from omnicxr.domain import Finding, Modality
from omnicxr.downstream.results import RareFigures, RegimeFigures, StudyFigures, ViewFigures
from omnicxr.evaluation.layout import NOT_MEASURED, Columns, Table, number, table

NOTE = (
    "Tested on {noun} test studies, which with their training studies are the regime 'real'; means over seeds, 95 %"
    " intervals by bootstrap over patients. Thresholds of F1 come from validation studies of the same kind in every"
    " regime. The difference is paired, with its two-sided p value, not corrected for the number of rows."
)
SCARCITY: Columns[RegimeFigures] = {
    "real": lambda f: share_text(f.real_share),
    "studies": lambda f: str(f.studies),
    "AUROC": lambda f: f.auroc_macro,
    "minus real alone": lambda f: f.minus_real,
    "p": lambda f: f.minus_real.p_value if f.minus_real else None,
    "F1 macro": lambda f: f.f1_macro,
    "F1 micro": lambda f: f.f1_micro,
    "F1 weighted": lambda f: f.f1_weighted,
}
RARE: Columns[RareFigures] = {
    "real left": lambda f: str(f.keep),
    "all real": lambda f: f.whole,
    "cut": lambda f: f.cut,
    "filled up": lambda f: f.filled,
    "filled - cut": lambda f: f.filled_minus_cut,
    "p": lambda f: f.filled_minus_cut.p_value,
}


def study_tables(result: StudyFigures) -> list[Table]:
    """Every table that has rows."""
    found, note = [], NOTE.format(noun=result.held_out)
    for view, figures in result.views.items():
        scarcity = [(f.regime, f) for f in figures.scarcity]
        found.append(table(f"Classifiers of {view} views", SCARCITY, scarcity, note=note, first="trained on"))
        found += [_by_finding(view, figures), _rare(view, figures)]
    return [t for t in found if t.rows]


def share_text(share: float | None) -> str:
    """0.05 => "5 %"; None, for no real study at all, => "0"."""
    return "0" if share is None else f"{100 * share:g} %"


def _by_finding(view: Modality, figures: ViewFigures) -> Table:
    """With the most real data that was tried."""
    most = max((f.real_share or 0 for f in figures.scarcity), default=0)
    shown = [f for f in figures.scarcity if f.real_share in (None, most)]
    columns: Columns[Finding] = {
        **{f"AUROC, {s.regime}": lambda f, s=s: s.auroc[f] for s in shown},
        **{f"F1, {s.regime}": lambda f, s=s: s.f1[f] for s in shown},
    }
    rows = [(str(f), f) for f in Finding if any(s.auroc[f] >= 0 for s in shown)]
    title = f"By finding, {view} views, {share_text(most)} of the real studies"
    return table(title, columns, rows, note="Findings with too few test studies are left out.", first="finding")


def _rare(view: Modality, figures: ViewFigures) -> Table:
    note = (
        "AUROC of the finding, when all but a few of its real training studies are taken away, and when as many"
        " synthetic ones take their place."
    )
    rows = [(f.finding, f) for f in figures.imbalance]
    return table(f"Rare findings, {view} views", RARE, rows, note=note, first="rare finding")


def headline(result: StudyFigures) -> str:
    """One sentence: synthetic alone against real alone."""
    parts = []
    for view, figures in result.views.items():
        for f in figures.scarcity:
            if f.real_share is None and f.minus_real:
                parts.append(f"{view}: synthetic alone minus real alone {number(f.minus_real)}")
    return "; ".join(parts) or NOT_MEASURED
