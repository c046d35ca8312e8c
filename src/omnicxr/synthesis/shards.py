"""One shard of synthetic studies => a Parquet file, the same bytes whoever generates it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

import omnicxr
from omnicxr.data.duplicates import picture_hash
from omnicxr.data.labeler import LANGUAGE, label_report
from omnicxr.data.seeds import derived_seed
from omnicxr.data.shards import label_columns, write_rows
from omnicxr.data.typed_json import to_json
from omnicxr.domain import Finding, Fit, Modality, Notes, Task, View
from omnicxr.models.judge import Judge
from omnicxr.pipeline import AnyToAnyPipeline
from omnicxr.synthesis.gate import Gate, quality_of
from omnicxr.synthesis.noticed import as_the_model_reads, what_was_noticed
from omnicxr.synthesis.prompts import Prompts
from omnicxr.synthesis.provenance import png_file, shortened

SPLIT = "train"
SOURCE = "omnicxr-synthetic"
VIEWS = {Modality.FRONTAL: View.FRONTAL, Modality.LATERAL: View.LATERAL}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that the bytes of an item depend on, apart from its prompt and the pipeline."""

    task: Task
    seed: int
    gate: Gate
    raw: bool
    keep_given: bool
    model_hash: str


@dataclass(frozen=True, kw_only=True)
class Draw:
    """The best of the studies that were drawn for an item."""

    generated: dict[Modality, Any]
    notes: Notes
    """What was noticed."""
    quality: dict[str, float]
    tries: int
    """How many were drawn."""
    passed: bool
    """The gate let it through."""


@dataclass(frozen=True, kw_only=True)
class ShardWriter:
    """Generates the studies of shards and writes them, with one model on one device."""

    pipe: AnyToAnyPipeline
    judge: Judge | None
    prompts: Prompts
    chosen: np.ndarray
    """The prompt of every item."""
    recipe: Recipe

    def write(self, items: range, path: Path) -> None:
        """The items of a shard, in order, whole or not at all."""
        rows, tries, noticed = [], Counter[str](), Counter[str]()
        for index in items:
            given = self.prompts.given(int(self.chosen[index]), self.recipe.task)
            draw = self._draw(index, given)
            rows.append(self._row(index, given, draw))
            tries.update({"tries": draw.tries, "failed": int(not draw.passed)})
            noticed.update(what_was_noticed(draw.notes))
            noticed.update(["not checked"] if self._fit(draw.notes) is Fit.NOT_CHECKED else [])
        about = {"gate": dict(tries), "about_studies": dict(sorted(noticed.items()))}
        write_rows(rows, {"dropped": [], "images_left_out": {}, **about}, path)

    def _draw(self, index: int, given: dict[str, Any]) -> Draw:
        """Draw a study until the gate lets one through; where it lets none, the best."""
        gate, labels = self.recipe.gate, self.prompts.labels[self.chosen[index]]
        best: Draw | None = None
        for attempt in range(gate.tries):
            generated, notes = self._generate(given, derived_seed(self.recipe.seed, index * gate.tries + attempt))
            read = as_the_model_reads(given, notes)
            quality = quality_of(generated, read, gate=gate, pipe=self.pipe, judge=self.judge, labels=labels)
            draw = Draw(
                generated=generated, notes=notes, quality=quality, tries=attempt + 1, passed=gate.passes(quality)
            )
            if draw.passed:
                return draw
            if best is None or gate.score(quality) > gate.score(best.quality):
                best = draw
        assert best is not None
        return replace(best, tries=gate.tries)

    def _generate(self, given: dict[str, Any], seed: int) -> tuple[dict[Modality, Any], Notes]:
        rng, recipe = torch.Generator().manual_seed(seed), self.recipe
        output = self.pipe(**given, generate=recipe.task.generate, generator=[rng], prepared=True, raw=recipe.raw)
        assert output.notes
        return {m: getattr(output, m)[0] for m in recipe.task.generate}, output.notes[0]

    def _fit(self, notes: Notes) -> Fit:
        """How what is given suits the model, where that was looked at."""
        looked_at = not self.recipe.task.given or (self.pipe.door is not None and not self.recipe.raw)
        return notes.fit if looked_at or notes.fit is not Fit.AS_KNOWN else Fit.NOT_CHECKED

    def _row(self, index: int, given: dict[str, Any], draw: Draw) -> dict[str, Any]:
        task, prompts, prompt = self.recipe.task, self.prompts, int(self.chosen[index])
        report = draw.generated.get(Modality.REPORT, "")
        if Modality.REPORT in task.given:
            report = prompts.reports[prompt]
        row = {
            "study_id": _name(index),
            "split": SPLIT,
            "source": SOURCE,
            "findings": "",
            "impression": report,
            "report": report,
            "notes": json.dumps(to_json(draw.notes)),
            **self._picture_columns(index, given, draw),
        }
        if not task.given:
            return row | {"subject_id": f"syn-{index}", "language": LANGUAGE, **label_columns(_stated(report))}
        return row | {
            "subject_id": f"syn-{prompts.names[prompt]}",
            "language": prompts.language(prompt),
            "age": prompts.ages[prompt],
            "sex": prompts.sexes[prompt],
            **label_columns(dict(zip(Finding, prompts.labels[prompt], strict=True))),
        }

    def _picture_columns(self, index: int, given: dict[str, Any], draw: Draw) -> dict[str, list[Any]]:
        """Generated views with their provenance, and given ones, where they are wanted in the data set, without."""
        provenance = self._provenance(index, given, draw)
        columns: dict[str, list[Any]] = {}
        for m, view in VIEWS.items():
            picture, about = draw.generated.get(m), provenance
            if picture is None and self.recipe.keep_given and str(m) in given:
                picture, about = Image.fromarray(given[str(m)]), None
            shown = [] if picture is None else [picture]
            columns[f"{m}s"] = [{"bytes": png_file(p, about), "path": f"{_name(index)}/{m}.png"} for p in shown]
            columns[f"{m}_views"] = [str(view) for _ in shown]
            columns[f"{m}_hashes"] = [picture_hash(p) for p in shown]
        return columns

    def _provenance(self, index: int, given: dict[str, Any], draw: Draw) -> dict[str, Any]:
        return {
            "generator": f"omnicxr {omnicxr.__version__}",
            "model_hash": self.recipe.model_hash,
            "task": str(self.recipe.task),
            "seed": self.recipe.seed,
            "item": index,
            "prompt_hash": _prompt_hash(given),
            "sampling": asdict(self.pipe.sampling),
            "tries": draw.tries,
            "fit": str(self._fit(draw.notes)),
            "notes": shortened(draw.notes.sentences()),
            **draw.quality,
        }


def _name(index: int) -> str:
    return f"syn{index:09d}"


def _prompt_hash(given: dict[str, Any]) -> str | None:
    """Of what was given; None for nothing."""
    if not given:
        return None
    digest = hashlib.sha256()
    for name, value in given.items():
        digest.update(name.encode() + (value.encode() if isinstance(value, str) else value.tobytes()))
    return digest.hexdigest()


def _stated(report: str) -> dict[Finding, Any]:
    """What a generated report states, where nothing was asked for."""
    return dict(label_report(report)) if report else {}
