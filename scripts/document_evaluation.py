"""Write the figures of an evaluation of the bundled model into its card and docs/evaluation.md: python
scripts/document_evaluation.py EVAL

EVAL is what `omnicxr evaluate --data PREPARED --num 1000 --out EVAL` wrote. In the card everything from "## Figures" to
the end is written anew; in docs/evaluation.md everything from "### Bounds" to the end. What the figures mean is written
by hand, above them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from omnicxr.data.files import write_text
from omnicxr.domain import IMAGE_MODALITIES, Modality
from omnicxr.evaluation.tables import markdown, markdown_rows, number, tables
from omnicxr.models.folder import BUNDLED, model_hash

CARD, DOCS = BUNDLED / "README.md", Path(__file__).parents[1] / "docs" / "evaluation.md"
TABLES = (
    "Bounds",
    "How real do",
    "Agreement of the parts",
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
EXTRACTOR = "efficientnet-lite0"
PAIRS = ("frontal+lateral", "frontal+report", "lateral+report")


def card_figures(result: dict[str, Any]) -> str:
    """The last section of the model card."""
    about, real, made = result["about"], result["real"], result["tasks"]
    parts = [
        "## Figures\n",
        (
            f"`omnicxr evaluate --data DIR --num {about['studies']}`: {about['studies']} held-out simulated studies,"
            f" {about['num_inference_steps']} steps, guidance {about['guidance_scale']:g}, 95 % intervals over"
            " patients, written here by\n`python scripts/document_evaluation.py`. Everything else (text, F1 per"
            " finding, truth, privacy, reference predictors) is in that command's tables;"
            " [docs/evaluation.md](../../../docs/evaluation.md) says what each\nfigure means.\n"
        ),
        markdown_rows(
            ("judge's macro-AUROC", *IMAGE_MODALITIES),
            [
                ("real test pictures", *(_short(real[v]["auroc_macro"]) for v in IMAGE_MODALITIES)),
                *(
                    (name, *(_short(made[_task(task, v)][v]["auroc_macro"]) for v in IMAGE_MODALITIES))
                    for name, task in VIEW_TASKS.items()
                ),
            ],
        ),
        markdown_rows(
            ("finding F1, micro, of reports", "by rules", "by judge"),
            [
                *(
                    (name, *(_short(made[task]["report"][by]["f1_micro"]) for by in ("by_labeler", "by_judge")))
                    for name, task in REPORT_TASKS.items()
                ),
                (
                    "report of the nearest training study",
                    _short(
                        result["references"]["nearest"]["frontal+lateral->report"]["report"]["by_labeler"]["f1_micro"][
                            "value"
                        ]
                    ),
                    "",
                ),
                ("judge, from the real views", _short(real["judge_from_both_views"]["f1_micro"]), ""),
            ],
        ),
        markdown_rows(
            ("agreement: kappa of findings", *(p.replace("+", " and ") for p in PAIRS)),
            [
                ("real studies", *(_short(real["consistency"][p]["finding_kappa"]) for p in PAIRS)),
                *(
                    (name, *(_short(made[task]["consistency"][p]["finding_kappa"]) for p in PAIRS))
                    for name, task in AGREEMENT_TASKS.items()
                ),
            ],
        ),
        _sentences(result),
    ]
    return "\n".join(parts)


def _task(pattern: str, view: Modality) -> str:
    return pattern.format(view=view, other=next(v for v in IMAGE_MODALITIES if v is not view))


def _sentences(result: dict[str, Any]) -> str:
    made, autoencoders, floor = result["tasks"], result["autoencoders"], result["floor"]
    ratio = {
        task: f["consistency"]["frontal+lateral"]["cardiothoracic_ratio_correlation"]
        for task, f in (*made.items(), ("real", result["real"]))
        if "frontal+lateral" in f["consistency"]
    }
    generated = [f[v] for f in made.values() for v in IMAGE_MODALITIES if v in f]

    def of_views(value: Callable[[Modality], Any], digits: int) -> str:
        return " / ".join(number(value(v), digits) for v in IMAGE_MODALITIES)

    def span(value: Callable[[dict[str, Any]], float]) -> str:
        found = [value(f) for f in generated]
        return f"{min(found):.2f} to {max(found):.2f}"

    def over_floor(view: Modality) -> str:
        looks = [
            made[_task(t, view)][view]["look"][EXTRACTOR]["frechet_over_floor"]
            for t in ("report->{view}", "{other}->{view}")
        ]
        return f"{view} {looks[0]:.1f} from a report, {looks[1]:.1f} from the other view"

    return (
        "Cardiothoracic ratio read from the two views made from one report: r"
        f" {_short(ratio['report->frontal+lateral'])}; from nothing {_short(ratio['nothing->frontal+lateral+report'])};"
        f" real pairs {_short(ratio['real'])}.\nAutoencoders alone: PSNR"
        f" {of_views(lambda v: autoencoders[v]['psnr']['value'], 1)} dB, SSIM"
        f" {of_views(lambda v: autoencoders[v]['ssim']['value'], 3)}, reports unchanged"
        f" {number(autoencoders['report']['unchanged_share']['value'])}, sides kept"
        f" {number(autoencoders['report']['sides_kept_share']['value'])}.\nLook (Fréchet distance over the floor of"
        f" real against other real studies): {'; '.join(over_floor(v) for v in IMAGE_MODALITIES)};\nreal pictures"
        " through the autoencoder alone"
        f" {of_views(lambda v: autoencoders[v]['look'][EXTRACTOR]['frechet_over_floor'], 1)}. Recall"
        f" {span(lambda f: f['look'][EXTRACTOR]['recall'])} (real"
        f" {of_views(lambda v: floor[v][EXTRACTOR]['recall'], 2)}), coverage"
        f" {span(lambda f: f['look'][EXTRACTOR]['coverage'])} (real"
        f" {of_views(lambda v: floor[v][EXTRACTOR]['coverage'], 2)}).\nNear copies of training pictures:"
        f" {sum(f['privacy']['near_copies'] for f in generated)}. Share of generated pictures that are nearer to"
        f" training than an unseen real one is: {span(lambda f: f['privacy']['nearer_share'])} over all tasks, expected"
        " 0.5.\n"
    )


def _short(value: Any) -> str:
    """`0.876 (0.854-0.896)`."""
    return number(value).replace(" to ", "-")


def main(evaluation: Path) -> None:
    """Rewrite both files."""
    result = json.loads((evaluation / "metrics.json").read_text())
    if result["about"]["model_hash"] != model_hash():
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
