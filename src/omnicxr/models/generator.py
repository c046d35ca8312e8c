"""The any-to-any generator: one stream of weights per modality, attention joint over the tokens of all streams.

Tokens of *given* modalities attend only to each other, so their keys and values do not depend on the sampling step:
`given_cache` works them out once and `velocity` reuses them. Tokens being generated attend to everything (`joint`), to
themselves and one mean token of each other stream (`pooled`), or to themselves alone (`none`); the prompt reaches every
stream through its modulation in all three.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from omnicxr.domain import Modality, UserError
from omnicxr.models.component import Component
from omnicxr.models.layers import MLP, attend, split_heads, timestep_embedding

COUPLINGS = ("joint", "pooled", "none")
Streams = dict[Modality, Tensor]
"""Modality => a tensor of that stream."""


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig:
    """Sizes of the generator, and what its latents look like."""

    image_channels: int = 6
    """Channels of the image latents."""
    latent_size: int = 16
    """Side of the image latents."""
    patch: int = 2
    """Latents per token along each side."""
    report_tokens: int = 8
    report_channels: int = 32
    prompt_dim: int = 192
    width: int = 192
    depth: int = 8
    heads: int = 6
    coupling: str = "joint"
    contrastive_dim: int = 64

    def __post_init__(self) -> None:
        if self.coupling not in COUPLINGS:
            raise UserError(f"Unknown coupling '{self.coupling}': choose from {', '.join(COUPLINGS)}.")

    def tokens(self, modality: Modality) -> int:
        return (self.latent_size // self.patch) ** 2 if modality.is_image else self.report_tokens

    def token_channels(self, modality: Modality) -> int:
        return self.image_channels * self.patch**2 if modality.is_image else self.report_channels

    def latent_shape(self, modality: Modality) -> tuple[int, ...]:
        """Shape of one study's latents: (c, h, w) or (K, c)."""
        if modality.is_image:
            return (self.image_channels, self.latent_size, self.latent_size)
        return (self.report_tokens, self.report_channels)


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """x (1 + scale) + shift, for [b, n, d] and [b, d]."""
    return torch.addcmul(shift[:, None], x, 1 + scale[:, None])


class StreamLayer(nn.Module):
    """One modality's share of one layer: adaptive layer norm (shared table, AdaLN-single), attention in and out, MLP."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.table = nn.Parameter(torch.randn(6, width) / width**0.5)
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.q_norm, self.k_norm = nn.RMSNorm(width // heads), nn.RMSNorm(width // heads)
        self.mlp = MLP(width)

    def project(self, x: Tensor, condition: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x [b, n, d], condition [b, 6, d] => queries, keys and values [b, heads, n, d / heads]."""
        shift, scale = (condition + self.table)[:, :2].unbind(1)
        q, k, v = (split_heads(p, self.heads) for p in self.qkv(modulate(self.norm(x), shift, scale)).chunk(3, -1))
        return self.q_norm(q), self.k_norm(k), v

    def update(self, x: Tensor, attended: Tensor, condition: Tensor) -> Tensor:
        """Add what attention brought, then the MLP: [b, n, d] => [b, n, d]."""
        _, _, gate1, shift, scale, gate2 = (condition + self.table).unbind(1)
        x = x + gate1[:, None] * self.out(attended)
        return x + gate2[:, None] * self.mlp(modulate(self.norm(x), shift, scale))


