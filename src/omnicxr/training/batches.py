"""Which studies make up a micro-batch: a function of (seed, step, rank) alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import lru_cache
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from omnicxr.data.dataset import PreparedDataset
from omnicxr.domain import IMAGE_MODALITIES, Modality, Task, UserError

HELD_OUT_PICTURES, HELD_OUT_BATCH = 48, 16
DEVICE_SHARE = 0.25
"""Of a GPU's free memory, that pictures or latents may take."""


def has_room(device: torch.device, size: int) -> bool:
    """Whether so many bytes of training data can stay on a device: a GPU with enough memory."""
    return device.type == "cuda" and size < DEVICE_SHARE * torch.cuda.mem_get_info(device)[0]


def picture_rng(seed: int, step: int, rank: int) -> np.random.Generator:
    """Which of several pictures of a view a micro-batch has: a study comes up once in an epoch, with another draw in
    each."""
    return np.random.default_rng([seed, step, rank, 9])


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
        """Indices of the micro-batch of a process in a step."""
        first = (step * self.world_size + rank) * self.batch_size
        places = np.arange(first, first + self.batch_size)
        return np.array([self.order(int(p // self.n))[p % self.n] for p in places])


def evenly(n: int, count: int) -> np.ndarray:
    """`count` of 0..n-1, evenly chosen, or all where there are fewer."""
    return np.linspace(0, n - 1, min(count, n)).astype(int)


Group = TypeVar("Group")


class GroupSampler(Generic[Group]):
    """One group of studies per micro-batch, the same on every process, drawn by `weights`; without them all groups as
    often."""

    def __init__(
        self,
        groups: Mapping[Group, np.ndarray],
        batch_size: int,
        *,
        seed: int,
        world_size: int = 1,
        weights: Mapping[Group, float] | None = None,
    ) -> None:
        """`groups`: rows of a data set; empty ones never come up. Raises UserError where all are empty."""
        self.seed, self.rows = seed, {group: rows for group, rows in groups.items() if len(rows)}
        self.groups = list(self.rows)
        if not self.groups:
            raise UserError(
                "The training split has no studies with the parts that this stage needs: check which modalities the"
                " data set has (`omnicxr inspect`), and see `omnicxr prepare --describe` for data without reports."
            )
        weight = np.array([weights[group] if weights else 1 for group in self.rows], float)
        self.shares = weight / weight.sum()
        self.samplers = {
            g: EpochSampler(len(rows), batch_size, seed=seed, world_size=world_size) for g, rows in self.rows.items()
        }

    def batch(self, step: int, rank: int = 0) -> tuple[Group, np.ndarray]:
        """The group of this step, and the rows of the data set in this process's micro-batch."""
        drawn = np.random.default_rng([self.seed, step, 7]).choice(len(self.groups), p=self.shares)
        group = self.groups[int(drawn)]
        return group, self.rows[group][self.samplers[group].batch(step, rank)]


Modalities = tuple[Modality, ...]


def studies_by_task(data: PreparedDataset, tasks: Sequence[Task]) -> dict[tuple[Task, Modalities], np.ndarray]:
    """(Task, modalities that studies have, all that the task touches among them) => those studies; a study is under
    every task it allows."""
    groups = studies_by_parts(data, at_least=1)
    return {(t, parts): rows for parts, rows in groups.items() for t in tasks if set(t.modalities) <= set(parts)}


def task_weights(
    groups: Mapping[tuple[Task, Modalities], np.ndarray],
    shares: Mapping[Hashable, float],
    kind: Callable[[Task], Hashable],
) -> dict[tuple[Task, Modalities], float]:
    """Weights with which every study comes up as often, whatever parts it has: were all tasks equal, studies without a
    lateral view, which allow few tasks, would hardly be learned from.

    Of the tasks that a study allows, those of one kind get that kind's share, each task of a kind equally.
    """
    weights = {}
    for parts, size in {parts: len(rows) for (_, parts), rows in groups.items()}.items():
        kinds = {task: kind(task) for task, p in groups if p == parts}
        counts = Counter(kinds.values())
        total = sum(shares[k] for k in counts)  # a study may allow tasks of one kind only
        weights |= {(task, parts): size * shares[k] / counts[k] / total for task, k in kinds.items()}
    return weights


def by_size(groups: Mapping[Group, np.ndarray]) -> dict[Group, float]:
    """Weights with which every study comes up as often."""
    return {group: float(len(rows)) for group, rows in groups.items()}


class Pictures:
    """All pictures of a data set, both views, further ones too: decoded when they are asked for, and kept from then on
    where there is a GPU with room for all of them.

    A network of the size of an autoencoder learns from pictures faster than one thread decodes them.
    """

    def __init__(self, data: PreparedDataset, device: torch.device | None = None) -> None:
        self.data, self.items = data, [(int(i), m) for m in IMAGE_MODALITIES for i in data.places(m)]
        self.kept: Tensor | None = None
        self.is_kept = np.zeros(len(self.items), bool)
        if device and has_room(device, len(self) * data.image_size**2):
            self.kept = torch.empty(len(self), data.image_size, data.image_size, dtype=torch.uint8, device=device)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, chosen: np.ndarray) -> Tensor:
        """Some of them, uint8 [b, s, s]."""
        if self.kept is None:
            return self._decoded(chosen)
        if len(new := np.unique(chosen[~self.is_kept[chosen]])):
            self.kept[torch.from_numpy(new)] = self._decoded(new).to(self.kept.device)
            self.is_kept[new] = True
        return self.kept[torch.from_numpy(chosen)]

    def _decoded(self, chosen: np.ndarray) -> Tensor:
        return torch.from_numpy(np.stack([self.data.image(*self.items[i]) for i in chosen]))


def held_out_pictures(data: PreparedDataset) -> list[Tensor]:
    """Some pictures of both views, always the same ones: micro-batches, uint8 [b, s, s]."""
    pictures = Pictures(data)
    chosen = evenly(len(pictures), HELD_OUT_PICTURES)
    return [pictures[chosen[i : i + HELD_OUT_BATCH]] for i in range(0, len(chosen), HELD_OUT_BATCH)]


def studies_by_parts(data: PreparedDataset, *, at_least: int) -> dict[Modalities, np.ndarray]:
    """The modalities that studies have, at least so many => those studies; each is under one."""
    there: dict[Modalities, list[int]] = {}
    for i, row in enumerate(data.available):
        there.setdefault(tuple(m for m, has in zip(Modality, row, strict=True) if has), []).append(i)
    return {parts: np.array(rows) for parts, rows in sorted(there.items()) if len(parts) >= at_least}
