"""The tables of generated reports: their text, beside published figures, and what they state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from omnicxr.evaluation.layout import Columns, Table, number, row_name, table
from omnicxr.evaluation.published import STUDIES
from omnicxr.evaluation.references import NAMES
from omnicxr.evaluation.results import Evaluation, FindingScores, Refused, ReportScores
from omnicxr.evaluation.text_results import TextScores

TEXT_TITLE = "Report text"
PREDICTORS = tuple(reversed(NAMES))
"""The best first."""
FINDINGS: Mapping[str, Callable[[FindingScores], Any]] = {
    "F1 micro": lambda f: f.all.micro,
    "F1 macro": lambda f: f.all.macro,
    "F1 weighted": lambda f: f.all.weighted,
    "F1 micro, frequent": lambda f: f.frequent.micro,
    "F1 macro, frequent": lambda f: f.frequent.macro,
    "F1 micro, 5": lambda f: f.usual_five.micro.value,
    "F1 macro, 5": lambda f: f.usual_five.macro.value,
}


@dataclass(frozen=True)
class _Text:
    """A row: text scores, and whose reports they are where more is known of them."""

    scores: TextScores | Refused
    report: ReportScores | None = None


TEXT: Columns[_Text] = {
    **{
        title: lambda r, name=name: getattr(r.scores, name, None)
        for title, name in (
            *((f"BLEU-{n}", f"bleu{n}") for n in (1, 2, 3, 4)),
            *(("METEOR", "meteor"), ("ROUGE-L", "rouge_l"), ("CIDEr", "cider")),
        )
    },
    "F1 micro, frequent": lambda r: r.report.by_labeler.frequent.micro if r.report else None,
    "RadGraph F1": lambda r: r.report.radgraph["partial"] if r.report and r.report.radgraph else None,
    "distinct": lambda r: r.report.distinct_share if r.report else None,
    "copied": lambda r: r.report.privacy.copied_share if r.report and r.report.privacy else None,
    "words": lambda r: number(r.report.words.mean, 1) if r.report else None,
}


def reports(result: Evaluation) -> list[tuple[str, ReportScores]]:
    """Name of the row => figures, for every task that generates reports."""
    return [(row_name(task, s), s.report) for task, s in result.tasks.items() if s.report]


def text_table(result: Evaluation) -> Table:
    """Every task; predictors that need no model, for the task that is given most; and what others have published."""
    shown = [*reports(result), *_predicted(result)]
    rows: list[tuple[str, Any]] = []
    for name, s in shown:
        rows.append((name, _Text(s.text, s)))
        if s.text_as_published:
            rows.append((f"{name}, as published", _Text(s.text_as_published)))
    if shown:
        rows += [(f"{p.system} ({p.year}), published", _Text(p.text)) for p in result.published]
    note = f"Against the study's own report. {result.about.text}{_frequent_note(result)}"
    if result.published:
        note += (
            f" Published: both views -> findings on {STUDIES} test studies, as tables of later papers quote them; here"
            f" {result.about.studies} {result.about.split} studies. These scores say how usual a report is: read them"
            " beside the F1 of the findings, and beside predictors that need no model."
        )
    return table(TEXT_TITLE, TEXT, rows, note=note)


def _predicted(result: Evaluation) -> list[tuple[str, ReportScores]]:
    """Of predictors, for the task that is given most of those that generate reports."""
    most = max((t for t, s in result.tasks.items() if s.report), key=lambda t: len(t.given), default=None)
    found = [(name, result.references[name][most]) for name in PREDICTORS if most and name in result.references]
    return [(f"{name}, {most}", s.report) for name, s in found if s.report]


def _frequent_note(result: Evaluation) -> str:
    """Which findings are frequent."""
    own = result.held_out.report
    if own is None or not own.by_labeler.frequent.findings:
        return " No finding is frequent enough in these studies for an F1 of its own."
    return f" Frequent: {', '.join(own.by_labeler.frequent.findings).lower()}."


def report_findings_table(result: Evaluation) -> Table:
    """What the reports of every task state, of predictors too, against the labels."""
    columns: Columns[tuple[FindingScores, FindingScores | None]] = {
        **{title: lambda f, get=get: get(f[0]) for title, get in FINDINGS.items()},
        "micro, judge": lambda f: f[1].all.micro if f[1] else None,
        "macro, judge": lambda f: f[1].all.macro if f[1] else None,
    }
    noun, own = result.about.held_out, result.held_out
    shown = [*reports(result), *_predicted(result)]
    rows: list[Any] = [(name, (s.by_labeler, s.by_judge)) for name, s in shown]
    if rows and own.report:
        rows.append((f"{noun} reports", (own.report.by_labeler, own.report.by_judge)))
    if rows and result.held_out_both_views:
        rows.append((f"judge, from the {noun} views", (result.held_out_both_views, None)))
    note = (
        "What reports state, by the labeler (last two columns: by the judge's report classifier), against the labels of"
        f" the study.{_frequent_note(result)}"
    )
    return table("Findings in generated reports", columns, rows, note=note)
