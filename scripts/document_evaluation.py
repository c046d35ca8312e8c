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
from omnicxr.domain import IMAGE_MODALITIES as VIEWS
from omnicxr.domain import Modality, Task
from omnicxr.evaluation.layout import Columns, Table, explained, markdown, markdown_rows, number, struck, table
from omnicxr.evaluation.measures.uncertainty import Estimate
from omnicxr.evaluation.results import Distances, Evaluation, PictureLoss, Refused, TaskScores, ViewScores, read_metrics
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
D = TypeVar("D", bound=Distances)
EXTRACTOR = "efficientnet-lite0"
PAIRS = ("frontal+lateral", "frontal+report", "lateral+report")


def card_figures(result: Evaluation) -> str:
    """The last section of the model card."""
    about = result.about
    assert about.sampling is not None
    introduction = (
        f"`omnicxr evaluate --data DIR --num {about.studies}`: {about.studies} {about.held_out} studies,"
        f" {about.sampling.num_inference_steps} steps, guidance {about.sampling.guidance_scale:g}, 95 % intervals over"
        " patients, written here by\n`python scripts/document_evaluation.py`. AUROC: the judge's, macro; F1: micro, of"
        " the findings that the rules read in reports; kappa of the findings read in two parts. Everything else is in"
        " that\ncommand's tables; [docs/evaluation.md](../../../docs/evaluation.md) says what each figure means.\n"
    )
    figures = overview(result)
    shown = markdown_rows(figures.columns, figures.rows) + (f"\n{figures.note.strip()}\n" if figures.note else "")
    return "\n".join(["## Figures\n", introduction, shown, _sentences(result)])


def overview(result: Evaluation) -> Table:
    """A row per task, the held-out studies first."""

    def counted(text: str, scores: TaskScores, *parts: Modality) -> str:
        return struck(text, "" if scores is result.held_out else result.not_valid(*parts))

    columns: Columns[TaskScores] = {
        **{
            f"AUROC, {v}": lambda s, v=v: counted(_short(s.views[v].auroc.macro), s, v) if v in s.views else ""
            for v in VIEWS
        },
        "F1, report": lambda s: _short(s.report.by_labeler.all.micro) if s.report else "",
        **{
            f"kappa, {pair.replace('+', ' and ')}": lambda s, pair=pair: (
                counted(_short(s.agreement[pair].finding_kappa), s, *map(Modality, pair.split("+")))
                if pair in s.agreement
                else ""
            )
            for pair in PAIRS
        },
    }
    rows = [(f"{result.about.held_out} studies", result.held_out), *((str(t), s) for t, s in result.tasks.items())]
    return explained(table("", columns, rows, note=""), [result.not_valid(*VIEWS)])


def _sentences(result: Evaluation) -> str:
    noun, losses = result.about.held_out, result.autoencoders
    generated = [v for scores in result.tasks.values() for v in scores.views.values()]
    assert losses is not None and losses.report is not None

    def ratio(scores: TaskScores) -> str:
        return _short(scores.agreement["frontal+lateral"].cardiothoracic_ratio_correlation)

    def each(value: Callable[[Modality], float], digits: int) -> str:
        return " / ".join(number(value(view), digits) for view in VIEWS)

    def over_floor(view: Modality, other: Modality) -> str:
        looks = [_over_floor(result.tasks[Task((given,), (view,))].views[view]) for given in (Modality.REPORT, other)]
        return f"{view} {looks[0]:.1f} from a report, {looks[1]:.1f} from the other view"

    looks, floors = [_look(v.look) for v in generated], {v: _look(result.floor[v]) for v in VIEWS}
    copies = [v.privacy for v in generated if v.privacy]
    return (
        "Cardiothoracic ratio read from the two views generated from one report: r"
        f" {ratio(result.tasks[Task((Modality.REPORT,), VIEWS)])}; from nothing"
        f" {ratio(result.tasks[Task.from_nothing()])}; {noun} pairs {ratio(result.held_out)}.\n"
        f"Autoencoders alone: PSNR {each(lambda v: losses.views[v].psnr.value, 1)} dB, SSIM"
        f" {each(lambda v: losses.views[v].ssim.value, 3)}, reports unchanged"
        f" {number(losses.report.unchanged_share.value)}, sides kept {number(losses.report.sides_kept_share.value)}.\n"
        f"Look (Fréchet distance over the floor of {noun} against other {noun} studies):"
        f" {over_floor(*VIEWS)}; {over_floor(*VIEWS[::-1])};\n{noun} pictures through the autoencoder alone"
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
    shown = [t for beginning in TABLES for t in found if t.title.startswith(beginning)]
    for path, begin, new in (
        (CARD, "## Figures", card_figures(result)),
        (DOCS, "### Bounds", markdown(shown).replace("## ", "### ")),
    ):
        text = path.read_text()
        write_text(path, text[: text.index(begin)] + new)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
