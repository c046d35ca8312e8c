"""One shard of synthetic studies => a Parquet file, the same bytes whoever generates it."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import asdict, dataclass
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
from omnicxr.domain import Finding, Modality, Task, View
from omnicxr.models.judge import Judge
from omnicxr.pipeline import AnyToAnyPipeline
from omnicxr.synthesis.gate import Gate, quality_of
from omnicxr.synthesis.prompts import Prompts
from omnicxr.synthesis.provenance import png_file

SPLIT = "train"
SOURCE = "omnicxr-synthetic"
VIEWS = {Modality.FRONTAL: View.FRONTAL, Modality.LATERAL: View.LATERAL}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that the bytes of an item depend on, apart from its prompt and the pipeline."""

    task: Task
    seed: int
    gate: Gate
    keep_given: bool
    model_hash: str


@dataclass(frozen=True, kw_only=True)
class Draw:
    """The best of the studies that were drawn for an item."""

    generated: dict[Modality, Any]
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
        rows, tries = [], Counter[str]()
        for index in items:
            given = self.prompts.given(int(self.chosen[index]), self.recipe.task)
            draw = self._draw(index, given)
            rows.append(self._row(index, given, draw))
            tries.update({"tries": draw.tries, "failed": int(not draw.passed)})
        write_rows(rows, {"dropped": [], "images_left_out": {}, "gate": dict(tries)}, path)

    def _draw(self, index: int, given: dict[str, Any]) -> Draw:
        """Draw a study until the gate lets one through; where it lets none, the best."""
        gate, labels = self.recipe.gate, self.prompts.labels[self.chosen[index]]
        best: tuple[dict[Modality, Any], dict[str, float]] | None = None
        for attempt in range(gate.tries):
            generated = self._generate(given, derived_seed(self.recipe.seed, index * gate.tries + attempt))
            quality = quality_of(generated, given, gate=gate, pipe=self.pipe, judge=self.judge, labels=labels)
            if gate.passes(quality):
                return Draw(generated=generated, quality=quality, tries=attempt + 1, passed=True)
            if best is None or gate.score(quality) > gate.score(best[1]):
                best = generated, quality
        assert best is not None
        return Draw(generated=best[0], quality=best[1], tries=gate.tries, passed=False)

    def _generate(self, given: dict[str, Any], seed: int) -> dict[Modality, Any]:
        rng = torch.Generator().manual_seed(seed)
        output = self.pipe(**given, generate=self.recipe.task.generate, generator=[rng], prepared=True)
        return {m: getattr(output, m)[0] for m in self.recipe.task.generate}

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
