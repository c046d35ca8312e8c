"""The figures of a downstream study as tables: a row per regime and share of real data, a column per metric."""

from __future__ import annotations

from typing import Any

from omnicxr.domain import Finding
from omnicxr.evaluation.tables import NOT_MEASURED, Table, number

NOTE = (
    "Tested on real test studies; means over seeds, 95 % intervals by bootstrap over patients. Thresholds of F1 come"
    " from real validation studies in every regime. The difference is paired, with its two-sided p value, not corrected"
    " for the number of rows."
)


def study_tables(result: dict[str, Any]) -> list[Table]:
    """Every table of `metrics.json`."""
    made = [
        make(view, figures) for view, figures in result["views"].items() for make in (_scarcity, _by_finding, _rare)
    ]
    return [t for t in made if t.rows]


def share_text(share: float | None) -> str:
    """0.05 => "5 %"; None, for no real study at all, => "0"."""
    return "0" if share is None else f"{100 * share:g} %"


def _scarcity(view: str, figures: dict[str, Any]) -> Table:
    rows = []
    for f in figures["scarcity"]:
        d = f["minus_real"]
        rows.append(
            (
                f["regime"],
                share_text(f["real_share"]),
                str(f["studies"]),
                number(f["auroc_macro"]),
                number(d),
                number(d["p_value"] if d else None),
                number(f["f1_macro"]),
                number(f["f1_micro"]),
                number(f["f1_weighted"]),
            )
        )
    columns = ("trained on", "real", "studies", "AUROC", "minus real alone", "p", "F1 macro", "F1 micro", "F1 weighted")
    return Table(f"Classifiers of {view} views", NOTE, columns, rows)


def _by_finding(view: str, figures: dict[str, Any]) -> Table:
    """With the most real data that was tried."""
    most = max((f["real_share"] or 0 for f in figures["scarcity"]), default=0)
    shown = [f for f in figures["scarcity"] if f["real_share"] in (None, most)]
    rows = []
    for finding in map(str, Finding):
        if any(f["auroc"][finding] is not None for f in shown):
            rows.append(
                (finding, *(number(f["auroc"][finding]) for f in shown), *(number(f["f1"][finding]) for f in shown))
            )
    columns = ("finding", *(f"AUROC, {f['regime']}" for f in shown), *(f"F1, {f['regime']}" for f in shown))
    note = "Findings with too few test studies are left out."
    return Table(f"By finding, {view} views, {share_text(most)} of the real studies", note, columns, rows)


def _rare(view: str, figures: dict[str, Any]) -> Table:
    rows = [
        (
            f["finding"],
            str(f["keep"]),
            number(f["whole"]),
            number(f["cut"]),
            number(f["filled"]),
            number(f["filled_minus_cut"]),
            number(f["filled_minus_cut"]["p_value"]),
        )
        for f in figures["imbalance"]
    ]
    note = (
        "AUROC of the finding, when all but a few of its real training studies are taken away, and when as many"
        " synthetic ones take their place."
    )
    columns = ("rare finding", "real left", "all real", "cut", "filled up", "filled - cut", "p")
    return Table(f"Rare findings, {view} views", note, columns, rows)


def headline(result: dict[str, Any]) -> str:
    """One sentence: synthetic alone against real alone."""
    parts = []
    for view, figures in result["views"].items():
        for f in figures["scarcity"]:
            if f["real_share"] is None and f["minus_real"]:
                parts.append(f"{view}: synthetic alone minus real alone {number(f['minus_real'])}")
    return "; ".join(parts) or NOT_MEASURED
