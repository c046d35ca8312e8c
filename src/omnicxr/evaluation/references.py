"""Predictors that need no generative model, so that every table has its bounds.

| name | what it answers |
|---|---|
| `shuffled` | every part of another study of the same set: what ignoring the input scores |
| `always-normal` | one training study without any finding, for everyone |
| `always-usual` | the training study with the most usual report, for everyone: the most central of 200 |
| `nearest` | the parts of the training study whose given parts are most similar (mean prompt embedding, cosine) |
| `consensus` | of the 30 nearest such studies the parts of the one with the most central report |

Central is what `data.centrality` says. Where nothing is given, `nearest` is `shuffled`, and `consensus` is
`always-usual`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from omnicxr.data.centrality import most_central
from omnicxr.data.dataset import Parts, PreparedDataset, take
from omnicxr.domain import Finding, Modality, Task, UserError

OF_REPORTS = ("always-usual", "consensus")
"""Predictors that need training reports."""
NAMES = ("shuffled", "always-normal", "nearest", *OF_REPORTS)
SAME_FOR_EVERY_TASK = ("shuffled", "always-normal", "always-usual")
UNCONDITIONAL = "unconditional"
"""The model's own samples from nothing, beside the predictors in every table."""
NEAREST_POOL = 4000
"""Training studies that `nearest` and `consensus` look through at most."""
NEIGHBOURS, USUAL_OF = 30, 200


def derangement(n: int, *, shift: int = 1, seed: int = 0) -> np.ndarray:
    """A random cyclic order, every study gets the part of another one; different shifts below n give every study
    different other ones."""
    order = np.random.default_rng(seed).permutation(n)
    out = np.empty(n, int)
    out[order] = np.roll(order, shift)
    return out


class References:
    """The predictors, for one set of held-out studies; `embed` gives prompt embeddings [n, d] of length 1."""

    def __init__(
        self, held_out: Parts, training: PreparedDataset, embed: Callable[[Modality, Any], np.ndarray]
    ) -> None:
        self.held_out, self.training, self.embed = held_out, training, embed
        self.count = len(next(iter(held_out.values())))
        self._similarities: dict[Modality, np.ndarray] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The predictors that there are: without reports among the parts, not those that need them."""
        return NAMES if Modality.REPORT in self.held_out else tuple(n for n in NAMES if n not in OF_REPORTS)

    def predict(self, name: str, task: Task) -> Parts:
        """What the predictor gives for a task. Raises UserError for an unknown name, and one that needs reports where
        there are none."""
        predictors: dict[str, Callable[[Task], Parts]] = {
            "shuffled": lambda task: self._shuffled,
            "always-normal": lambda task: self._normal,
            "nearest": self._nearest,
            "always-usual": lambda task: self._usual,
            "consensus": self._consensus,
        }
        if name not in self.names:
            raise UserError(f"Unknown reference predictor '{name}': choose from {', '.join(self.names)}.")
        predicted = predictors[name](task)
        return {m: predicted[m] for m in task.generate}

    @cached_property
    def _shuffled(self) -> Parts:
        orders = {m: derangement(self.count, shift=i) for i, m in enumerate(self.held_out, 1)}
        return {m: take({m: part}, orders[m])[m] for m, part in self.held_out.items()}

    @cached_property
    def _normal(self) -> Parts:
        labels = self.training.labels[:, [f is not Finding.NO_FINDING for f in Finding]]
        complete = self.training.having(*self.held_out)
        normal = complete[~(labels[complete] == 1).any(1)]
        if len(normal) == 0:
            raise UserError(
                "The training split has no complete study without a finding: `always-normal` cannot be made."
            )
        return self._everyone(normal[0])

    @cached_property
    def _usual(self) -> Parts:
        complete = self.training.having(*self.held_out)
        chosen = complete[np.linspace(0, len(complete) - 1, min(USUAL_OF, len(complete))).astype(int)]
        return self._everyone(chosen[most_central([self.training.reports[i] for i in chosen])])

    def _everyone(self, row: int) -> Parts:
        """The parts of one training study, for every held-out one."""
        return take(self.training.parts(np.array([row]), tuple(self.held_out)), np.zeros(self.count, int))

    def _nearest(self, task: Task) -> Parts:
        return take(self._pool, self._similarity(task).argmax(1)) if task.given else self._shuffled

    def _consensus(self, task: Task) -> Parts:
        if not task.given:
            return self._usual
        neighbours = np.argsort(-self._similarity(task), axis=1, kind="stable")[:, :NEIGHBOURS]
        reports = self._pool[Modality.REPORT]
        return take(self._pool, np.array([n[most_central([reports[i] for i in n])] for n in neighbours]))

    @cached_property
    def _pool(self) -> Parts:
        rows = self.training.having(*self.held_out)[:NEAREST_POOL]
        return self.training.parts(rows, tuple(self.held_out))

    def _similarity(self, task: Task) -> np.ndarray:
        """[n, pool] of what a task is given of the held-out studies, and the same parts of the pool."""
        for modality in task.given:
            if modality not in self._similarities:
                own, pool = (self.embed(modality, parts[modality]) for parts in (self.held_out, self._pool))
                self._similarities[modality] = own @ pool.T
        return np.sum([self._similarities[m] for m in task.given], axis=0)
