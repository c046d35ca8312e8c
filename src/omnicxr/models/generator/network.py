"""The any-to-any generator: one stream of weights per modality, attention joint over the tokens of all streams.

Tokens of *given* modalities attend only to each other, so their keys and values do not depend on the sampling step:
`given_cache` works them out once and `velocity` reuses them; `given_sees_generated` gives that up, for comparison.
Tokens being generated attend to everything (`joint`), to themselves and one mean token of each other stream (`pooled`),
or to themselves alone (`none`); the prompt reaches every stream through its modulation in all three, unless `prompted`
is off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from omnicxr.domain import IMAGE_MODALITIES, Modality
from omnicxr.models.component import Component
from omnicxr.models.generator.stream import GeneratorConfig, Stream, StreamLayer, StreamState, start_at_zero
from omnicxr.models.layers import attend

Streams = dict[Modality, Tensor]
"""Modality => a tensor of that stream."""


@dataclass(frozen=True)
class GivenCache:
    """Keys and values of the given tokens in every layer, [b, heads, n, d / heads]; None where nothing is given."""

    layers: list[tuple[Tensor, Tensor]] | None
    features: Streams
    """Mean mid-depth feature [b, d] of each given stream."""
    summary: Tensor | float = 0.0
    """What the given streams say of themselves after the last layer, summed [b, d]; 0 where nothing is given."""
    latents: Streams = field(default_factory=dict)
    """Given latents that have to go through the layers with those being generated; empty unless
    `given_sees_generated`."""

    def repeated(self, times: int) -> GivenCache:
        """The same with every study `times` times, one after the other."""

        def repeat(x: Tensor) -> Tensor:
            return x.repeat_interleave(times, 0)

        layers = None if self.layers is None else [(repeat(k), repeat(v)) for k, v in self.layers]
        features, latents = ({m: repeat(x) for m, x in streams.items()} for streams in (self.features, self.latents))
        return GivenCache(
            layers, features, repeat(self.summary) if isinstance(self.summary, Tensor) else self.summary, latents
        )


@dataclass(frozen=True)
class GeneratorOutput:
    """One evaluation of the generator."""

    velocity: Streams
    features: Streams
    """Unit-length contrastive features [b, contrastive_dim] of every stream that took part."""


class Generator(Component):
    """Three streams (see the top of this file); called with latents, times and prompt embeddings."""

    config_class = GeneratorConfig
    config: GeneratorConfig

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__(config)
        self.streams = nn.ModuleDict({m: Stream(config, m) for m in Modality})
        self.null_embeds = nn.Parameter(torch.zeros(config.prompt_dim))
        self.logit_scale = nn.Parameter(torch.tensor(2.66))

    def stream(self, modality: Modality) -> Stream:
        return cast(Stream, self.streams[modality])

    def layer(self, modality: Modality, index: int) -> StreamLayer:
        return cast(StreamLayer, self.stream(modality).layers[index])

    def distrust_axes(self) -> None:
        """Count from what is known without principal axes, as a generator trained without them does; training finds its
        trust in them."""
        for axes in (self.stream(m).axes for m in IMAGE_MODALITIES):
            if axes:
                nn.init.zeros_(axes.trust.bias)

    def silence_layers(self, first: int) -> None:
        """Layers from number `first` on add nothing, until training has them say something."""
        for layer in (self.layer(m, i) for m in Modality for i in range(first, self.config.depth)):
            start_at_zero(layer.out)
            start_at_zero(layer.mlp[-1])

    def forward(
        self, given: Streams, x_t: Streams, t: Streams, prompt_embeds: Float[Tensor, "b d"] | None, draws: int = 1
    ) -> GeneratorOutput:
        """Velocity of every stream in `x_t`.

        given: clean latents of the given modalities; x_t: noised latents of those being generated; t: [b] in 0..1 for
        each of them; prompt_embeds: mean prompt embedding of what is given, or None for nothing. With `draws`, x_t and
        t have so many rows, one after the other, for each study of `given` and `prompt_embeds`, and what is given is
        worked out once for all of them.
        """
        prompt_embeds = self.prompts_or_null(prompt_embeds, len(next(iter(x_t.values()))) // draws)
        cache = self.given_cache(given, prompt_embeds)
        if draws > 1:
            cache, prompt_embeds = cache.repeated(draws), prompt_embeds.repeat_interleave(draws, 0)
        return self.velocity(cache, x_t, t, prompt_embeds)

    def prompts_or_null(self, prompt_embeds: Tensor | None, batch: int) -> Tensor:
        if prompt_embeds is None or not self.config.prompted:
            return self.null_embeds.expand(batch, -1)
        return prompt_embeds * prompt_embeds.shape[-1] ** 0.5

    def given_cache(self, given: Streams, prompt_embeds: Tensor) -> GivenCache:
        """Run the given streams (t = 0) through all layers, once per sample."""
        if not given or self.config.coupling == "none":
            return GivenCache(None, {})
        if self.config.given_sees_generated:
            return GivenCache(None, {}, latents=given)
        states = self._enter_given(given, prompt_embeds)
        tokens = {m: s.tokens for m, s in states.items()}
        layers, features = [], {}
        for i in range(self.config.depth):
            q, k, v = self._project(i, tokens, states)
            layers.append((self._visible(k), self._visible(v)))
            attended = attend(_join(q), _join(k), _join(v))
            tokens = self._update(i, tokens, attended, states)
            if i == self.config.depth // 2:
                features = {m: x.mean(1) for m, x in tokens.items()}
        return GivenCache(layers, features, sum(self.stream(m).summarise(x) for m, x in tokens.items()))

    def velocity(self, cache: GivenCache, x_t: Streams, t: Streams, prompt_embeds: Tensor) -> GeneratorOutput:
        """One evaluation for the streams being generated, given the cache; `prompt_embeds` as `prompts_or_null` gives
        them."""
        states = self._enter_given(cache.latents, prompt_embeds)
        states |= {
            m: self.stream(m).enter(x, t[m], prompt_embeds, self.null_embeds, cache.summary) for m, x in x_t.items()
        }
        tokens = {m: s.tokens for m, s in states.items()}
        features = dict(cache.features)
        for i in range(self.config.depth):
            q, k, v = self._project(i, tokens, states)
            past = cache.layers[i] if cache.layers else None
            tokens = self._update(i, tokens, self._attend_generated(q, k, v, past), states)
            if i == self.config.depth // 2:
                features |= {m: x.mean(1) for m, x in tokens.items()}
        velocity = {m: self.stream(m).leave(tokens[m], states[m]) for m in x_t}
        return GeneratorOutput(
            velocity, {m: F.normalize(self.stream(m).contrast(f), dim=-1) for m, f in features.items()}
        )

    def _enter_given(self, given: Streams, prompt_embeds: Tensor) -> dict[Modality, StreamState]:
        """Clean latents: time 0."""
        zero = torch.zeros(len(prompt_embeds), device=prompt_embeds.device)
        return {m: self.stream(m).enter(x, zero, prompt_embeds, self.null_embeds) for m, x in given.items()}

    def _project(
        self, layer: int, tokens: Streams, states: Mapping[Modality, StreamState]
    ) -> tuple[Streams, Streams, Streams]:
        projected = {m: self.layer(m, layer).project(x, states[m].condition) for m, x in tokens.items()}
        q, k, v = ({m: p[part] for m, p in projected.items()} for part in range(3))
        return q, k, v

    def _update(self, layer: int, tokens: Streams, attended: Tensor, states: Mapping[Modality, StreamState]) -> Streams:
        parts = attended.split([x.shape[1] for x in tokens.values()], 1)
        return {
            m: self.layer(m, layer).update(x, part, states[m].condition)
            for (m, x), part in zip(tokens.items(), parts, strict=True)
        }

    def _visible(self, parts: Streams) -> Tensor:
        """What the generated streams see of given keys or values: all tokens, or one mean token per stream."""
        if self.config.coupling == "pooled":
            parts = {m: p.mean(2, keepdim=True) for m, p in parts.items()}
        return _join(parts)

    def _attend_generated(self, q: Streams, k: Streams, v: Streams, past: tuple[Tensor, Tensor] | None) -> Tensor:
        if self.config.coupling == "joint":
            keys, values = _join(k), _join(v)
            if past:
                keys, values = torch.cat([past[0], keys], 2), torch.cat([past[1], values], 2)
            return attend(_join(q), keys, values)
        out = []
        for m in q:
            keys, values = [k[m]], [v[m]]
            if self.config.coupling == "pooled":
                others = [o for o in k if o is not m]
                keys += [k[o].mean(2, keepdim=True) for o in others] + ([past[0]] if past else [])
                values += [v[o].mean(2, keepdim=True) for o in others] + ([past[1]] if past else [])
            out.append(attend(q[m], torch.cat(keys, 2), torch.cat(values, 2)))
        return torch.cat(out, 1)


def _join(parts: Streams) -> Tensor:
    """Streams' [b, heads, n, d] => all tokens one after the other."""
    return torch.cat(list(parts.values()), 2)
