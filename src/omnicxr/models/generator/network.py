"""The any-to-any generator: p(part | given), with one stream of weights per modality.

Given tokens attend to given tokens alone, at t = 0, so they do not depend on the sampling step: `given_cache` works
them out once and `velocity` reuses them. The tokens being generated attend to them and to themselves. The prompt
embedding of what is given reaches every stream through its modulation.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from omnicxr.domain import Modality
from omnicxr.models.component import Component
from omnicxr.models.generator.config import GeneratorConfig
from omnicxr.models.generator.stream import Stream, StreamLayer, StreamState, prompt_or_null
from omnicxr.models.layers import attend
from omnicxr.models.older import without_retired

Latents = dict[Modality, Tensor]
"""Modality => latents of some studies, [b, c, h, w] or [b, K, c]."""
RETIRED = {
    "patch": 2, "coupling": "joint", "given_sees_generated": False, "prompted": True, "prediction": "velocity",
    "preconditioned": True, "contrastive_dim": None,
}  # fmt: skip
"""Settings of older model folders => the value that every generator has by now; None: of no consequence."""


@dataclass(frozen=True)
class GivenCache:
    """What the generated stream sees of the given ones."""

    layers: list[tuple[Tensor, Tensor]] | None
    """Keys and values of the given tokens in every layer, [b, heads, n, d / heads]; None where nothing is given."""
    summary: Tensor | float
    """What the given streams say of themselves after the last layer, summed, [b, d]; 0 where nothing is given."""

    def repeated(self, times: int) -> GivenCache:
        """The same with every study `times` times, one after the other."""
        if self.layers is None or not isinstance(self.summary, Tensor):
            return self
        layers = [(k.repeat_interleave(times, 0), v.repeat_interleave(times, 0)) for k, v in self.layers]
        return GivenCache(layers, self.summary.repeat_interleave(times, 0))


class Generator(Component):
    """Three streams (see the top of this file)."""

    config_class = GeneratorConfig
    config: GeneratorConfig

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__(config)
        self.streams = nn.ModuleDict({m: Stream(config, m) for m in Modality})
        self.null_embeds = nn.Parameter(torch.zeros(config.prompt_dim))

    @classmethod
    def from_older(cls, config: dict[str, Any], weights: dict[str, Tensor], folder: Path) -> tuple[Any, Any]:
        """Folders of format 2: designs that are gone are refused; the weights of the contrastive term are left out."""
        config = without_retired(config, RETIRED, folder)
        kept = {k: v for k, v in weights.items() if k != "logit_scale" and ".contrast." not in k}
        return config, {k.replace(".axes.trust.", ".axes.gate."): v for k, v in kept.items()}

    def stream(self, modality: Modality) -> Stream:
        """The stream of a modality."""
        return cast(Stream, self.streams[modality])

    def layer(self, modality: Modality, index: int) -> StreamLayer:
        """A modality's share of a layer."""
        return cast(StreamLayer, self.stream(modality).layers[index])

    def forward(
        self,
        modality: Modality,
        x_t: Float[Tensor, " b *latent"],
        t: Float[Tensor, " b"],
        *,
        given: Latents,
        prompt_embeds: Float[Tensor, "g p"] | None,
        draws: int = 1,
    ) -> Float[Tensor, " b *latent"]:
        """Velocity of the latents of `modality` at times t in 0..1.

        given: clean latents of other modalities, of g studies; prompt_embeds: their mean prompt embedding, of length 1,
        None for nothing. draws: x_t and t have so many rows, one after the other, for each of these studies (b = g
        draws), and what is given is worked out once for all of them.
        """
        prompt = self.prompt_or_null(prompt_embeds, len(x_t) // draws)
        cache = self.given_cache(given, prompt)
        if draws > 1:
            cache, prompt = cache.repeated(draws), prompt.repeat_interleave(draws, 0)
        return self.velocity(modality, x_t, t, prompt=prompt, cache=cache)

    def prompt_or_null(self, prompt_embeds: Float[Tensor, "g p"] | None, batch: int) -> Float[Tensor, "batch p"]:
        """Prompt embeddings in the scale that streams see, or what stands for none."""
        return prompt_or_null(prompt_embeds, self.null_embeds, batch)

    def given_cache(self, given: Latents, prompt: Float[Tensor, "b p"]) -> GivenCache:
        """Run the given streams (t = 0) through all layers, once per sample; `prompt` as `prompt_or_null` gives it."""
        if not given:
            return GivenCache(None, 0.0)
        zero = torch.zeros(len(prompt), device=prompt.device)
        states = {m: self.stream(m).enter(x, zero, prompt=prompt, null=self.null_embeds) for m, x in given.items()}
        tokens = {m: s.tokens for m, s in states.items()}  # [b, n, d] each
        layers = []
        for i in range(self.config.depth):
            projected = [self.layer(m, i).project(x, states[m].modulation) for m, x in tokens.items()]
            q, k, v = (torch.cat(parts, 2) for parts in zip(*projected, strict=True))  # [b, h, all n, e] each
            layers.append((k, v))
            attended = attend(q, k, v).split([x.shape[1] for x in tokens.values()], 1)
            tokens = {
                m: self.layer(m, i).update(x, a, states[m].modulation)
                for (m, x), a in zip(tokens.items(), attended, strict=True)
            }
        return GivenCache(layers, sum(self.stream(m).summarise(x) for m, x in tokens.items()))

    def velocity(
        self,
        modality: Modality,
        x_t: Float[Tensor, " b *latent"],
        t: Float[Tensor, " b"],
        *,
        prompt: Float[Tensor, "b p"],
        cache: GivenCache,
    ) -> Float[Tensor, " b *latent"]:
        """One evaluation of the generated stream, given the cache; `prompt` as `prompt_or_null` gives it."""
        stream = self.stream(modality)
        state: StreamState = stream.enter(x_t, t, prompt=prompt, null=self.null_embeds, summary=cache.summary)
        tokens = state.tokens  # [b, n, d]
        for i in range(self.config.depth):
            layer = self.layer(modality, i)
            q, k, v = layer.project(tokens, state.modulation)  # [b, h, n, e] each
            if cache.layers:
                given_k, given_v = cache.layers[i]
                k, v = torch.cat([given_k, k], 2), torch.cat([given_v, v], 2)  # [b, h, given n + n, e]
            tokens = layer.update(tokens, attend(q, k, v), state.modulation)
        return stream.leave(tokens, state)
