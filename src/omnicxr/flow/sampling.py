"""How a model samples: steps, guidance, and in which order parts of a study are made."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from omnicxr.domain import Modality, UserError
from omnicxr.flow.samplers import SOLVERS

TOGETHER, REPORT_FIRST, IN_TURN = ORDERS = ("together", "report-first", "in-turn")

AUTOGUIDANCE = 1.5
"""Scale that a model with a guide is saved with; docs/ablations.md, "Autoguidance"."""


@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """How the flow is integrated. The values here are a model's defaults and travel with it."""

    num_inference_steps: int = 20
    guidance_scale: float = 3.0
    guidance_interval: tuple[float, float] = (0.0, 1.0)
    guidance_parallel: float = 0.0
    """Share that is kept of what guidance adds parallel to the data, which is contrast rather than findings; 1 is plain
    guidance."""
    autoguidance_scale: float = 1.0
    """How far to go from what the model's guide draws, a smaller generator of the same kind; 1, and models that have no
    guide: not at all."""
    solver: str = "ancestral"
    """One of SOLVERS."""
    time_shift: float = 1.0
    order: str = IN_TURN
    """How several parts of a study are generated: `together`; `report-first`, then the views together; `in-turn`:
    report, frontal, lateral. What was generated in an earlier turn counts as given in the next."""

    def __post_init__(self) -> None:
        if not 1 <= self.num_inference_steps <= 1000:
            raise UserError(f"Cannot sample in {self.num_inference_steps} steps: choose 1 to 1000.")
        if not 0 <= self.guidance_scale <= 50:
            raise UserError(f"Guidance {self.guidance_scale} is out of range: choose 0 to 50 (1 is none).")
        first, last = self.guidance_interval
        if not 0 <= first <= last <= 1:
            raise UserError(
                f"Guidance from time {first} to {last} is out of range: choose an interval within 0 (data) and 1"
                " (noise)."
            )
        if not 0 <= self.guidance_parallel <= 1:
            raise UserError(
                f"The parallel share of guidance is {self.guidance_parallel}: choose 0 to 1 (1 is plain guidance)."
            )
        if not 0 <= self.autoguidance_scale <= 10:
            raise UserError(f"Autoguidance {self.autoguidance_scale} is out of range: choose 0 to 10 (1 is none).")
        if self.solver not in SOLVERS:
            raise UserError(f"Unknown solver '{self.solver}': choose from {', '.join(SOLVERS)}.")
        if self.order not in ORDERS:
            raise UserError(f"Unknown order '{self.order}': choose from {', '.join(ORDERS)}.")

    def changed(self, **values: Any) -> SamplingConfig:
        """The same with other values, where they are not None. Raises UserError for those that cannot be used."""
        return replace(self, **{k: v for k, v in values.items() if v is not None})

    def turns(self, generate: tuple[Modality, ...]) -> list[tuple[Modality, ...]]:
        """What is generated together, and in which order."""
        report, views = (tuple(m for m in generate if m.is_image == image) for image in (False, True))
        chosen = {TOGETHER: [generate], REPORT_FIRST: [report, views], IN_TURN: [report, *((m,) for m in views)]}[
            self.order
        ]
        return [turn for turn in chosen if turn]
