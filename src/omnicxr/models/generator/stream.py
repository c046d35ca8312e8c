"""One stream of the generator: a modality's latents <=> tokens, its conditioning and its share of every layer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from omnicxr.domain import Modality, UserError
from omnicxr.models.generator.preconditioner import Preconditioner
from omnicxr.models.layers import MLP, ResidualBlock, RMSNorm, split_heads, timestep_embedding

COUPLINGS = ("joint", "pooled", "none")
PREDICTIONS = ("velocity", "noise")


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig:
    """Sizes of the generator, and what its latents look like."""

    image_channels: int = 16
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
    given_sees_generated: bool = False
    """Given tokens attend to those being generated, too, and are worked out anew at every step; else to each other
    alone, once for all steps."""
    prompted: bool = True
    """Streams are told the prompt embedding of what is given; else its tokens, and what these say of themselves, are
    all that they know of it."""
    prediction: str = "velocity"
    """What the networks work out: the `velocity` of the flow, or the `noise` (Ho et al. 2020), from which the velocity
    follows for t < 1."""
    preconditioned: bool = False
    """Networks work out only what a linear estimate from the statistics of the latents cannot tell, see
    `preconditioner.py`."""
    principal_axes: int = 0
    """Axes of image latents along which that estimate is taken, and along which it depends on the prompt; 0: each
    element by itself."""
    local_channels: int = 0
    """Channels of the convolutions before and after the tokens of images; 0 for none."""
    contrastive_dim: int = 64

    def __post_init__(self) -> None:
        if self.coupling not in COUPLINGS:
            raise UserError(f"Unknown coupling '{self.coupling}': choose from {', '.join(COUPLINGS)}.")
        if self.prediction not in PREDICTIONS:
            raise UserError(f"Unknown prediction '{self.prediction}': choose from {', '.join(PREDICTIONS)}.")
        if self.coupling == "none" and not self.prompted:
            raise UserError(
                "With coupling=none the prompt embedding is all that streams know of what is given: leave"
                " prompted=true."
            )
        if self.principal_axes and not self.preconditioned:
            raise UserError(
                "principal_axes belong to the preconditioner: set preconditioned=true, or principal_axes=0."
            )
        if self.prediction == "noise" and self.preconditioned:
            raise UserError(
                "The preconditioner is made for velocities: set preconditioned=false, then prediction=noise."
            )
        for what, whole, part in (
            ("generator width", self.width, self.heads),
            ("size of the latents", self.latent_size, self.patch),
        ):
            if whole % part:
                raise UserError(
                    f"The {what} is {whole}, which cannot be split by {part}: choose numbers of heads and patch that"
                    " divide it."
                )

    def tokens(self, modality: Modality) -> int:
        return (self.latent_size // self.patch) ** 2 if modality.is_image else self.report_tokens

    def token_channels(self, modality: Modality) -> int:
        return self.image_channels * self.patch**2 if modality.is_image else self.report_channels

    def axes(self, modality: Modality) -> int:
        """Principal axes of one modality's latents that the preconditioner knows: none of reports, of which a linear
        estimate tells little."""
        return min(self.principal_axes, math.prod(self.latent_shape(modality))) if modality.is_image else 0

    def latent_shape(self, modality: Modality) -> tuple[int, ...]:
        """Shape of one study's latents: (c, h, w) or (K, c)."""
        if modality.is_image:
            return (self.image_channels, self.latent_size, self.latent_size)
        return (self.report_tokens, self.report_channels)


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """x (1 + scale) + shift, for [b, n, d] and [b, d]."""
    return torch.addcmul(shift[:, None], x, 1 + scale[:, None])


def start_at_zero(layer: nn.Module) -> None:
    """A layer that says nothing before training."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


def positions(tokens: int, width: int) -> Tensor:
    """Sinusoids of row and column of a square of tokens, [tokens, width], where learned positions start: rows are alike
    in both views."""
    side = round(tokens**0.5)
    place = timestep_embedding(torch.arange(side) / 1000, width // 2)
    grid = torch.cat([place.repeat_interleave(side, 0), place.repeat(side, 1)], -1)
    return F.pad(grid - grid.mean(0), (0, width - grid.shape[1]))


class StreamLayer(nn.Module):
    """One modality's share of one layer: adaptive layer norm (shared table, AdaLN-single), attention in and out,
    MLP."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.table = nn.Parameter(torch.randn(6, width) / width**0.5)
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.q_norm, self.k_norm = RMSNorm(width // heads), RMSNorm(width // heads)
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


@dataclass(frozen=True)
class StreamState:
    """One stream on its way through the layers."""

    tokens: Tensor
    """[b, n, d], as they enter the first layer."""
    condition: Tensor
    """[b, 6, d], of every layer."""
    vector: Tensor
    """[b, d], what the conditioning is made of."""
    x_t: Tensor
    t: Tensor
    features: Tensor
    """What the tokens were cut from."""
    linear: Tensor | None
    """What the preconditioner knows of the velocity; None without one."""


class LocalLayers(nn.Module):
    """Convolutions around an image's tokens: what is local in the latents need not be learned by attention.

    Latents [b, c, h, w] => features [b, l, h, w], which become tokens; the tokens' result in the same shape is added to
    them, and becomes latents.
    """

    def __init__(self, channels: int, local: int, width: int) -> None:
        super().__init__()
        self.before = nn.Sequential(
            nn.Conv2d(channels, local, 3, padding=1), ResidualBlock(local), ResidualBlock(local)
        )
        self.condition = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * local))
        self.norm = nn.GroupNorm(8, local)
        self.after = nn.Sequential(
            ResidualBlock(local),
            ResidualBlock(local),
            nn.GroupNorm(8, local),
            nn.SiLU(),
            nn.Conv2d(local, channels, 3, padding=1),
        )
        start_at_zero(self.after[-1])

    def leave(self, x: Tensor, skip: Tensor, c: Tensor) -> Tensor:
        """What the tokens gave, features from before them, conditioning vector [b, d] => latents."""
        scale, shift = self.condition(c)[:, :, None, None].chunk(2, 1)
        return self.after(self.norm(x + skip) * (1 + scale) + shift)


