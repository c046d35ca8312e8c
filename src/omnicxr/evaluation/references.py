"""Predictors that need no generative model, so that every table has its bounds.

| name | what it answers |
|---|---|
| `real` | the study's own parts: the best there can be |
| `shuffled` | every part of another study of the same set: what ignoring the input scores, though everything is real |
| `always-normal` | one training study without any finding, for everyone |
| `nearest` | the parts of the training study whose given parts are most similar (mean prompt embedding, cosine) |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from omnicxr.data.dataset import Parts, PreparedDataset, take
from omnicxr.domain import Finding, Modality, Task, UserError

NAMES = ("real", "shuffled", "always-normal", "nearest")
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
    """The predictors, for one set of test studies; `embed` gives prompt embeddings [n, d] of length 1."""

    def __init__(self, real: Parts, training: PreparedDataset, embed: Callable[[Modality, Any], np.ndarray]) -> None:
        self.real, self.training, self.embed = real, training, embed
        self.count = len(next(iter(real.values())))
        self._pool: Parts | None = None
        self._embeds: dict[Modality, tuple[np.ndarray, np.ndarray]] = {}
        """Given modality => embeddings of the real parts and of the pool."""

    def predict(self, name: str, task: Task) -> Parts:
        """What the predictor gives for a task. Raises UserError for an unknown name."""
        if name not in NAMES:
            raise UserError(f"Unknown reference predictor '{name}': choose from {', '.join(NAMES)}.")
        makers: Mapping[str, Callable[[Task], Parts]] = {
            "real": lambda task: self.real,
            "shuffled": self._shuffled,
            "always-normal": self._normal,
            "nearest": self._nearest,
        }
        made = makers[name](task)
        return {m: made[m] for m in task.generate}

    def _shuffled(self, task: Task) -> Parts:
        return {m: take({m: v}, derangement(self.count, shift=i + 1))[m] for i, (m, v) in enumerate(self.real.items())}

    def _normal(self, task: Task) -> Parts:
        labels = self.training.labels[:, [f is not Finding.NO_FINDING for f in Finding]]
        complete = self.training.having(*self.real)
        normal = complete[~(labels[complete] == 1).any(1)]
        if len(normal) == 0:
            raise UserError(
                "The training split has no complete study without a finding: `always-normal` cannot be made."
            )
        return take(self.training.parts(normal[:1], tuple(self.real)), np.zeros(self.count, int))

    def _nearest(self, task: Task) -> Parts:
        if not task.given:
            return self._shuffled(task)
        if self._pool is None:
            self._pool = self.training.parts(self.training.having(*self.real)[:NEAREST_POOL], tuple(self.real))
        similarity = 0.0
        for m in task.given:
            if m not in self._embeds:
                self._embeds[m] = self.embed(m, self.real[m]), self.embed(m, self._pool[m])
            real, pool = self._embeds[m]
            similarity = similarity + real @ pool.T
        return take(self._pool, np.asarray(similarity).argmax(1))