class Stream(nn.Module):
    """One modality: latents <=> tokens, its conditioning and its layers."""

    def __init__(self, config: GeneratorConfig, modality: Modality) -> None:
        super().__init__()
        w, channels, tokens = config.width, config.token_channels(modality), config.tokens(modality)
        self.config, self.modality = config, modality
        self.embed = nn.Linear(channels, w)
        self.position = nn.Parameter(0.02 * torch.randn(tokens, w))
        self.time = nn.Sequential(nn.Linear(256, w), nn.SiLU(), nn.Linear(w, w))
        self.prompt = nn.Linear(config.prompt_dim, w)
        self.condition = nn.Sequential(nn.SiLU(), nn.Linear(w, 6 * w))
        self.layers = nn.ModuleList(StreamLayer(w, config.heads) for _ in range(config.depth))
        self.contrast = nn.Linear(w, config.contrastive_dim)
        self.final_condition = nn.Sequential(nn.SiLU(), nn.Linear(w, 2 * w))
        self.norm = nn.LayerNorm(w, elementwise_affine=False)
        self.head = nn.Linear(w, channels)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def enter(self, x: Tensor, t: Tensor, prompt_embeds: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Latents => tokens [b, n, d], conditioning of the layers [b, 6, d], conditioning vector [b, d]."""
        c = self.time(timestep_embedding(t, 256)) + self.prompt(prompt_embeds)
        return self.embed(self.to_tokens(x)) + self.position, self.condition(c).unflatten(-1, (6, -1)), c

    def leave(self, x: Tensor, c: Tensor) -> Tensor:
        """Tokens [b, n, d] => velocity in the shape of the latents."""
        shift, scale = self.final_condition(c).chunk(2, -1)
        return self.to_latents(self.head(modulate(self.norm(x), shift, scale)))

    def to_tokens(self, x: Tensor) -> Tensor:
        if not self.modality.is_image:
            return x
        return F.pixel_unshuffle(x, self.config.patch).flatten(2).transpose(1, 2)

    def to_latents(self, x: Tensor) -> Tensor:
        if not self.modality.is_image:
            return x
        side = self.config.latent_size // self.config.patch
        return F.pixel_shuffle(x.transpose(1, 2).unflatten(-1, (side, side)), self.config.patch)


@dataclass(frozen=True)
class GivenCache:
    """Keys and values of the given tokens in every layer, [b, heads, n, d / heads]; None where nothing is given."""

    layers: list[tuple[Tensor, Tensor]] | None
    features: Streams
    """Mean mid-depth feature [b, d] of each given stream."""


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

    def forward(self, given: Streams, x_t: Streams, t: Streams, prompt_embeds: Float[Tensor, "b d"] | None) -> GeneratorOutput:
        """Velocity of every stream in `x_t`.

        given: clean latents of the given modalities; x_t: noised latents of those being generated; t: [b] in 0..1 for each
        of them; prompt_embeds: mean prompt embedding of what is given, or None for nothing.
        """
        batch = len(next(iter(x_t.values())))
        prompt_embeds = self.prompts_or_null(prompt_embeds, batch)
        return self.velocity(self.given_cache(given, prompt_embeds), x_t, t, prompt_embeds)

    def prompts_or_null(self, prompt_embeds: Tensor | None, batch: int) -> Tensor:
        return self.null_embeds.expand(batch, -1) if prompt_embeds is None else prompt_embeds * prompt_embeds.shape[-1] ** 0.5

    def given_cache(self, given: Streams, prompt_embeds: Tensor) -> GivenCache:
        """Run the given streams (t = 0) through all layers, once per sample."""
        if not given or self.config.coupling == "none":
            return GivenCache(None, {})
        zero = torch.zeros(len(prompt_embeds), device=prompt_embeds.device)
        states = {m: self.stream(m).enter(x, zero, prompt_embeds) for m, x in given.items()}
        tokens = {m: s[0] for m, s in states.items()}
        layers, features = [], {}
        for i in range(self.config.depth):
            q, k, v = self._project(i, tokens, states)
            layers.append((self._visible(k), self._visible(v)))
            attended = attend(_join(q), _join(k), _join(v))
            tokens = self._update(i, tokens, attended, states)
            if i == self.config.depth // 2:
                features = {m: x.mean(1) for m, x in tokens.items()}
        return GivenCache(layers, features)

    def velocity(self, cache: GivenCache, x_t: Streams, t: Streams, prompt_embeds: Tensor) -> GeneratorOutput:
        """One evaluation for the streams being generated, given the cache; `prompt_embeds` as `prompts_or_null` gives them."""
        states = {m: self.stream(m).enter(x, t[m], prompt_embeds) for m, x in x_t.items()}
        tokens = {m: s[0] for m, s in states.items()}
        features = dict(cache.features)
        for i in range(self.config.depth):
            q, k, v = self._project(i, tokens, states)
            past = cache.layers[i] if cache.layers else None
            tokens = self._update(i, tokens, self._attend_generated(q, k, v, past), states)
            if i == self.config.depth // 2:
                features |= {m: x.mean(1) for m, x in tokens.items()}
        velocity = {m: self.stream(m).leave(x, states[m][2]) for m, x in tokens.items()}
        return GeneratorOutput(velocity, {m: F.normalize(self.stream(m).contrast(f), dim=-1) for m, f in features.items()})

    def _project(self, layer: int, tokens: Streams, states: Mapping[Modality, tuple[Tensor, ...]]) -> tuple[Streams, Streams, Streams]:
        projected = {m: self.layer(m, layer).project(x, states[m][1]) for m, x in tokens.items()}
        q, k, v = ({m: p[part] for m, p in projected.items()} for part in range(3))
        return q, k, v

    def _update(self, layer: int, tokens: Streams, attended: Tensor, states: Mapping[Modality, tuple[Tensor, ...]]) -> Streams:
        parts = attended.split([x.shape[1] for x in tokens.values()], 1)
        return {m: self.layer(m, layer).update(x, part, states[m][1]) for (m, x), part in zip(tokens.items(), parts, strict=True)}

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
