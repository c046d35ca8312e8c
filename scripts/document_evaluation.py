"""Write the figures of an evaluation of the bundled model into its card and docs/evaluation.md: python
scripts/document_evaluation.py EVAL

EVAL is what `omnicxr evaluate --data PREPARED --num 1000 --out EVAL` wrote. In the card everything from "## Figures" to
the end is written; in docs/evaluation.md everything from "### Bounds" to the end. What the figures mean is written by
hand, above them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from omnicxr.data.files import write_text
from omnicxr.domain import IMAGE_MODALITIES, Modality, Task
from omnicxr.evaluation.layout import Columns, Table, markdown, markdown_rows, number, table
from omnicxr.evaluation.measures.uncertainty import Estimate
from omnicxr.evaluation.results import (
    Distances,
    Evaluation,
    FindingScores,
    PictureLoss,
    Refused,
    TaskScores,
    ViewScores,
    read_metrics,
)
from omnicxr.evaluation.tables import tables
from omnicxr.models.folder import BUNDLED, model_hash

CARD, DOCS = BUNDLED / "README.md", Path(__file__).parents[1] / "docs" / "evaluation.md"
TABLES = (
    "Bounds",
    "How close are",
    "Agreement of the parts",
    "Sides of lesions",
    "Continuous truth, frontal",
    "Continuous truth, reports",
    "Copies of training data",
)
"""Beginnings of the titles of those that docs/evaluation.md shows, in its order; the others are in what the command
writes."""
VIEW_TASKS = {
    "report -> this view": "report->{view}",
    "report -> both views": "report->frontal+lateral",
    "other view -> this view": "{other}->{view}",
    "other view and report -> this view": "{other}+report->{view}",
    "other view -> this view and report": "{other}->{view}+report",
    "from nothing (against shuffled truth)": "nothing->frontal+lateral+report",
}
REPORT_TASKS = {
    "frontal -> report": "frontal->report",
    "lateral -> report": "lateral->report",
    "both views -> report": "frontal+lateral->report",
}
AGREEMENT_TASKS = {
    "report -> both views": "report->frontal+lateral",
    "frontal -> lateral and report": "frontal->lateral+report",
    "lateral -> frontal and report": "lateral->frontal+report",
    "from nothing": "nothing->frontal+lateral+report",
}
D = TypeVar("D", bound=Distances)
EXTRACTOR = "efficientnet-lite0"
PAIRS = ("frontal+lateral", "frontal+report", "lateral+report")


def card_figures(result: Evaluation) -> str:
    """The last section of the model card."""
    about = result.about
    assert about.sampling is not None
    found = [_view_findings(result), _report_findings(result), _agreement(result)]
    return "\n".join(
        [
            "## Figures\n",
            f"`omnicxr evaluate --data DIR --num {about.studies}`: {about.studies} {about.held_out} studies,"
            f" {about.sampling.num_inference_steps} steps, guidance {about.sampling.guidance_scale:g}, 95 % intervals"
            " over patients, written here by\n`python scripts/document_evaluation.py`. Everything else (text, F1 per"
            " finding, truth, privacy, reference predictors) is in that command's tables;"
            " [docs/evaluation.md](../../../docs/evaluation.md) says what each\nfigure means.\n",
            *(markdown_rows(t.columns, t.rows) for t in found),
            _sentences(result),
        ]
    )


def _view_findings(result: Evaluation) -> Table:
    """The row of a view's task is another task for each view, so rows are what finds the figures."""
    rows: list[tuple[str, Callable[[Modality], TaskScores]]] = [
        (f"{result.about.held_out} pictures", lambda view: result.held_out)
    ]
    for name, task in VIEW_TASKS.items():
        rows.append((name, lambda view, task=task: _scores(result, task, view)))
    columns: Columns[Callable[[Modality], TaskScores]] = {
        view: lambda scores, view=view: _short(scores(view).views[view].auroc.macro) for view in IMAGE_MODALITIES
    }
    return table("", columns, rows, note="", first="judge's macro-AUROC")


def _report_findings(result: Evaluation) -> Table:
    nearest = result.references["nearest"][Task.parse("frontal+lateral->report")].report
    rows: list[tuple[str, tuple[FindingScores | None, FindingScores | None]]] = []
    for name, task in REPORT_TASKS.items():
        report = _scores(result, task).report
        assert report is not None
        rows.append((name, (report.by_labeler, report.by_judge)))
    rows.append(("report of the nearest training study", (nearest.by_labeler if nearest else None, None)))
    rows.append((f"judge, from the {result.about.held_out} views", (result.held_out_both_views, None)))
    columns: Columns[tuple[FindingScores | None, FindingScores | None]] = {
        "by rules": lambda f: _short(f[0].all.micro) if f[0] else "",
        "by judge": lambda f: _short(f[1].all.micro) if f[1] else "",
    }
    return table("", columns, rows, note="", first="finding F1, micro, of reports")