class AxesLayers(nn.Module):
    """What the principal axes tell of an image: seen by the network, and the result counts from it as far as it is
    trusted at that time.

    Trust is 1 before training; 0 is the estimate of each element by itself.
    """

    def __init__(self, channels: int, features: int) -> None:
        super().__init__()
        self.see = nn.Conv2d(channels, features, 3, padding=1)
        self.trust = nn.Linear(256, 1)
        start_at_zero(self.see)
        start_at_zero(self.trust)
        nn.init.ones_(self.trust.bias)

    def mixed(self, by_element: Tensor, along_axes: Tensor, t: Tensor) -> Tensor:
        """Both estimates of the velocity [b, c, h, w] at times t [b] => what the result counts from."""
        return torch.lerp(
            by_element, along_axes, self.trust(timestep_embedding(t, 256))[:, :, None, None].to(along_axes.dtype)
        )


class Stream(nn.Module):
    """One modality: latents <=> tokens, its conditioning and its layers."""

    def __init__(self, config: GeneratorConfig, modality: Modality) -> None:
        super().__init__()
        w, channels, tokens = config.width, config.token_channels(modality), config.tokens(modality)
        local = config.local_channels if modality.is_image else 0
        self.local = LocalLayers(config.image_channels, local, w) if local else None
        channels = local * config.patch**2 if local else channels
        self.config, self.modality = config, modality
        self.preconditioner = (
            Preconditioner(config.latent_shape(modality), config.axes(modality), config.prompt_dim)
            if config.preconditioned
            else None
        )
        self.axes = AxesLayers(config.image_channels, local or config.image_channels) if config.axes(modality) else None
        self.embed = nn.Linear(channels, w)
        self.position = nn.Parameter(positions(tokens, w) if modality.is_image else 0.02 * torch.randn(tokens, w))
        self.time = nn.Sequential(nn.Linear(256, w), nn.SiLU(), nn.Linear(w, w))
        self.prompt, self.summary = nn.Linear(config.prompt_dim, w), nn.Linear(w, w)
        self.condition = nn.Sequential(nn.SiLU(), nn.Linear(w, 6 * w))
        self.layers = nn.ModuleList(StreamLayer(w, config.heads) for _ in range(config.depth))
        self.contrast = nn.Linear(w, config.contrastive_dim)
        self.final_condition = nn.Sequential(nn.SiLU(), nn.Linear(w, 2 * w))
        self.norm = nn.LayerNorm(w, elementwise_affine=False)
        self.head = nn.Linear(w, channels)
        if not local:
            start_at_zero(self.head)

    def enter(
        self, x_t: Tensor, t: Tensor, prompt_embeds: Tensor, null: Tensor, summary: Tensor | float = 0.0
    ) -> StreamState:
        """Latents at time t [b], the prompt [b, prompt_dim], what it is where nothing is known [prompt_dim], the
        summary [b, d] of what is given => the stream before its first layer."""
        c = self.time(timestep_embedding(t, 256)) + self.prompt(prompt_embeds) + summary
        known = self.preconditioner
        x, linear = (known.input(x_t, t), known.linear(x_t, t, prompt_embeds - null)) if known else (x_t, None)
        features = self.local.before(x) if self.local else x
        if self.axes and known and linear is not None:
            features = features + self.axes.see(known.estimate(x_t, t, linear))
        tokens, condition = (
            self.embed(self.to_tokens(features)) + self.position,
            self.condition(c).unflatten(-1, (6, -1)),
        )
        return StreamState(tokens, condition, c, x_t, t, features, linear)

    def leave(self, tokens: Tensor, state: StreamState) -> Tensor:
        """Tokens [b, n, d] after the last layer => velocity in the shape of the latents."""
        shift, scale = self.final_condition(state.vector).chunk(2, -1)
        out = self.to_latents(self.head(modulate(self.norm(tokens), shift, scale)))
        out = self.local.leave(out, state.features, state.vector) if self.local else out
        if self.config.prediction == "noise":
            return (out - state.x_t) / (1 - state.t.reshape(-1, *[1] * (out.ndim - 1)))  # v = (eps - x_t) / (1 - t)
        known, linear = self.preconditioner, state.linear
        if known and linear is not None:
            if self.axes:
                linear = self.axes.mixed(known.by_element(state.x_t, state.t), linear, state.t)
            return known.output(state.x_t, state.t, linear, out)
        return out

    def summarise(self, tokens: Tensor) -> Tensor:
        """Tokens [b, n, d] after the last layer => [b, d], for the conditioning of other streams."""
        return self.summary(self.norm(tokens.mean(1)))

    def to_tokens(self, x: Tensor) -> Tensor:
        if not self.modality.is_image:
            return x
        return F.pixel_unshuffle(x, self.config.patch).flatten(2).transpose(1, 2)

    def to_latents(self, x: Tensor) -> Tensor:
        if not self.modality.is_image:
            return x
        side = self.config.latent_size // self.config.patch
        return F.pixel_shuffle(x.transpose(1, 2).unflatten(-1, (side, side)), self.config.patch)
