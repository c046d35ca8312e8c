"""Sampling one part of a study: what decides it, the guided velocity, and the way from noise to latents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import torch
from jaxtyping import Float
from torch import Tensor

from omnicxr.domain import Modality, UserError
from omnicxr.domain.settings import Autoguidance, Between, Guidance, SamplingSteps, Settings, build
from omnicxr.flow.guidance import away_from, away_from_nothing_given
from omnicxr.flow.samplers import Velocity, ancestral, timesteps
from omnicxr.models.generator.network import Generator, Latents
from omnicxr.models.older import without_retired

AUTOGUIDANCE = 1.5
"""Scale that a model with a guide is saved with; docs/decisions.md, "Autoguidance"."""
RETIRED = {
    "guidance_interval": [0.0, 1.0],
    "guidance_parallel": 0.0,
    "solver": "ancestral",
    "time_shift": 1.0,
    "order": "in-turn",
}
"""Settings of older model folders => what sampling always does by now."""


@dataclass(frozen=True, kw_only=True)
class SamplingConfig(Settings):
    """How a model samples. The values travel with it."""

    num_inference_steps: SamplingSteps = 20
    guidance_scale: Guidance = 3.0
    """1 is no guidance."""
    autoguidance_scale: Autoguidance = 1.0
    """How far to go from what the model's guide draws, a smaller generator of the same kind; 1, and models that have no
    guide: not at all."""
    report_candidates: Annotated[int, Between(1, 256)] = 1
    """Reports that are sampled for each that is kept (`models.report_choice`)."""
    findings_weight: Annotated[float, Between(0, 1000)] = 1.0
    """How much the findings count in the choice among them, against usual wording."""

    @classmethod
    def read(cls, values: dict[str, Any], path: Path) -> SamplingConfig:
        """From a model's index. Raises UserError for a setting that this version does not have, and for a value that
        cannot be used."""
        return build(cls, without_retired(values, RETIRED, path), path)

    def changed(self, **values: Any) -> SamplingConfig:
        """The same with other values, where they are not None. Raises UserError for those that cannot be used."""
        return replace(self, **{k: v for k, v in values.items() if v is not None})


@dataclass(frozen=True, kw_only=True)
class GuidedGenerator:
    """A generator with its guide, and what is given of some studies, which is encoded once for all times."""

    generator: Generator
    guide: Generator | None
    given: Latents
    """Clean latents."""
    prompt_embeds: Tensor | None
    """[b, p], of length 1; None where nothing is given."""
    batch: int
    """Studies."""
    draws: int = 1
    """Latents that are sampled for each study, one after the other; what is given is worked out once for them."""

    def velocity(self, modality: Modality, config: SamplingConfig) -> Velocity:
        """The velocity that sampling follows, guidance included. Raises UserError for autoguidance without a guide."""
        own = self._of(self.generator, modality, given=self.given, prompt_embeds=self.prompt_embeds)
        nothing = None
        if self.given and config.guidance_scale != 1:
            nothing = self._of(self.generator, modality, given={}, prompt_embeds=None)
        worse = None
        if config.autoguidance_scale != 1:
            if self.guide is None:
                raise UserError(
                    "This model has no guide: leave autoguidance_scale at 1, or train one (`omnicxr train guide`)."
                )
            worse = self._of(self.guide, modality, given=self.given, prompt_embeds=self.prompt_embeds)

        def velocity(x: Tensor, t: float) -> Tensor:
            v = guided = own(x, t)
            if nothing:
                scale = config.guidance_scale
                guided = guided + away_from_nothing_given(x, t, velocity=v, unguided=nothing(x, t), scale=scale)
            if worse:
                guided = guided + away_from(v, worse(x, t), config.autoguidance_scale)
            return guided

        return velocity

    def _of(self, network: Generator, modality: Modality, *, given: Latents, prompt_embeds: Tensor | None) -> Velocity:
        prompt = network.prompt_or_null(prompt_embeds, self.batch)
        cache = network.given_cache(given, prompt)
        if self.draws > 1:
            cache, prompt = cache.repeated(self.draws), prompt.repeat_interleave(self.draws, 0)

        def velocity(x: Tensor, t: float) -> Tensor:
            times = torch.full((len(prompt),), t, device=x.device)
            return network.velocity(modality, x, times, prompt=prompt, cache=cache)

        return velocity


def sample(
    guided: GuidedGenerator, modality: Modality, config: SamplingConfig, *, noise: Callable[[], Tensor]
) -> Float[Tensor, " b *latent"]:
    """Latents of one modality; `noise` draws standard normal latents, each study's from its own random generator."""
    velocity = guided.velocity(modality, config)
    return ancestral(velocity, noise(), timesteps(config.num_inference_steps), fresh=noise)
