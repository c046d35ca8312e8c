"""One evaluation on one page: what it means, plots, tables, and sheets of what was generated beside the held-out
studies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from omnicxr.app.page import Page
from omnicxr.app.plots import new_figure
from omnicxr.data.dataset import Parts, PreparedDataset
from omnicxr.data.files import write_text
from omnicxr.data.typed_json import to_json
from omnicxr.domain import IMAGE_MODALITIES, Modality, Task
from omnicxr.evaluation.comparison import study_ids
from omnicxr.evaluation.generation import load_parts, task_name
from omnicxr.evaluation.layout import latex, markdown
from omnicxr.evaluation.measures.uncertainty import Estimate
from omnicxr.evaluation.results import Evaluation, NearestPair, TaskScores
from omnicxr.evaluation.tables import tables
from omnicxr.training.sheets import grid

SHEET_STUDIES, SHEET_COLUMNS = 12, 6
REPORTS, COPIES = 4, 6
MEANING = (
    "Generated pictures are read by a classifier that has never been trained on generated ones. A figure is as good as"
    " that classifier: compare it with the same classifier on {noun} pictures (the lines '{noun}'), and with"
    " predictors that need no model (the table 'Bounds')."
)


def write_tables(result: Evaluation, out: Path) -> None:
    """OUT/tables.md and OUT/tables.tex."""
    found = tables(result)
    write_text(out / "tables.md", markdown(found))
    write_text(out / "tables.tex", latex(found))


def write_page(result: Evaluation, out: Path, data: Path) -> Path:
    """OUT/report.html, one file that opens anywhere; `result` is the metrics.json beside it."""
    page, noun = Page("Evaluation"), result.about.held_out
    page.text(f"{MEANING.format(noun=noun)} {result.not_valid(*Modality)}".strip())
    page.table(("setting", "value"), _settings(result))
    page.heading("Do generated parts show what the study has?")
    page.plot(_headlines(result), "headline figures with intervals")
    page.heading("Finding by finding")
    page.plot(_findings(result), f"AUROC by finding, generated against {noun}")
    page.heading("Do the parts of one study agree?")
    page.plot(_agreement(result), f"kappa of every pair of parts, with {noun} and shuffled pairs")
    for table in tables(result):
        page.heading(table.title)
        page.text(table.note)
        page.table(table.columns, table.rows)
    _sheets(page, result, out, data=data)
    write_text(out / "report.html", page.html())
    return out / "report.html"


def _settings(result: Evaluation) -> list[tuple[str, Any]]:
    """What the result was found with, a line each."""
    about = to_json(result.about)
    about |= about.pop("sampling") or {}
    about["extractors"] = ", ".join(about["extractors"])
    return [(name.replace("_", " "), value) for name, value in about.items() if value not in (None, "")]


def _headlines(result: Evaluation) -> Any:
    """A dot with its interval per task and part, the held-out studies as a line."""
    parts = [m for m in Modality if result.held_out.part(m)]
    figure, (axes,) = new_figure(4.4 * len(parts), 3.6, columns=len(parts))
    for axis, part in zip(axes, parts, strict=True):
        if result.not_valid(part):
            _left_out(axis, f"{part}: AUROC, macro")
            continue
        shown = [(str(task), _headline(s, part)) for task, s in result.tasks.items() if part in task.generate]
        _dots(axis, f"{part}: {'AUROC, macro' if part.is_image else 'F1, micro, by labeler'}", shown)
        axis.axvline(
            _headline(result.held_out, part).value, color="tab:green", linewidth=1, label=result.about.held_out
        )
        nearest = [_headline(s, part).value for t, s in result.references["nearest"].items() if part in t.generate]
        axis.plot(nearest, range(len(nearest)), "x", color="tab:gray", label="nearest training study")
        if shown:
            axis.legend(fontsize=7)
    return figure


def _headline(scores: TaskScores, part: Modality) -> Estimate:
    """The one figure of a part that a task generates."""
    if part.is_image:
        return scores.views[part].auroc.macro
    assert scores.report is not None
    return scores.report.by_labeler.all.micro


def _dots(axis: Any, title: str, shown: list[tuple[str, Estimate]]) -> None:
    """An estimate with its interval on each line; NaN is not drawn."""
    value, low, high = (np.array([getattr(e, k) for _, e in shown]) for k in ("value", "low", "high"))
    spread = np.abs([value - low, high - value])
    axis.errorbar(value, range(len(shown)), xerr=spread, fmt="o", markersize=4, capsize=2, label="this model")
    axis.set_yticks(range(len(shown)), [name for name, _ in shown], fontsize=7)
    axis.invert_yaxis()
    axis.set_title(title, fontsize=10)
    axis.grid(alpha=0.3)


def _left_out(axis: Any, title: str) -> None:
    """Where figures would be that do not count: the text above and the tables say why."""
    axis.set_title(f"{title}: left out, the reader is at chance", fontsize=10)
    axis.set_axis_off()


def _findings(result: Evaluation) -> Any:
    """Each finding once per task that generates one part: AUROC on held-out pictures across, on generated ones up."""
    views = [m for m in IMAGE_MODALITIES if m in result.held_out.views]
    figure, (axes,) = new_figure(4.5 * max(len(views), 1), 4.4, columns=max(len(views), 1))
    for axis, view in zip(axes, views, strict=False):
        if result.not_valid(view):
            _left_out(axis, f"{view}: AUROC by finding")
            continue
        across = list(result.held_out.views[view].auroc.by_finding.values())
        for task, scores in result.tasks.items():
            if task.generate == (view,):
                up = list(scores.views[view].auroc.by_finding.values())
                axis.plot(across, up, "o", markersize=4, alpha=0.7, label=str(task))
        axis.plot([0.4, 1], [0.4, 1], color="tab:gray", linewidth=0.8)
        axis.axhline(0.5, color="tab:gray", linewidth=0.8, linestyle=":")
        axis.set_title(f"{view}: a dot per finding", fontsize=10)
        axis.set_xlabel(f"AUROC on {result.about.held_out} pictures")
        axis.set_ylabel("AUROC on generated pictures")
        if axis.get_legend_handles_labels()[0]:
            axis.legend(fontsize=7)
    return figure


def _agreement(result: Evaluation) -> Any:
    """Kappa of every pair of parts of every task, beside that of held-out and of shuffled pairs."""
    rows = [
        (task, pair, a.finding_kappa)
        for task, s in result.tasks.items()
        for pair, a in s.agreement.items()
        if not result.not_valid(*map(Modality, pair.split("+")))
    ]
    shuffled = result.references["shuffled"]
    bounds = {
        f"{result.about.held_out} pairs": ("|", "tab:green", [result.held_out.agreement[pair] for _, pair, _ in rows]),
        "shuffled pairs": ("x", "tab:red", [shuffled[task].agreement[pair] for task, pair, _ in rows]),
    }
    figure, ((axis,),) = new_figure(9, 1 + 0.24 * max(len(rows), 4))
    _dots(axis, "kappa of the findings read from both parts", [(f"{task}: {pair}", e) for task, pair, e in rows])
    for label, (marker, colour, agreements) in bounds.items():
        values = [a.finding_kappa.value for a in agreements]
        axis.plot(values, range(len(values)), marker, color=colour, markersize=8, label=label)
    if rows:
        axis.legend(fontsize=7)
    return figure


def _sheets(page: Page, result: Evaluation, out: Path, *, data: Path) -> None:
    """For every task the same studies: held-out above, generated below."""
    test, training = PreparedDataset(data, result.about.split), PreparedDataset(data, "train")
    numbers = {s: i for i, s in enumerate(test.table.column("study_id").to_pylist())}
    noun = result.about.held_out
    for task, scores in result.tasks.items():
        parts = load_parts(out / "generated" / f"{task_name(task)}.npz")
        rows = np.array([numbers[s] for s in study_ids(out, task)[:SHEET_STUDIES]])
        page.heading(f"{task}: {noun} above, generated below")
        if scores.views:
            page.picture(_sheet(task, test, rows, parts=parts), f"sheet of {task}")
        if Modality.REPORT in task.generate:
            pairs = zip([test.reports[i] for i in rows[:REPORTS]], parts[Modality.REPORT], strict=False)
            page.table((f"{noun} report", "generated report"), list(pairs), of_text=True)
        for view, figures in scores.views.items():
            if figures.privacy:
                _nearest(page, view, figures.privacy.nearest[:COPIES], parts=parts, training=training)


def _sheet(task: Task, test: PreparedDataset, rows: np.ndarray, *, parts: Parts) -> Any:
    """The views of some studies, lines of held-out ones above lines of generated ones."""
    views, lines = [m for m in task.generate if m.is_image], []
    for start in range(0, len(rows), SHEET_COLUMNS):
        chosen = range(start, min(start + SHEET_COLUMNS, len(rows)))
        lines.append(np.stack([test.image(int(rows[i]), m) for i in chosen for m in views]))
        lines.append(np.stack([parts[m][i] for i in chosen for m in views]))
    return grid(lines)


def _nearest(page: Page, view: Modality, pairs: list[NearestPair], *, parts: Parts, training: PreparedDataset) -> None:
    """Generated pictures above the training picture that each is nearest to."""
    distances = ", ".join(f"{p.distance:.2f}" for p in pairs)
    page.text(f"The generated {view} views that are nearest to a training picture, above it; distances {distances}.")
    above, below = [parts[view][p.study] for p in pairs], [training.image(p.training_row, view) for p in pairs]
    page.picture(grid([np.stack(above), np.stack(below)]), "nearest pairs")
