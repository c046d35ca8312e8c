"""One shard of synthetic studies => a Parquet file, the same bytes whoever makes it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

import omnicxr
from omnicxr.data.duplicates import picture_hash
from omnicxr.data.files import whole_file
from omnicxr.data.labeler import label_report
from omnicxr.data.seeds import derived_seed
from omnicxr.data.shards import SCHEMA
from omnicxr.domain import Finding, Modality, Task, View
from omnicxr.models.judge import Judge
from omnicxr.pipeline import AnyToAnyPipeline
from omnicxr.synthesis.gate import Gate, judged
from omnicxr.synthesis.prompts import Prompts, label_values
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


class Maker:
    """Makes shards, with one model on one device."""

    def __init__(
        self, pipe: AnyToAnyPipeline, judge: Judge | None, prompts: Prompts, chosen: np.ndarray, recipe: Recipe
    ) -> None:
        self.pipe, self.judge, self.prompts, self.chosen, self.recipe = pipe, judge, prompts, chosen, recipe

    def write(self, items: range, path: Path) -> None:
        """The items of a shard, in order, whole or not at all."""
        rows, tries = [], Counter[str]()
        for index in items:
            row, attempts, passed = self._item(index)
            rows.append(row)
            tries.update({"tries": attempts, "failed": int(not passed)})
        notes = json.dumps({"dropped": [], "images_left_out": {}, "gate": dict(tries)})
        table = pa.Table.from_pylist(rows, SCHEMA.with_metadata({"notes": notes}))
        with whole_file(path) as temporary:
            pq.write_table(table, temporary, compression="zstd", row_group_size=64)

    def _item(self, index: int) -> tuple[dict[str, Any], int, bool]:
        """The row of one item, how often it was drawn, and whether the gate let it through; of all draws the best is
        kept."""
        prompt, gate = int(self.chosen[index]), self.recipe.gate
        given = self.prompts.given(prompt, self.recipe.task)
        best: tuple[float, dict[Modality, Any], dict[str, Any]] | None = None
        attempt, passed = 0, False
        while attempt < gate.tries and not passed:
            made = self._generate(given, derived_seed(self.recipe.seed, index * gate.tries + attempt))
            attempt += 1
            quality = judged(gate, self.pipe, self.judge, given, made, self.prompts.labels[prompt])
            passed = gate.passes(quality)
            if best is None or passed or gate.score(quality) > best[0]:
                best = (gate.score(quality), made, quality)
        assert best is not None
        return self._row(index, prompt, given, best[1], {"tries": attempt, **best[2]}), attempt, passed

    def _generate(self, given: dict[str, Any], seed: int) -> dict[Modality, Any]:
        generator = torch.Generator().manual_seed(seed)
        output = self.pipe(**given, generate=self.recipe.task.generate, generator=[generator])
        return {m: getattr(output, m)[0] for m in self.recipe.task.generate}

    def _row(
        self, index: int, prompt: int, given: dict[str, Any], made: dict[Modality, Any], quality: dict[str, Any]
    ) -> dict[str, Any]:
        task, name = self.recipe.task, f"syn{index:09d}"
        provenance = {
            "generator": f"omnicxr {omnicxr.__version__}",
            "model_hash": self.recipe.model_hash,
            "task": str(task),
            "seed": self.recipe.seed,
            "item": index,
            "prompt_hash": self._prompt_hash(given),
            "sampling": asdict(self.pipe.sampling),
            **quality,
        }
        shown: dict[Modality, Any] = {**self._kept(given), **made}
        columns: dict[str, list[Any]] = {}
        for m in VIEWS:
            there = m in shown
            columns[f"{m}s"] = (
                [{"bytes": png_file(shown[m], provenance if m in made else None), "path": f"{name}/{m}.png"}]
                if there
                else []
            )
            columns[f"{m}_views"] = [str(VIEWS[m])] if there else []
            columns[f"{m}_hashes"] = [picture_hash(shown[m])] if there else []
        report = shown.get(Modality.REPORT) or (self.prompts.reports[prompt] if Modality.REPORT in task.given else "")
        labels = self.prompts.labels[prompt] if task.given else _labels_of(report)
        person = (self.prompts.ages[prompt], self.prompts.sexes[prompt]) if task.given else (None, None)
        return {
            "subject_id": f"syn-{self.prompts.names[prompt]}" if task.given else f"syn-{index}",
            "study_id": name,
            "split": SPLIT,
            "source": SOURCE,
            "findings": "",
            "impression": report,
            "report": report,
            "age": person[0],
            "sex": person[1],
            "truth": None,
            **columns,
            **{f"label_{f}": None if np.isnan(v) else int(v) for f, v in zip(Finding, labels, strict=True)},
        }

    def _prompt_hash(self, given: dict[str, Any]) -> str | None:
        """Of what was given; None for nothing."""
        if not given:
            return None
        digest = hashlib.sha256()
        for name, value in given.items():
            digest.update(name.encode() + (value.encode() if isinstance(value, str) else value.tobytes()))
        return digest.hexdigest()

    def _kept(self, given: dict[str, Any]) -> dict[Modality, Any]:
        """Given pictures, where they are wanted in the data set."""
        if not self.recipe.keep_given:
            return {}
        return {m: Image.fromarray(given[str(m)]) for m in VIEWS if str(m) in given}


def _labels_of(report: str) -> np.ndarray:
    """What a generated report states, where nothing was asked for."""
    if not report:
        return np.full(len(Finding), np.nan)
    return np.array(label_values(label_report(report)))
