"""`omnicxr study`: the study, its tables and its page."""

from __future__ import annotations

from typing import Any

import numpy as np

from omnicxr.app.console import Bar, console
from omnicxr.app.evaluate import print_table
from omnicxr.app.page import Page
from omnicxr.app.plots import new_figure
from omnicxr.data.files import write_json, write_text
from omnicxr.data.typed_json import to_json
from omnicxr.downstream.results import StudyFigures, ViewFigures, summary
from omnicxr.downstream.spec import SYNTHETIC
from omnicxr.downstream.study import RECORD, DownstreamStudy
from omnicxr.downstream.tables import headline, study_tables
from omnicxr.evaluation.layout import latex, markdown
from omnicxr.evaluation.readers.panel import held_out_noun


def run_study(study: DownstreamStudy, progress: Bar) -> StudyFigures:
    """metrics.json, tables.md, tables.tex and report.html in the study's folder, the tables on the console."""
    study.run(progress)
    views = {view: summary(study.spec, study.results(view)) for view in study.spec.views}
    test = study.real["test"]
    result = StudyFigures(RECORD, len(test), held_out_noun(test, np.arange(len(test))), views)
    found = study_tables(result)
    write_json(study.out / "metrics.json", to_json(result))
    write_text(study.out / "tables.md", markdown(found))
    write_text(study.out / "tables.tex", latex(found))
    page = Page("What synthetic studies are worth")
    page.text(headline(result))
    for view, figures in views.items():
        page.heading(f"{view}: AUROC over the share of real data")
        if any(np.isfinite(f.auroc_macro.value) for f in figures.scarcity):
            page.plot(_curves(figures, result.held_out), f"AUROC of every regime, {view} views")
        else:
            page.text(f"Not measured: no finding has enough {result.held_out} test studies with it and without it.")
    for table in found:
        page.heading(table.title)
        page.text(table.note)
        page.table(table.columns, table.rows)
    write_text(study.out / "report.html", page.html())
    for table in found:
        print_table(table)
    console.print(f"Open {study.out / 'report.html'}")
    return result


def _curves(figures: ViewFigures, noun: str) -> Any:
    """A line with its interval and a dot per seed for every regime; synthetic alone, which needs no real data,
    across."""
    figure, ((axis,),) = new_figure(7, 4)
    for number, regime in enumerate(dict.fromkeys(f.regime for f in figures.scarcity)):
        shown, colour = [f for f in figures.scarcity if f.regime == regime], f"C{number}"
        value, low, high = ([getattr(f.auroc_macro, k) for f in shown] for k in ("value", "low", "high"))
        if regime == SYNTHETIC:
            axis.axhline(value[0], color=colour, label=regime)
            axis.axhspan(low[0], high[0], color=colour, alpha=0.1)
            continue
        shares = [f.real_share for f in shown]
        axis.plot(shares, value, marker="o", markersize=3, color=colour, label=regime)
        axis.fill_between(shares, low, high, color=colour, alpha=0.15)
        for f in shown:
            axis.plot([f.real_share] * len(f.auroc_of_seeds), f.auroc_of_seeds, ".", markersize=2, color=colour)
    axis.set_xscale("log")
    real = [f.real_share for f in figures.scarcity if f.real_share is not None]
    axis.set_xlim(min(real, default=0.5) / 1.1, 1.1)  # not from what is drawn, which may be a line across alone
    axis.set_xlabel("share of the training patients that synthetic ones are added to")
    axis.set_ylabel(f"macro AUROC on {noun} test studies")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    return figure
