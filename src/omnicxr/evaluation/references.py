"""Predictors that need no generative model, so that every table has its bounds.

| name | what it answers |
|---|---|
| `shuffled` | every part of another study of the same set: what ignoring the input scores |
| `always-normal` | one training study without any finding, for everyone |
| `nearest` | the parts of the training study whose given parts are most similar (mean prompt embedding, cosine) |
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from omnicxr.data.dataset import Parts, PreparedDataset, take
from omnicxr.domain import Finding, Modality, Task, UserError

NAMES = ("shuffled", "always-normal", "nearest")
UNCONDITIONAL = "unconditional"
"""The model's own samples from nothing, beside the predictors in every table."""
NEAREST_POOL = 4000
"""Training studies that `nearest` looks through at most."""


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

    def predict(self, name: str, task: Task) -> Parts:
        """What the predictor gives for a task. Raises UserError for an unknown name."""
        predictors = {"shuffled": self._shuffled, "always-normal": self._normal, "nearest": self._nearest}
        if name not in predictors:
            raise UserError(f"Unknown reference predictor '{name}': choose from {', '.join(NAMES)}.")
        predicted = predictors[name](task)
        return {m: predicted[m] for m in task.generate}

    def _shuffled(self, task: Task) -> Parts:
        orders = {m: derangement(self.count, shift=i) for i, m in enumerate(self.held_out, 1)}
        return {m: take({m: part}, orders[m])[m] for m, part in self.held_out.items()}

    def _normal(self, task: Task) -> Parts:
        labels = self.training.labels[:, [f is not Finding.NO_FINDING for f in Finding]]
        complete = self.training.having(*self.held_out)
        normal = complete[~(labels[complete] == 1).any(1)]
        if len(normal) == 0:
            raise UserError(
                "The training split has no complete study without a finding: `always-normal` cannot be made."
            )
        return take(self.training.parts(normal[:1], tuple(self.held_out)), np.zeros(self.count, int))

    def _nearest(self, task: Task) -> Parts:
        if not task.given:
            return self._shuffled(task)
        similarity = np.sum([self._similarity(m) for m in task.given], axis=0)
        return take(self._pool, similarity.argmax(1))

    @cached_property
    def _pool(self) -> Parts:
        rows = self.training.having(*self.held_out)[:NEAREST_POOL]
        return self.training.parts(rows, tuple(self.held_out))

    def _similarity(self, modality: Modality) -> np.ndarray:
        """[n, pool] of the held-out parts and those of the pool."""
        if modality not in self._similarities:
            own, pool = (self.embed(modality, parts[modality]) for parts in (self.held_out, self._pool))
            self._similarities[modality] = own @ pool.T
        return self._similarities[modality]
