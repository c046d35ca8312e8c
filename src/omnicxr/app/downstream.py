"""`omnicxr study`: the study, its tables and its page."""

from __future__ import annotations

from typing import Any

from omnicxr.app.console import Bar, console
from omnicxr.app.evaluate import print_table
from omnicxr.app.page import Page
from omnicxr.app.plots import new_figure
from omnicxr.data.files import write_json, write_text
from omnicxr.downstream.results import summary
from omnicxr.downstream.spec import SYNTHETIC
from omnicxr.downstream.study import RECORD, DownstreamStudy
from omnicxr.downstream.tables import headline, study_tables
from omnicxr.evaluation.evaluate import finite
from omnicxr.evaluation.tables import latex, markdown


def run_study(study: DownstreamStudy, progress: Bar) -> dict[str, Any]:
    """metrics.json, tables.md, tables.tex and report.html in the study's folder, the tables on the console."""
    study.run(progress)
    views = {view: summary(study.spec, study.results(view)) for view in study.spec.views}
    result = finite({"about": RECORD, "test_studies": len(study.real["test"]), "views": views})
    found = study_tables(result)
    write_json(study.out / "metrics.json", result)
    write_text(study.out / "tables.md", markdown(found))
    write_text(study.out / "tables.tex", latex(found))
    page = Page("What synthetic studies are worth")
    page.text(headline(result))
    for view, figures in views.items():
        page.heading(f"{view}: AUROC over the share of real data")
        page.plot(_curves(figures), f"AUROC of every regime, {view} views")
    for table in found:
        page.heading(table.title)
        page.text(table.note)
        page.table(table.columns, table.rows)
    write_text(study.out / "report.html", page.html())
    for table in found:
        print_table(table)
    console.print(f"Open {study.out / 'report.html'}")
    return result


def _curves(figures: dict[str, Any]) -> Any:
    """A line with its interval and a dot per seed for every regime; synthetic alone, which needs no real data,
    across."""
    figure, ((axis,),) = new_figure(7, 4)
    for number, regime in enumerate(dict.fromkeys(f["regime"] for f in figures["scarcity"])):
        shown, colour = [f for f in figures["scarcity"] if f["regime"] == regime], f"C{number}"
        value, low, high = ([f["auroc_macro"][k] for f in shown] for k in ("value", "low", "high"))
        if regime == SYNTHETIC:
            axis.axhline(value[0], color=colour, label=regime)
            axis.axhspan(low[0], high[0], color=colour, alpha=0.1)
            continue
        shares = [f["real_share"] for f in shown]
        axis.plot(shares, value, marker="o", markersize=3, color=colour, label=regime)
        axis.fill_between(shares, low, high, color=colour, alpha=0.15)
        for share, f in zip(shares, shown, strict=True):
            axis.plot([share] * len(f["auroc_of_seeds"]), f["auroc_of_seeds"], ".", markersize=2, color=colour)
    axis.set_xscale("log")
    axis.set_xlabel("share of the real training patients")
    axis.set_ylabel("macro AUROC on real test studies")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    return figure
