"""Is model A better than model B? Paired on the same studies, from the readings that two evaluations saved."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from omnicxr.data.files import whole_file
from omnicxr.domain import Modality, Task, UserError
from omnicxr.evaluation.generation import MADE_BY, task_name
from omnicxr.evaluation.measures import clinical, consistency, metrics
from omnicxr.evaluation.measures.uncertainty import Statistic, compare
from omnicxr.evaluation.readers.panel import Reading
from omnicxr.evaluation.suite import Suite

FIELDS = ("scores", "found", "measures", "embeds", "stated")


def path_of(out: Path, task: Task) -> Path:
    """Where an evaluation keeps the readings of a task."""
    return out / "scores" / f"{task_name(task)}.npz"


def save_readings(path: Path, readings: dict[Modality, Reading], suite: Suite, study_ids: list[str]) -> None:
    """Readings of the generated parts, with the labels and truth of the studies: one row per study, a file that NumPy
    alone reads."""
    arrays = {f"{m}_{f}": getattr(r, f) for m, r in readings.items() for f in FIELDS if getattr(r, f) is not None}
    truth = {} if suite.truth is None else {"truth": suite.truth}
    with whole_file(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file, labels=suite.labels, patients=suite.patients, study_ids=np.array(study_ids), **truth, **arrays
        )


@dataclass(frozen=True)
class Headline:
    """One figure that two models are compared by."""

    name: str
    statistic: Statistic
    arrays: Callable[[dict[str, np.ndarray]], tuple[np.ndarray, ...]]
    higher_is_better: bool = True


def _columns(*names: str) -> Callable[[dict[str, np.ndarray]], tuple[np.ndarray, ...]]:
    return lambda saved: tuple(saved[n] for n in names)


def headlines(task: Task, *, with_truth: bool) -> Iterator[Headline]:
    """The figures of a task."""
    for m in task.generate:
        if m.is_image:
            yield Headline(f"{m}: AUROC, macro", clinical.macro_auroc, _columns("labels", f"{m}_scores"))
            yield Headline(f"{m}: F1, micro", metrics.micro_f1, _columns("labels", f"{m}_found"))
            if with_truth:
                yield Headline(
                    f"{m}: error of the cardiothoracic ratio",
                    _ratio_error,
                    _columns("truth", f"{m}_measures"),
                    higher_is_better=False,
                )
        else:
            yield Headline(f"{m}: F1, micro, by labeler", metrics.micro_f1, _columns("labels", f"{m}_stated"))
            yield Headline(f"{m}: F1, macro, by labeler", metrics.macro_f1, _columns("labels", f"{m}_stated"))
    for a, b in combinations(task.generate, 2):
        yield Headline(f"{a} and {b}: kappa", consistency.finding_kappa, _columns(f"{a}_found", f"{b}_found"))
        yield Headline(
            f"{a} and {b}: correlation of scores", consistency.score_correlation, _columns(f"{a}_scores", f"{b}_scores")
        )


def _ratio_error(truth: np.ndarray, measures: np.ndarray) -> float:
    return float(np.abs(truth[:, 0] - measures[:, 0]).mean())


def compare_evaluations(a: Path, b: Path) -> dict[str, Any]:
    """Two folders that `evaluate` wrote => every headline of every task of both: A, B, A - B with interval and p value.

    Raises UserError for a folder without an evaluation, and for evaluations of different data or studies.
    """
    about_a, about_b = (_about(folder) for folder in (a, b))
    for key in ("data_manifest", "split", "studies"):
        if about_a[key] != about_b[key]:
            raise UserError(
                f"{a} and {b} cannot be compared: their {key.replace('_', ' ')} differ ({about_a[key]},"
                f" {about_b[key]}). Evaluate both on the same studies."
            )
    in_b = _metrics(b)["tasks"]
    shared = [Task.parse(t) for t in _metrics(a)["tasks"] if t in in_b]
    if not shared:
        raise UserError(f"{a} and {b} have no task in common: evaluate both on the same tasks.")
    return {
        "a": {"folder": str(a), **about_a},
        "b": {"folder": str(b), **about_b},
        "tasks": {str(t): _compare_task(t, a, b) for t in shared},
    }


def _compare_task(task: Task, a: Path, b: Path) -> list[dict[str, Any]]:
    saved_a, saved_b = (_load(path_of(folder, task)) for folder in (a, b))
    if list(saved_a["study_ids"]) != list(saved_b["study_ids"]):
        raise UserError(
            f"{path_of(a, task)} and {path_of(b, task)} hold different studies: evaluate both on the same ones."
        )
    rows = []
    for h in headlines(task, with_truth="truth" in saved_a):
        x, y = h.arrays(saved_a), h.arrays(saved_b)
        difference = compare(h.statistic, x, y, patients=saved_a["patients"])
        rows.append(
            {
                "figure": h.name,
                "higher_is_better": h.higher_is_better,
                "a": h.statistic(*x),
                "b": h.statistic(*y),
                "difference": asdict(difference),
            }
        )
    return rows


def _load(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as saved:
        return dict(saved)


def _about(folder: Path) -> dict[str, Any]:
    about = _metrics(folder)["about"]
    keys = ("data_manifest", "split", "studies", "model_hash", "generated", *MADE_BY)
    return {k: about.get(k) for k in keys}


def _metrics(folder: Path) -> dict[str, Any]:
    path = folder / "metrics.json"
    if not path.is_file():
        raise UserError(
            f"{folder} has no finished evaluation (metrics.json is missing): run `omnicxr evaluate --out {folder}`"
            " first."
        )
    return json.loads(path.read_text())


def study_ids(out: Path, task: Task) -> list[str]:
    """The studies that an evaluation scored for a task, in order."""
    return _load(path_of(out, task))["study_ids"].tolist()
