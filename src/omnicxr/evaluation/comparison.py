"""Is model A better than model B? Paired on the same studies, from the readings that two evaluations saved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from omnicxr.data.files import whole_file
from omnicxr.domain import Modality, Task, UserError
from omnicxr.evaluation.generation import task_name
from omnicxr.evaluation.measures import clinical, consistency, metrics
from omnicxr.evaluation.measures.uncertainty import Difference, Statistic, compare
from omnicxr.evaluation.readers.panel import Reading
from omnicxr.evaluation.results import About, Evaluation, read_metrics
from omnicxr.evaluation.suite import Suite

FIELDS = ("scores", "found", "measures", "embeds", "stated")


@dataclass(frozen=True)
class ComparedFigure:
    """One figure of two models on the same studies."""

    figure: str
    higher_is_better: bool
    a: float
    b: float
    difference: Difference
    not_valid: str = ""
    """Why it says nothing: who reads it is no better than chance on the held-out studies. Empty where it counts."""


@dataclass(frozen=True)
class Comparison:
    """Two evaluations, task by task."""

    a: About
    b: About
    tasks: dict[Task, list[ComparedFigure]]


def path_of(out: Path, task: Task) -> Path:
    """Where an evaluation keeps the readings of a task."""
    return out / "scores" / f"{task_name(task)}.npz"


def save_readings(path: Path, readings: dict[Modality, Reading], suite: Suite) -> None:
    """Readings of the generated parts, with the labels and truth of the studies: one row per study, a file that NumPy
    alone reads."""
    arrays = {f"{m}_{f}": getattr(r, f) for m, r in readings.items() for f in FIELDS if getattr(r, f) is not None}
    truth = {} if suite.truth is None else {"truth": suite.truth}
    with whole_file(path) as temporary, temporary.open("wb") as file:
        study_ids = np.array(suite.study_ids)
        np.savez_compressed(file, labels=suite.labels, patients=suite.patients, study_ids=study_ids, **truth, **arrays)


@dataclass(frozen=True)
class Headline:
    """One figure that two models are compared by."""

    name: str
    statistic: Statistic
    arrays: tuple[str, ...]
    """What the statistic takes, by the names that `save_readings` gives."""
    higher_is_better: bool = True
    findings_of: tuple[Modality, ...] = ()
    """The parts whose findings are read for it."""


def headlines(task: Task, *, with_truth: bool) -> Iterator[Headline]:
    """The figures of a task."""
    for m in task.generate:
        if not m.is_image:
            yield Headline(f"{m}: F1, micro, by labeler", metrics.micro_f1, ("labels", f"{m}_stated"))
            yield Headline(f"{m}: F1, macro, by labeler", metrics.macro_f1, ("labels", f"{m}_stated"))
            continue
        yield Headline(f"{m}: AUROC, macro", clinical.macro_auroc, ("labels", f"{m}_scores"), findings_of=(m,))
        yield Headline(f"{m}: F1, micro", metrics.micro_f1, ("labels", f"{m}_found"), findings_of=(m,))
        if with_truth:
            name, arrays = f"{m}: error of the cardiothoracic ratio", ("truth", f"{m}_measures")
            yield Headline(name, _ratio_error, arrays, higher_is_better=False)
    for a, b in combinations(task.generate, 2):
        found, scores = (f"{a}_found", f"{b}_found"), (f"{a}_scores", f"{b}_scores")
        yield Headline(f"{a} and {b}: kappa", consistency.finding_kappa, found, findings_of=(a, b))
        name = f"{a} and {b}: correlation of scores"
        yield Headline(name, consistency.score_correlation, scores, findings_of=(a, b))


def _ratio_error(truth: np.ndarray, measures: np.ndarray) -> float:
    return float(np.abs(truth[:, 0] - measures[:, 0]).mean())


def compare_evaluations(a: Path, b: Path) -> Comparison:
    """Two folders that `evaluate` wrote => every headline of every task of both: A, B, A - B with interval and p value.

    Raises UserError for a folder without an evaluation, and for evaluations of different data or studies.
    """
    first, second = read_metrics(a), read_metrics(b)
    for name in ("data_manifest", "split", "studies"):
        found = [getattr(result.about, name) for result in (first, second)]
        if found[0] != found[1]:
            raise UserError(
                f"{a} and {b} cannot be compared: their {name.replace('_', ' ')} differ ({found[0]}, {found[1]})."
                " Evaluate both on the same studies."
            )
    shared = [task for task in first.tasks if task in second.tasks]
    if not shared:
        raise UserError(f"{a} and {b} have no task in common: evaluate both on the same tasks.")
    tasks = {task: _compare_task(task, a, b, results=(first, second)) for task in shared}
    return Comparison(first.about, second.about, tasks)


def _compare_task(task: Task, a: Path, b: Path, *, results: tuple[Evaluation, Evaluation]) -> list[ComparedFigure]:
    saved_a, saved_b = (_load(path_of(folder, task)) for folder in (a, b))
    if list(saved_a["study_ids"]) != list(saved_b["study_ids"]):
        raise UserError(
            f"{path_of(a, task)} and {path_of(b, task)} hold different studies: evaluate both on the same ones."
        )
    rows = []
    for h in headlines(task, with_truth="truth" in saved_a):
        x, y = (tuple(saved[name] for name in h.arrays) for saved in (saved_a, saved_b))
        difference = compare(h.statistic, x, y, patients=saved_a["patients"])
        not_valid = next(filter(None, (result.not_valid(*h.findings_of) for result in results)), "")
        figures = h.statistic(*x), h.statistic(*y)
        rows.append(ComparedFigure(h.name, h.higher_is_better, *figures, difference, not_valid))
    return rows


def _load(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as saved:
        return dict(saved)


def study_ids(out: Path, task: Task) -> list[str]:
    """The studies that an evaluation scored for a task, in order."""
    return _load(path_of(out, task))["study_ids"].tolist()
