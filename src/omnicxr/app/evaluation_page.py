"""One evaluation on one page: what it means, plots, tables, and sheets of what was generated beside what is real."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from omnicxr.app.page import Page
from omnicxr.app.plots import new_figure
from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.files import write_text
from omnicxr.domain import IMAGE_MODALITIES, Modality, Task
from omnicxr.evaluation.comparison import study_ids
from omnicxr.evaluation.generation import load_parts, task_name
from omnicxr.evaluation.tables import latex, markdown, tables
from omnicxr.training.sheets import grid

SHEET_STUDIES, SHEET_COLUMNS = 12, 6
REPORTS, COPIES = 4, 6
MEANING = (
    "Generated pictures are read by a classifier that was trained on real pictures of the same data set. A figure is as"
    " good as that classifier: compare it with the same classifier on real pictures (the line 'real'), and with"
    " predictors that need no model (the table 'Bounds')."
)


def write_tables(result: dict[str, Any], out: Path) -> None:
    """OUT/tables.md and OUT/tables.tex."""
    found = tables(result)
    write_text(out / "tables.md", markdown(found))
    write_text(out / "tables.tex", latex(found))


def write_page(result: dict[str, Any], out: Path, data: Path) -> Path:
    """OUT/report.html, one file that opens anywhere; `result` is the metrics.json beside it."""
    page = Page("Evaluation")
    about = result["about"]
    page.text(MEANING)
    settings = [(k.replace("_", " "), v) for k, v in about.items() if k not in ("findings", "measures", "extractors")]
    page.table(("setting", "value"), [*settings, ("extractors", ", ".join(about["extractors"]))])
    page.heading("Do generated parts show what the study has?")
    page.plot(_headlines(result), "headline figures with intervals")
    page.heading("Finding by finding")
    page.plot(_findings(result), "AUROC by finding, generated against real")
    page.heading("Do the parts of one study agree?")
    page.plot(_agreement(result), "kappa of every pair of parts, with real and shuffled pairs")
    for table in tables(result):
        page.heading(table.title)
        page.text(table.note)
        page.table(table.columns, table.rows)
    _sheets(page, result, out, data)
    write_text(out / "report.html", page.html())
    return out / "report.html"


def _headlines(result: dict[str, Any]) -> Any:
    """A dot with its interval per task and part, the real studies as a line."""
    kinds = [(f"{m}: AUROC, macro", m, lambda f: f["auroc_macro"]) for m in IMAGE_MODALITIES]
    kinds.append(("report: F1, micro, by labeler", Modality.REPORT, lambda f: f["by_labeler"]["f1_micro"]))
    kinds = [kind for kind in kinds if kind[1] in result["real"]]
    figure, (axes,) = new_figure(4.4 * len(kinds), 3.6, 1, len(kinds))
    for axis, (title, part, get) in zip(axes, kinds, strict=True):
        shown = [(task, get(f[part])) for task, f in result["tasks"].items() if part in f]
        _dots(axis, title, shown)
        if (real := get(result["real"][part])["value"]) is not None:
            axis.axvline(real, color="tab:green", linewidth=1, label="real")
        bounds = [get(f[part])["value"] for task, f in result["references"]["nearest"].items() if part in f]
        axis.plot(bounds, range(len(bounds)), "x", color="tab:gray", label="nearest training study")
        if shown:
            axis.legend(fontsize=7)
    return figure


def _dots(axis: Any, title: str, shown: list[tuple[str, dict[str, Any]]]) -> None:
    known = [(i, e) for i, (_, e) in enumerate(shown) if e["value"] is not None and e["low"] is not None]
    if known:
        values = np.array([e["value"] for _, e in known])
        spread = np.abs(np.array([[e["value"] - e["low"], e["high"] - e["value"]] for _, e in known]).T)
        axis.errorbar(values, [i for i, _ in known], xerr=spread, fmt="o", markersize=4, capsize=2, label="this model")
    axis.set_yticks(range(len(shown)), [task for task, _ in shown], fontsize=7)
    axis.invert_yaxis()
    axis.set_title(title, fontsize=10)
    axis.grid(alpha=0.3)


def _findings(result: dict[str, Any]) -> Any:
    """Each finding once per task: AUROC on real pictures across, on generated ones up."""
    views = [m for m in IMAGE_MODALITIES if m in result["real"]]
    figure, (axes,) = new_figure(4.5 * max(len(views), 1), 4.4, 1, max(len(views), 1))
    for axis, view in zip(axes, views, strict=False):
        real = result["real"][view]["auroc"]
        for task, f in result["tasks"].items():
            if view in f and len(task.split("->")[1].split("+")) == 1:
                points = [(real[k], v) for k, v in f[view]["auroc"].items() if v is not None and real[k] is not None]
                axis.plot([x for x, _ in points], [y for _, y in points], "o", markersize=4, alpha=0.7, label=task)
        axis.plot([0.4, 1], [0.4, 1], color="tab:gray", linewidth=0.8)
        axis.axhline(0.5, color="tab:gray", linewidth=0.8, linestyle=":")
        axis.set_title(f"{view}: a dot per finding", fontsize=10)
        axis.set_xlabel("AUROC on real pictures")
        axis.set_ylabel("AUROC on generated pictures")
        if axis.get_legend_handles_labels()[0]:
            axis.legend(fontsize=7)
    return figure


def _agreement(result: dict[str, Any]) -> Any:
    rows = [
        (task, pair, f["finding_kappa"])
        for task, scored in result["tasks"].items()
        for pair, f in scored["consistency"].items()
    ]
    figure, ((axis,),) = new_figure(9, 1 + 0.24 * max(len(rows), 4))
    _dots(axis, "kappa of the findings read from both parts", [(f"{task}: {pair}", e) for task, pair, e in rows])
    for name, marker, colour in (("real", "|", "tab:green"), ("shuffled", "x", "tab:red")):
        values = [
            result["references"][name][task]["consistency"][pair]["finding_kappa"]["value"] for task, pair, _ in rows
        ]
        points = [(v, i) for i, v in enumerate(values) if v is not None]
        axis.plot(
            [v for v, _ in points], [i for _, i in points], marker, color=colour, markersize=8, label=f"{name} pairs"
        )
    if rows:
        axis.legend(fontsize=7)
    return figure


def _sheets(page: Page, result: dict[str, Any], out: Path, data: Path) -> None:
    """For every task the same studies: what is real above, what was generated below."""
    test, training = PreparedDataset(data, result["about"]["split"]), PreparedDataset(data, "train")
    numbers = {s: i for i, s in enumerate(test.table.column("study_id").to_pylist())}
    for task in (Task.parse(t) for t in result["tasks"]):
        made = load_parts(out / "generated" / f"{task_name(task)}.npz")
        rows = np.array([numbers[s] for s in study_ids(out, task)[:SHEET_STUDIES]])
        page.heading(f"{task}: real above, generated below")
        if views := [m for m in task.generate if m.is_image]:
            page.picture(_sheet(views, test, rows, made), f"sheet of {task}")
        if Modality.REPORT in task.generate:
            real = [test.reports[i] for i in rows[:REPORTS]]
            page.table(
                ("real report", "generated report"), list(zip(real, made[Modality.REPORT], strict=False)), of_text=True
            )
        for view in views:
            _nearest(page, result["tasks"][str(task)][view]["privacy"]["nearest"], view, made, training)


def _sheet(views: list[Modality], test: PreparedDataset, rows: np.ndarray, made: dict[Modality, Any]) -> Any:
    lines = []
    for start in range(0, len(rows), SHEET_COLUMNS):
        chosen = range(start, min(start + SHEET_COLUMNS, len(rows)))
        lines.append(np.stack([test.image(int(rows[i]), m) for i in chosen for m in views]))
        lines.append(np.stack([made[m][i] for i in chosen for m in views]))
    return grid(lines)


def _nearest(
    page: Page, nearest: list[dict[str, Any]], view: Modality, made: dict[Modality, Any], training: PreparedDataset
) -> None:
    """Generated pictures above the training picture that each is nearest to."""
    pairs = nearest[:COPIES]
    distances = ", ".join(f"{p['distance']:.2f}" for p in pairs)
    page.text(f"The generated {view} views that are nearest to a training picture, above it; distances {distances}.")
    above, below = [made[view][p["study"]] for p in pairs], [training.image(p["training_row"], view) for p in pairs]
    page.picture(grid([np.stack(above), np.stack(below)]), "nearest pairs")
