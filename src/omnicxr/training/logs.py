"""The logs of a stage, and the end of training that comes to nothing."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

import torch
from torch import Tensor

from omnicxr.data.files import append_line, write_text
from omnicxr.domain import UserError
from omnicxr.training.throughput import Throughput

LOG_EVERY = 20
Losses = dict[str, Tensor]
"""Name => scalar; "loss" is what is minimised, the others are only logged."""


class TrainingLog:
    """metrics.jsonl: one line of means every LOG_EVERY steps; held-out.jsonl: one line at every checkpoint, or
    wherever the best weights are looked for, of the averaged weights.

    Lines past the checkpoint that is resumed are cut off, and one that a kill has cut short. A figure that is not
    finite is null.
    """

    def __init__(self, folder: Path, start: int, *, studies: int) -> None:
        self.path, self.held_out, self.studies = folder / "metrics.jsonl", folder / "held-out.jsonl", studies
        self.values: dict[str, list[Tensor]] = {}
        self.last, self.count, self.since = start, 0, time.monotonic()
        for path in (self.path, self.held_out):
            lines = path.read_text(errors="replace").splitlines() if path.exists() else []
            write_text(path, "".join(line + "\n" for line in lines if _step_of(line) <= start))

    def add(
        self, step: int, values: Losses, *, lr: float, throughput: Throughput, last: bool
    ) -> dict[str, float] | None:
        """Losses of a step; the means since the last line where one is due. Raises as `check`."""
        for name, value in values.items():
            self.values.setdefault(name, []).append(value.detach())
        self.last, self.count = step + 1, self.count + 1
        due = last or not (step + 1) % LOG_EVERY
        if due or values["loss"].device.type == "cpu":  # a GPU would be waited for
            self.check()
        if not due:
            return None
        rate = self.count / (time.monotonic() - self.since)
        figures = {**_means(self.values), "lr": lr, "per_second": rate * self.studies, **throughput.figures(rate)}
        _append(self.path, step + 1, figures)
        self.values, self.count, self.since = {}, 0, time.monotonic()
        return figures

    def check(self) -> None:
        """Raises UserError, and logs the mean loss until then, where a loss since the last line is not finite."""
        losses = self.values.get("loss", [])
        if losses and not (finite := torch.stack(losses).isfinite()).all():
            good = int(finite.long().argmin())
            step = self.last - len(losses) + good
            if good:
                _append(self.path, step, _means({"loss": losses[:good]}))
            raise not_finite(self.path.parent, "loss", step + 1)

    def add_held_out(self, step: int, batches: list[Losses]) -> None:
        """The means of held-out micro-batches, where there are any."""
        values: dict[str, list[Tensor]] = {}
        for batch in batches:
            for name, value in batch.items():
                values.setdefault(name, []).append(value)
        if values:
            _append(self.held_out, step + 1, _means(values))


def _means(values: dict[str, list[Tensor]]) -> dict[str, float]:
    return {name: float(torch.stack(v).float().mean()) for name, v in values.items()}


def _append(path: Path, step: int, figures: dict[str, float]) -> None:
    """After so many steps."""
    finite = {name: round(value, 6) if math.isfinite(value) else None for name, value in figures.items()}
    append_line(path, json.dumps({"step": step, **finite}, allow_nan=False))


def _step_of(line: str) -> int | float:
    """Of a line of a log; infinity for one that is not whole."""
    try:
        return json.loads(line)["step"]
    except (ValueError, KeyError, TypeError):
        return math.inf


def not_finite(folder: Path, what: str, step: int) -> UserError:
    """The sentence about a loss, or weights, that training cannot go on from; folder: the stage's, named like it."""
    kept = max((int(p.name.removeprefix("step-")) for p in folder.glob("step-*")), default=None)
    left = "there is no checkpoint yet" if kept is None else f"the checkpoint of step {kept} is kept"
    return UserError(
        f"The {what} of {folder.name} at step {step} {'is' if what == 'loss' else 'are'} not finite, so training stops"
        f" ({left}): use a smaller learning rate, such as with --set"
        f" optimization.{folder.name}.learning_rate=1e-4, in another folder."
    )
