"""The stages of training: a row each, in the order in which `all` trains them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from omnicxr.domain import UserError
from omnicxr.training.stages.generator import GeneratorStage
from omnicxr.training.stages.image_autoencoder import ImageAutoencoderStage
from omnicxr.training.stages.judge import JudgeStage
from omnicxr.training.stages.prompt_encoders import PromptEncodersStage
from omnicxr.training.stages.refiner import RefinerStage
from omnicxr.training.stages.report_autoencoder import ReportAutoencoderStage


@dataclass(frozen=True, kw_only=True)
class StageSpec:
    """One stage: what it trains, with what, and for how long."""

    name: str
    stage: Callable[..., Any]
    """Class of the stage; its arguments are a StageContext and what `needs` names."""
    needs: str
    """"" for data alone, "tokenizer", "image_autoencoder", or "pipe": all that the generator is trained on."""
    budget_share: float
    """How `all` spends a budget of time."""
    from_chance: bool = False
    """Never starts from a trained model."""

    @property
    def component(self) -> str:
        """The network's name in COMPONENT_TYPES."""
        return self.name.replace("-", "_")

    @property
    def reads_reports(self) -> bool:
        """Its weights go with a tokenizer."""
        return self.needs == "tokenizer"


STAGES = {
    spec.name: spec
    for spec in (
        StageSpec(name="image-autoencoder", stage=ImageAutoencoderStage, needs="", budget_share=0.22),
        StageSpec(name="report-autoencoder", stage=ReportAutoencoderStage, needs="tokenizer", budget_share=0.1),
        StageSpec(name="prompt-encoders", stage=PromptEncodersStage, needs="tokenizer", budget_share=0.07),
        StageSpec(name="refiner", stage=RefinerStage, needs="image_autoencoder", budget_share=0.1),
        StageSpec(name="generator", stage=GeneratorStage, needs="pipe", budget_share=0.4),
        StageSpec(  # to be worse than the generator, it begins from chance
            name="guide", stage=GeneratorStage, needs="pipe", budget_share=0.04, from_chance=True
        ),
        StageSpec(name="judge", stage=JudgeStage, needs="tokenizer", budget_share=0.07),
    )
}
ALIASES = {"prompts": "prompt-encoders"}
"""Older names of stages, which stay valid."""


def get_stage(name: str) -> StageSpec:
    """The stage of that name; raises UserError with the known names."""
    name = ALIASES.get(name, name)
    if name not in STAGES:
        raise UserError(f"Unknown stage '{name}': choose from {', '.join(STAGES)}, all.")
    return STAGES[name]