def _agreement(result: Evaluation) -> Table:
    rows = [(f"{result.about.held_out} studies", result.held_out)]
    rows += [(name, _scores(result, task)) for name, task in AGREEMENT_TASKS.items()]
    columns: Columns[TaskScores] = {
        pair.replace("+", " and "): lambda s, pair=pair: _short(s.agreement[pair].finding_kappa) for pair in PAIRS
    }
    return table("", columns, rows, note="", first="agreement: kappa of findings")


def _scores(result: Evaluation, task: str, view: Modality = Modality.FRONTAL) -> TaskScores:
    """Of a task, which may be written for any view."""
    other = next(v for v in IMAGE_MODALITIES if v is not view)
    return result.tasks[Task.parse(task.format(view=view, other=other))]


def _sentences(result: Evaluation) -> str:
    noun, losses, views = result.about.held_out, result.autoencoders, [*IMAGE_MODALITIES]
    generated = [v for scores in result.tasks.values() for v in scores.views.values()]
    assert losses is not None and losses.report is not None

    def ratio(scores: TaskScores) -> str:
        return _short(scores.agreement["frontal+lateral"].cardiothoracic_ratio_correlation)

    def each(value: Callable[[Modality], float], digits: int) -> str:
        return " / ".join(number(value(view), digits) for view in views)

    def over_floor(view: Modality) -> str:
        looks = [_over_floor(_scores(result, t, view).views[view]) for t in ("report->{view}", "{other}->{view}")]
        return f"{view} {looks[0]:.1f} from a report, {looks[1]:.1f} from the other view"

    looks, floors = [_look(v.look) for v in generated], {v: _look(result.floor[v]) for v in views}
    copies = [v.privacy for v in generated if v.privacy]
    return (
        "Cardiothoracic ratio read from the two views generated from one report: r"
        f" {ratio(_scores(result, 'report->frontal+lateral'))}; from nothing"
        f" {ratio(_scores(result, 'nothing->frontal+lateral+report'))}; {noun} pairs {ratio(result.held_out)}.\n"
        f"Autoencoders alone: PSNR {each(lambda v: losses.views[v].psnr.value, 1)} dB, SSIM"
        f" {each(lambda v: losses.views[v].ssim.value, 3)}, reports unchanged"
        f" {number(losses.report.unchanged_share.value)}, sides kept {number(losses.report.sides_kept_share.value)}.\n"
        f"Look (Fréchet distance over the floor of {noun} against other {noun} studies):"
        f" {'; '.join(map(over_floor, views))};\n{noun} pictures through the autoencoder alone"
        f" {each(lambda v: _over_floor(losses.views[v]), 1)}. Recall {_span([x.recall for x in looks])} ({noun}"
        f" {each(lambda v: floors[v].recall, 2)}), coverage {_span([x.coverage for x in looks])} ({noun}"
        f" {each(lambda v: floors[v].coverage, 2)}).\n"
        f"Near copies of training pictures: {sum(c.near_copies for c in copies)}. Share of generated pictures that are"
        f" nearer to training than a {noun} one is: {_span([c.nearer_share for c in copies])} over all tasks, expected"
        " 0.5.\n"
    )


def _look(by_extractor: Mapping[str, D | Refused]) -> D:
    """By the extractor that the card names; an evaluation with too few studies for a distance ends here."""
    found = by_extractor[EXTRACTOR]
    if isinstance(found, Refused):
        raise SystemExit(found.refused)
    return found


def _over_floor(figures: ViewScores | PictureLoss) -> float:
    return _look(figures.look).frechet_over_floor


def _span(values: list[float]) -> str:
    return f"{min(values):.2f} to {max(values):.2f}"


def _short(value: Estimate) -> str:
    """`0.876 (0.854-0.896)`."""
    return number(value).replace(" to ", "-")


def main(evaluation: Path) -> None:
    """Rewrite both files."""
    result = read_metrics(evaluation)
    if result.about.model_hash != model_hash():
        raise SystemExit(
            f"{evaluation} is not an evaluation of the bundled model: run omnicxr evaluate without --model."
        )
    found = tables(result)
    shown = [table for beginning in TABLES for table in found if table.title.startswith(beginning)]
    for path, begin, new in (
        (CARD, "## Figures", card_figures(result)),
        (DOCS, "### Bounds", markdown(shown).replace("## ", "### ")),
    ):
        text = path.read_text()
        write_text(path, text[: text.index(begin)] + new)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
