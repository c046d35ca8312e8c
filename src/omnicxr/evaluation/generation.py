"""Where generated studies come from: a model, or a folder that any other system wrote.

The folder holds one sub-folder per task (`report_to_frontal+lateral`) with one sub-folder per study, named by its
study_id, with `frontal.png`, `lateral.png`, `report.txt` for what the task generates; or the CheXGenBench table (see
`exchange`), which is the task report->frontal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, fields
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch

from omnicxr.data.dataset import Parts, PreparedDataset, take
from omnicxr.data.exchange import TABLE, read_chexgenbench
from omnicxr.data.files import whole_file
from omnicxr.data.images import load_image
from omnicxr.data.processes import end_with_parent, worker_pool
from omnicxr.domain import Modality, Task, UserError
from omnicxr.flow.sampling import SamplingConfig
from omnicxr.pipeline import AnyToAnyPipeline, StudyOutput

CHUNK = 16
MADE_BY = ("seed", *(field.name for field in fields(SamplingConfig)))
"""Settings that decide what a model generates, as `about` in metrics.json names them."""
EVERY_TASK = (*Task.all(), *(Task((), some) for n in (3, 2, 1) for some in combinations(Modality, n)))
Progress = Callable[[int, int], None]
SUFFIX = {
    Modality.FRONTAL: ("png", "jpg", "jpeg", "dcm"),
    Modality.LATERAL: ("png", "jpg", "jpeg", "dcm"),
    Modality.REPORT: ("txt",),
}


def task_name(task: Task) -> str:
    """`frontal+report_to_lateral`: the task as a file or folder name."""
    return str(task).replace("->", "_to_")


def touched(tasks: Iterable[Task]) -> tuple[Modality, ...]:
    """The modalities that a study must have for all of these tasks."""
    return tuple(m for m in Modality if any(m in t.modalities for t in tasks))


def save_parts(path: Path, parts: Parts) -> None:
    """Parts as one compressed NumPy file, whole or not at all."""
    with whole_file(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **{str(m): np.array(v) for m, v in parts.items()})  # pyright: ignore[reportArgumentType]


def load_parts(path: Path) -> Parts:
    """What `save_parts` wrote."""
    with np.load(path, allow_pickle=False) as saved:
        return {m: saved[m] if m.is_image else saved[m].tolist() for m in Modality if m in saved}


class ModelGenerations:
    """Generates with a model, one random generator per study, and keeps every task under `folder`, so that a second run
    only reads."""

    def __init__(self, pipe: AnyToAnyPipeline, real: Parts, folder: Path, *, seed: int) -> None:
        self.pipe, self.real, self.folder, self.seed = pipe, real, folder, seed

    def path(self, task: Task) -> Path:
        """Where the outputs of a task are kept."""
        return self.folder / f"{task_name(task)}.npz"

    def task(self, task: Task, progress: Progress | None = None) -> Parts:
        """One output for each study."""
        path = self.path(task)
        if not path.exists():
            save_parts(path, self._run(task, self.real, 1, self.seed, progress))
        return load_parts(path)

    def everything(self, task: Task, prompts: int, each: int) -> Parts:
        """`task`, after `samples` where the task generates views: both are there then."""
        if any(m.is_image for m in task.generate):
            self.samples(task, prompts, each)
        return self.task(task)

    def samples(self, task: Task, prompts: int, each: int) -> Parts:
        """Several outputs for each of the first studies: [prompts * each, ...], those of a study after each other."""
        path = self.folder / "samples" / f"{task_name(task)}.npz"
        if not path.exists():
            chosen = take(self.real, np.arange(prompts))
            save_parts(path, self._run(task, chosen, each, self.seed + 1, None))
        return load_parts(path)

    def _run(self, task: Task, real: Parts, each: int, seed: int, progress: Progress | None) -> Parts:
        studies = len(next(iter(real.values())))
        outputs: Parts = {m: [] for m in task.generate}
        for start in range(0, studies, CHUNK):
            chosen = range(start, min(start + CHUNK, studies))
            given: dict[str, Any] = {str(m): [real[m][i] for i in chosen] for m in task.given}
            generators = [
                torch.Generator().manual_seed(seed * 1_000_003 + i)
                for i in range(chosen.start * each, chosen.stop * each)
            ]
            part: StudyOutput = self.pipe(
                **given,
                generate=task.generate,
                num=each if given else len(generators),
                generator=generators,
                batch_size=CHUNK,
            )
            for m in task.generate:
                outputs[m] += [np.asarray(v) if m.is_image else v for v in getattr(part, m)]
            if progress:
                progress(chosen.stop, studies)
        return {m: np.stack(v) if m.is_image else v for m, v in outputs.items()}


@dataclass(frozen=True)
class GenerationJob:
    """All that a worker process must know to generate tasks of one evaluation."""

    model: Path
    sampling: SamplingConfig
    data: Path
    split: str
    rows: np.ndarray
    modalities: tuple[Modality, ...]
    folder: Path
    seed: int
    prompts: int
    samples: int

    def generations(self, device: str) -> ModelGenerations:
        """Model and studies, loaded."""
        pipe = AnyToAnyPipeline.from_pretrained(self.model, device=device)
        pipe.sampling = self.sampling
        return ModelGenerations(
            pipe, PreparedDataset(self.data, self.split).parts(self.rows, self.modalities), self.folder, seed=self.seed
        )


_worker: tuple[ModelGenerations, int, int] | None = None


def _set_up(job: GenerationJob, devices: Any) -> None:
    global _worker
    end_with_parent()
    torch.set_num_threads(1)
    _worker = job.generations(devices.get()), job.prompts, job.samples


def _generate(task: Task) -> Task:
    assert _worker is not None
    generations, prompts, samples = _worker
    generations.everything(task, prompts, samples)
    return task


def generate_with_processes(
    job: GenerationJob, tasks: Sequence[Task], workers: int, devices: tuple[str, ...]
) -> Iterator[Task]:
    """Tasks generated by worker processes, each on the next device, in the order in which they are done; one thread
    each on a CPU.

    Raises UserError where a worker dies; what is done is kept.
    """
    longest_first = sorted(tasks, key=lambda t: -len(t.generate))
    try:
        with worker_pool(workers, _set_up, job, devices) as pool:
            for future in as_completed([pool.submit(_generate, task) for task in longest_first]):
                yield future.result()
    except BrokenProcessPool:
        raise UserError(
            "A worker died, most likely because memory ran out. What is done is kept: run the same command with fewer"
            " --workers."
        ) from None


class FolderGenerations:
    """Reads what another system generated: one folder per task, one per study within. Every task must hold the same
    studies."""

    def __init__(self, folder: Path, data: PreparedDataset) -> None:
        """Raises UserError for a folder without a task, and for studies that the data set does not have with all parts
        that the tasks touch."""
        self.folder, self.data = folder, data
        self.tasks = tuple(t for t in EVERY_TASK if (folder / task_name(t)).is_dir())
        if not self.tasks:
            names = ", ".join(task_name(t) for t in Task.all()[:3])
            raise UserError(
                f"{folder} has neither {TABLE} nor a folder named after a task (such as {names}): see"
                " docs/evaluation.md for the layout."
            )
        rows = data.having(*touched(self.tasks))
        self.study_ids = {data.table.column("study_id")[int(i)].as_py(): int(i) for i in rows}
        found = [self._studies(folder / task_name(t)) for t in self.tasks]
        for task, studies in zip(self.tasks, found, strict=True):
            if different := studies ^ found[0]:
                raise UserError(
                    f"{folder}: {task_name(task)} and {task_name(self.tasks[0])} do not hold the same studies (for"
                    f" instance '{min(different)}'): generate every task for the same studies."
                )
        self.rows = np.array(sorted(self.study_ids[s] for s in found[0]))

    def task(self, task: Task, rows: np.ndarray, progress: Progress | None = None) -> Parts:
        """One output for each study of `rows`. Raises UserError for a file that is missing or cannot be read."""
        outputs: Parts = {m: [] for m in task.generate}
        for done, row in enumerate(rows):
            study = self.folder / task_name(task) / self.data.table.column("study_id")[int(row)].as_py()
            for m in task.generate:
                path = _one_of(study, m)
                outputs[m].append(
                    np.asarray(load_image(path, self.data.image_size))
                    if m.is_image
                    else path.read_text(encoding="utf-8").strip()
                )
            if progress:
                progress(done + 1, len(rows))
        return {m: np.stack(v) if m.is_image else v for m, v in outputs.items()}

    def _studies(self, folder: Path) -> set[str]:
        names = {p.name for p in folder.iterdir() if p.is_dir()}
        if unknown := names - set(self.study_ids):
            raise UserError(
                f"{folder / min(unknown)}: no complete {self.data.split} study of {self.data.root} has this study_id: "
                "name the folders by its ids."
            )
        return names


class TableGenerations:
    """Reads a CheXGenBench table: frontal views made from reports."""

    tasks = (Task.parse("report->frontal"),)

    def __init__(self, folder: Path, data: PreparedDataset) -> None:
        rows = data.having(*touched(self.tasks))
        ids = [data.table.column("study_id")[int(i)].as_py() for i in rows]
        self.pictures, order = read_chexgenbench(
            folder / TABLE, [data.reports[i] for i in rows], ids, image_size=data.image_size
        )
        self.rows = rows[order]

    def task(self, task: Task, rows: np.ndarray, progress: Progress | None = None) -> Parts:
        """The pictures of some of `rows`."""
        return {Modality.FRONTAL: self.pictures[np.searchsorted(self.rows, rows)]}


def read_generations(folder: Path, data: PreparedDataset) -> FolderGenerations | TableGenerations:
    """The right reader for a folder of generated studies."""
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder: give the folder that holds the generated studies.")
    return (TableGenerations if (folder / TABLE).is_file() else FolderGenerations)(folder, data)


def _one_of(study: Path, modality: Modality) -> Path:
    for suffix in SUFFIX[modality]:
        if (path := study / f"{modality}.{suffix}").is_file():
            return path
    raise UserError(
        f"{study} has no {modality}.{SUFFIX[modality][0]}: every study of a task needs what the task generates."
    )
