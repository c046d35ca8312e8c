"""Where generated studies come from: a model, or a folder that any other system wrote.

The folder holds one sub-folder per task (`report_to_frontal+lateral`) with one sub-folder per study, named by its
study_id, with `frontal.png`, `lateral.png`, `report.txt` for what the task generates; or the CheXGenBench table (see
`exchange`), which is the task report->frontal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch

from omnicxr.data.dataset import Parts, PreparedDataset, take
from omnicxr.data.exchange import TABLE, read_chexgenbench
from omnicxr.data.files import whole_file
from omnicxr.data.images import load_image
from omnicxr.data.plain_files import read_limited
from omnicxr.data.processes import run_in_processes, working_on
from omnicxr.data.seeds import derived_seed
from omnicxr.data.table_files import decode_text
from omnicxr.domain import Modality, Task, UserError
from omnicxr.evaluation.noticed import StudyNoticed, read_noticed, write_noticed
from omnicxr.flow.sampling import SamplingConfig
from omnicxr.pipeline import TURNS, AnyToAnyPipeline

CHUNK = 64
"""Studies that are handed to the pipeline at once; how many go through a network together is its own choice."""
EVERY_TASK = (*Task.all(), *(Task((), some) for n in (3, 2, 1) for some in combinations(Modality, n)))
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


def whole_of(task: Task, tasks: Iterable[Task]) -> Task | None:
    """The largest of `tasks` whose first turns are this task: the same parts given, more generated, these first."""

    def in_turn(t: Task) -> list[Modality]:
        return [m for m in TURNS if m in t.generate]

    first = in_turn(task)
    longer = [t for t in tasks if t.given == task.given and len(t.generate) > len(first)]
    return max((t for t in longer if in_turn(t)[: len(first)] == first), key=lambda t: len(t.generate), default=None)


def _beside(path: Path) -> Path:
    """Where what was noticed is kept, beside the studies."""
    return path.with_suffix(".noticed.json")


class ModelGenerations:
    """Generates with a model, one random generator per study, and keeps every task under `folder`, so that a second run
    only reads.

    What is the beginning of another of `tasks` is not generated twice: turns draw from a study's generator one after
    the other, so it is the same.
    """

    def __init__(
        self, pipe: AnyToAnyPipeline, held_out: Parts, folder: Path, *, seed: int, tasks: Iterable[Task] = ()
    ) -> None:
        self.pipe, self.held_out, self.folder, self.seed = pipe, held_out, folder, seed
        self.wholes = {t: whole for t in tasks if pipe.in_turn and (whole := whole_of(t, tasks))}
        """Task => the task that it is the beginning of."""

    def path(self, task: Task) -> Path:
        """Where the outputs of a task are kept."""
        return self.folder / f"{task_name(task)}.npz"

    def noticed(self, task: Task) -> list[StudyNoticed] | None:
        """What the door noticed of each study of a task that `task` generated; None where the pipeline takes no
        notes."""
        return read_noticed(_beside(self.path(task)))

    def task(self, task: Task) -> Parts:
        """One output for each study: study i is that of `pipe(..., seed=seed)`."""
        count = len(next(iter(self.held_out.values())))
        seeds = [derived_seed(self.seed, i) for i in range(count)]
        return self._kept(task, self.path, rows=np.arange(count), seeds=seeds)

    def samples(self, task: Task, *, prompts: int, each: int) -> Parts:
        """Several outputs for each of the first studies: [prompts * each, ...], those of a study after each other."""
        seeds = [derived_seed(self.seed, i, sample) for i in range(prompts) for sample in range(1, each + 1)]
        return self._kept(
            task,
            lambda t: self.folder / "samples" / self.path(t).name,
            rows=np.arange(prompts).repeat(each),
            seeds=seeds,
        )

    def everything(self, task: Task, *, prompts: int, each: int) -> Parts:
        """`task`, after `samples` where the task generates views: both are there then."""
        if any(m.is_image for m in task.generate):
            self.samples(task, prompts=prompts, each=each)
        return self.task(task)

    def _kept(self, task: Task, path: Callable[[Task], Path], *, rows: np.ndarray, seeds: list[int]) -> Parts:
        """Read, or taken from the task that it is the beginning of, or generated."""
        if not path(task).exists():
            if whole := self.wholes.get(task):
                parts = self._kept(whole, path, rows=rows, seeds=seeds)
                noticed = read_noticed(_beside(path(whole)))
            else:
                parts, noticed = self._run(task, rows, seeds)
            write_noticed(_beside(path(task)), noticed)
            save_parts(path(task), {m: parts[m] for m in task.generate})  # last: it says that the task is done
        return load_parts(path(task))

    def _run(self, task: Task, rows: np.ndarray, seeds: list[int]) -> tuple[Parts, list[StudyNoticed] | None]:
        """An output for each of `rows` of the studies, each from its own seed, and what was noticed of each."""
        outputs: Parts = {m: [] for m in task.generate}
        noticed: list[StudyNoticed] = []
        for start in range(0, len(rows), CHUNK):
            chosen = slice(start, start + CHUNK)
            rngs = [torch.Generator().manual_seed(s) for s in seeds[chosen]]
            parts = take({m: self.held_out[m] for m in task.given}, rows[chosen])
            given: dict[str, Any] = {str(m): list(part) for m, part in parts.items()}
            num = 1 if given else len(rngs)
            generated = self.pipe(**given, generate=task.generate, num=num, generator=rngs, prepared=True)
            for m in task.generate:
                outputs[m] += [np.asarray(v) if m.is_image else v for v in getattr(generated, m)]
            noticed += map(StudyNoticed.of, getattr(generated, "notes", None) or ())
        parts = {m: np.stack(v) if m.is_image else v for m, v in outputs.items()}
        return parts, noticed if len(noticed) == len(rows) else None


@dataclass(frozen=True, kw_only=True)
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
        held_out = PreparedDataset(self.data, self.split).parts(self.rows, self.modalities)
        return ModelGenerations(pipe, held_out, self.folder, seed=self.seed)


def _begin(job: GenerationJob, device: str) -> Callable[[Task], Task]:
    """In a worker process."""
    generations = job.generations(device)

    def generate(task: Task) -> Task:
        working_on(str(task))
        generations.everything(task, prompts=job.prompts, each=job.samples)
        return task

    return generate


def generate_with_processes(
    job: GenerationJob, tasks: Sequence[Task], *, workers: int, devices: tuple[str, ...]
) -> Iterator[Task]:
    """Tasks generated by worker processes, each on the next device, in the order in which they are done; one thread
    each on a CPU.

    Raises UserError for a task at which workers keep dying; what is done is kept.
    """
    longest_first = sorted(tasks, key=lambda t: -len(t.generate))
    return run_in_processes(partial(_begin, job), longest_first, workers, devices=devices)


class FolderGenerations:
    """What another system generated: one folder per task, one per study within. Every task must hold the same
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

    def task(self, task: Task, rows: np.ndarray) -> Parts:
        """One output for each study of `rows`. Raises UserError for a file that is missing or cannot be read."""
        outputs: Parts = {m: [] for m in task.generate}
        for row in rows:
            study = self.folder / task_name(task) / self.data.table.column("study_id")[int(row)].as_py()
            for m in task.generate:
                path = _one_of(study, m)
                outputs[m].append(
                    np.asarray(load_image(path, self.data.image_size))
                    if m.is_image
                    else decode_text(read_limited(path)).strip()
                )
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
    """A CheXGenBench table: frontal views generated from reports."""

    tasks = (Task.parse("report->frontal"),)

    def __init__(self, folder: Path, data: PreparedDataset) -> None:
        rows = data.having(*touched(self.tasks))
        ids = [data.table.column("study_id")[int(i)].as_py() for i in rows]
        self.pictures, order = read_chexgenbench(
            folder / TABLE, [data.reports[i] for i in rows], ids, image_size=data.image_size
        )
        self.rows = rows[order]

    def task(self, task: Task, rows: np.ndarray) -> Parts:
        """The pictures of some of `rows`."""
        return {Modality.FRONTAL: self.pictures[np.searchsorted(self.rows, rows)]}


def read_generations(folder: Path, data: PreparedDataset) -> FolderGenerations | TableGenerations:
    """The studies of a folder, whichever of the two layouts it has. Raises UserError for a folder that is not there."""
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
