"""What a pipeline gives back, and how one call of it goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from PIL import Image

from omnicxr.domain import Notes


@dataclass(frozen=True)
class StudyOutput:
    """What was generated, one entry per study; None for modalities that were not asked for."""

    frontal: list[Image.Image] | None = None
    lateral: list[Image.Image] | None = None
    report: list[str] | None = None
    notes: list[Notes] | None = None
    """What was noticed; None where nothing was looked for."""


@dataclass(frozen=True)
class Steps:
    """How one call generates."""

    run: Callable[..., StudyOutput]
    """(turn, what is known, random generators, progress) => what is generated in a turn."""
    rngs: list[torch.Generator]
    """Of every output."""
    num: int
    """Outputs for each study."""
    confidence: bool
    progress: Callable[[int, int], None] | None

    def __post_init__(self) -> None:
        if self.progress is not None and not callable(self.progress):
            raise TypeError(f"progress is {self.progress!r}: give a function of two numbers.")

    def tick(self, before: int, total: int) -> Callable[[int], None] | None:
        """Progress of one turn, of which so many outputs of all turns come before."""
        progress = self.progress
        return None if progress is None else lambda done: progress(before + done, total)
