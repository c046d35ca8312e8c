"""Which studies make up a micro-batch: a function of (seed, step, rank) alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from omnicxr.data.dataset import PreparedDataset
from omnicxr.domain import Modality, Task, UserError


class EpochSampler:
    """Indices 0..n-1 in a new order every epoch, split over steps and processes without repetition inside an epoch."""

    def __init__(self, n: int, batch_size: int, *, seed: int, world_size: int = 1) -> None:
        if n < 1:
            raise UserError("No studies to train on: check the split and the modalities of the data set.")
        self.n, self.batch_size, self.seed, self.world_size = n, batch_size, seed, world_size
        self.order = lru_cache(maxsize=2)(self._order)

    def _order(self, epoch: int) -> np.ndarray:
        return np.random.default_rng([self.seed, epoch]).permutation(self.n)

    def batch(self, step: int, rank: int = 0) -> np.ndarray:
        first = (step * self.world_size + rank) * self.batch_size
        places = np.arange(first, first + self.batch_size)
        return np.array([self.order(int(p // self.n))[p % self.n] for p in places])


class TaskSampler:
    """One task per micro-batch, the same on every process, with studies that have all the modalities it touches.

    Tasks are drawn uniformly from those that at least one study allows.
    """

    def __init__(self, dataset: PreparedDataset, tasks: Sequence[Task], batch_size: int, *, seed: int, world_size: int = 1) -> None:
        self.seed = seed
        self.groups = {t: dataset.having(*t.given, *t.generate) for t in tasks}
        self.tasks = [t for t in tasks if len(self.groups[t])]
        if not self.tasks:
            raise UserError("No study of the training split allows any task: check which modalities the data set has.")
        self.samplers = {t: EpochSampler(len(self.groups[t]), batch_size, seed=seed, world_size=world_size) for t in self.tasks}

    def batch(self, step: int, rank: int = 0) -> tuple[Task, np.ndarray]:
        """The task of this step, and the rows of the data set in this process's micro-batch."""
        task = self.tasks[int(np.random.default_rng([self.seed, step, 7]).integers(len(self.tasks)))]
        return task, self.groups[task][self.samplers[task].batch(step, rank)]


def patterns(dataset: PreparedDataset, *, at_least: int) -> list[Task]:
    """The combinations of modalities that studies have, as tasks that only name what must be there."""
    rows = {tuple(m for m, there in zip(Modality, row, strict=True) if there) for row in dataset.available}
    return [Task((), row) for row in sorted(rows) if len(row) >= at_least]
