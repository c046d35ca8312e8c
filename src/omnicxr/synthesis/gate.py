"""Is a synthetic study what was asked for? Alignment with the prompt, and agreement of the judge with the wished
findings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch

from omnicxr.domain import Modality, UserError
from omnicxr.domain.settings import Between, Settings
from omnicxr.models.judge import Judge
from omnicxr.pipeline import AnyToAnyPipeline


@dataclass(frozen=True, kw_only=True)
class Gate(Settings):
    """Thresholds; None is no condition. What fails is drawn again, up to `tries` times, and then the best draw is kept
    and counted. Prompts that are not known are left out before anything is drawn: no other draw would mend them."""

    known: bool = False
    """Only prompts that are as the model knows them: reports that it understands, pictures like those that it has seen,
    which do not contradict each other."""

    alignment: Annotated[float | None, Between(-1, 1)] = None
    """Least cosine of the prompt embeddings of what was given and of what was generated, -1..1."""
    agreement: Annotated[float | None, Between(0, 1)] = None
    """Least mean agreement of the judge's probabilities with the wished labels, 0..1."""
    tries: Annotated[int, Between(1, 1000)] = 1
    """Draws per study at most."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tries > 1 and self.open:
            raise UserError("More than one try needs a condition: set --gate-alignment or --gate-agreement.")

    @property
    def open(self) -> bool:
        """Nothing is asked."""
        return self.alignment is None and self.agreement is None

    def passes(self, quality: dict[str, float]) -> bool:
        """Every condition holds."""
        least = {"alignment": self.alignment, "agreement": self.agreement}
        return all(quality[k] >= v for k, v in least.items() if v is not None)

    def score(self, quality: dict[str, float]) -> float:
        """By which the best of several draws is chosen."""
        return sum(quality.values())


@torch.no_grad()
def quality_of(
    generated: dict[Modality, Any],
    given: dict[str, Any],
    *,
    gate: Gate,
    pipe: AnyToAnyPipeline,
    judge: Judge | None,
    labels: np.ndarray,
) -> dict[str, float]:
    """The figures that the gate asks for, rounded to 4 decimals. `labels` [14] are those that were asked for."""
    out: dict[str, float] = {}
    if gate.alignment is not None:
        wanted = _embed(pipe, {Modality(k): v for k, v in given.items()})
        out["alignment"] = round(float(wanted @ _embed(pipe, generated)), 4)
    if gate.agreement is not None:
        assert judge is not None
        known = np.isfinite(labels) & (labels != -1)
        logits = [judge(m, _input(pipe, m, part))[0] for m, part in generated.items()]
        scores = np.mean([x.sigmoid()[0].cpu().numpy() for x in logits], axis=0)
        out["agreement"] = round(float(1 - np.abs(scores - labels)[known].mean()), 4) if known.any() else 1.0
    return out


def _embed(pipe: AnyToAnyPipeline, parts: dict[Modality, Any]) -> torch.Tensor:
    mean = torch.stack([pipe.prompt_encoders.embed(m, _input(pipe, m, part))[0] for m, part in parts.items()]).mean(0)
    return mean / mean.norm()


def _input(pipe: AnyToAnyPipeline, modality: Modality, part: Any) -> torch.Tensor:
    return pipe.network_input(modality, [np.asarray(part) if modality.is_image else part])
