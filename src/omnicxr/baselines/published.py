"""The published design (Molino et al., arXiv 2505.01091), as a baseline on the same latents and prompt encoders.

| published | here |
|---|---|
| one latent diffusion network per modality, told what is given by a prompt embedding | a `TokenStream` each |
| outputs side by side, coupled by a pooled summary of each that the others see | one mean token per stream |
| contrastive loss between the summaries of the outputs | symmetric InfoNCE of mid-depth features |
| noise prediction, 1000 steps, square roots of beta linear from 0.00085 to 0.012 | the same, on the path of the flow |
| DDIM, 50 steps, eta 1, guidance 7.5 | `SAMPLING`; ancestral steps at all times |
| one latent vector per report | the preset `published` has K = 1 |

Diffusion has x = alpha x_0 + sigma eps with alpha^2 + sigma^2 = 1; divided by alpha + sigma that is the flow's x_t at
t = sigma / (alpha + sigma), and v = (eps - x_t) / (1 - t). So DDIM with eta 0 *is* Euler on the flow at those times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from omnicxr.domain import Modality
from omnicxr.flow.guidance import away_from
from omnicxr.flow.path import add_noise
from omnicxr.flow.samplers import ancestral
from omnicxr.flow.sampling import SamplingConfig
from omnicxr.models.component import Component
from omnicxr.models.generator.config import GeneratorConfig
from omnicxr.models.generator.network import Latents
from omnicxr.models.generator.stream import StreamLayer, TokenStream, prompt_or_null
from omnicxr.models.layers import attend
from omnicxr.models.prompt_encoders import symmetric_contrastive_loss

TRAINING_STEPS = 1000
SAMPLING = SamplingConfig(num_inference_steps=50, guidance_scale=7.5)
CONTRASTIVE_DIM, CONTRASTIVE_WEIGHT = 64, 0.02
"""The weight that the own generator was compared with; docs/decisions.md, "Coupling"."""


def diffusion_times() -> Float[Tensor, " steps"]:
    """The times of latent diffusion (Rombach et al. 2022) on the path of the flow, rising to 0.936."""
    beta = torch.linspace(0.00085**0.5, 0.012**0.5, TRAINING_STEPS, dtype=torch.float64) ** 2
    alpha_squared = torch.cumprod(1 - beta, 0)
    alpha, sigma = alpha_squared.sqrt(), (1 - alpha_squared).sqrt()
    return (sigma / (alpha + sigma)).float()


def diffusion_timesteps(steps: int) -> list[float]:
    """`steps` of `diffusion_times`, evenly spaced from the last one down, then 0."""
    chosen = [TRAINING_STEPS * i // steps for i in range(steps)]
    return [*diffusion_times().flip(0)[chosen].tolist(), 0.0]


@dataclass(frozen=True)
class Predicted:
    """One evaluation of the network."""

    noise: Latents
    features: dict[Modality, Tensor]
    """Unit-length contrastive features [b, CONTRASTIVE_DIM] of every stream."""


class PublishedGenerator(Component):
    """Any number of parts at once: each stream sees its own tokens and the mean token of every other."""

    config_class = GeneratorConfig
    config: GeneratorConfig

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__(config)
        self.streams = nn.ModuleDict({m: TokenStream(config, m) for m in Modality})
        self.contrast = nn.ModuleDict({m: nn.Linear(config.width, CONTRASTIVE_DIM) for m in Modality})
        self.null_embeds = nn.Parameter(torch.zeros(config.prompt_dim))
        self.logit_scale = nn.Parameter(torch.tensor(2.66))

    def forward(self, x_t: Latents, t: Float[Tensor, " b"], prompt_embeds: Float[Tensor, "b p"] | None) -> Predicted:
        """Noise in the latents of every part at times t; prompt_embeds: of what is given, None for nothing."""
        streams = {m: cast(TokenStream, self.streams[m]) for m in x_t}
        prompt = prompt_or_null(prompt_embeds, self.null_embeds, len(t))
        vectors = {m: s.vector(t, prompt) for m, s in streams.items()}  # [b, d] each
        modulation = {m: s.modulation(vectors[m]) for m, s in streams.items()}  # [b, 6, d] each
        features = {m: s.features(x_t[m]) for m, s in streams.items()}
        tokens = {m: s.tokens(features[m]) for m, s in streams.items()}  # [b, n, d] each
        middle = tokens
        for i in range(self.config.depth):
            tokens = self._layer(i, tokens, modulation)
            if i == self.config.depth // 2:
                middle = tokens
        noise = {m: s.output(tokens[m], features[m], vectors[m]) for m, s in streams.items()}
        return Predicted(noise, {m: F.normalize(self.contrast[m](x.mean(1)), dim=-1) for m, x in middle.items()})

    def _layer(self, index: int, tokens: Latents, modulation: Latents) -> Latents:
        layers = {m: cast(StreamLayer, cast(TokenStream, self.streams[m]).layers[index]) for m in tokens}
        projected = {m: layer.project(tokens[m], modulation[m]) for m, layer in layers.items()}
        out = {}
        for m, layer in layers.items():
            q, k, v = projected[m]
            others = [projected[o] for o in layers if o is not m]
            keys = torch.cat([k, *(other[1].mean(2, keepdim=True) for other in others)], 2)  # [b, h, n + others, e]
            values = torch.cat([v, *(other[2].mean(2, keepdim=True) for other in others)], 2)
            out[m] = layer.update(tokens[m], attend(q, keys, values), modulation[m])
        return out


def losses(network: PublishedGenerator, x_0: Latents, prompt_embeds: Float[Tensor, "b p"] | None) -> dict[str, Tensor]:
    """Mean square error of the noise, one of the training times for each study, plus the contrastive term."""
    first = next(iter(x_0.values()))
    t = diffusion_times()[torch.randint(TRAINING_STEPS, (len(first),))].to(first.device)
    noise = {m: torch.randn_like(x) for m, x in x_0.items()}
    predicted = network({m: add_noise(x, noise[m], t) for m, x in x_0.items()}, t, prompt_embeds)
    errors = {m: (predicted.noise[m] - noise[m]).square().mean() for m in x_0}
    loss = torch.stack(list(errors.values())).mean()
    out = {f"noise_{m}": e.detach() for m, e in errors.items()}
    if len(x_0) > 1:
        contrastive = symmetric_contrastive_loss(predicted.features, network.logit_scale)
        out["contrastive"] = contrastive.detach()
        loss = loss + CONTRASTIVE_WEIGHT * contrastive
    return {"loss": loss, **out}


def sample(
    network: PublishedGenerator,
    generate: Sequence[Modality],
    prompt_embeds: Float[Tensor, "b p"] | None,
    *,
    config: SamplingConfig,
    noise: Callable[[Modality], Tensor],
) -> Latents:
    """Latents of several parts side by side; `noise` draws standard normal latents [b, ...] of a modality."""
    shapes = {m: network.config.latent_shape(m) for m in generate}

    def parts(x: Float[Tensor, "b n"]) -> Latents:
        pieces = x.split([torch.Size(s).numel() for s in shapes.values()], 1)
        return {m: piece.unflatten(1, shape) for (m, shape), piece in zip(shapes.items(), pieces, strict=True)}

    def joined(latents: Latents) -> Float[Tensor, "b n"]:
        return torch.cat([x.flatten(1) for x in latents.values()], 1)

    def velocity(x: Float[Tensor, "b n"], t: float) -> Float[Tensor, "b n"]:
        def of(prompt: Tensor | None) -> Tensor:
            eps = joined(network(parts(x), torch.full((len(x),), t, device=x.device), prompt).noise)
            return (eps - x) / (1 - t)

        v = of(prompt_embeds)
        if prompt_embeds is None or config.guidance_scale == 1:
            return v
        return v + away_from(v, of(None), config.guidance_scale)

    def draw() -> Float[Tensor, "b n"]:
        return joined({m: noise(m) for m in generate})

    times = diffusion_timesteps(config.num_inference_steps)
    start = draw() * ((1 - times[0]) ** 2 + times[0] ** 2) ** 0.5  # the spread of x_t for data of unit variance
    return parts(ancestral(velocity, start, times, fresh=draw, fresh_below=1.0))
