"""One stream of the generator: a modality's latents <=> tokens, its conditioning and its share of every layer."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from omnicxr.domain import Modality
from omnicxr.models.generator.config import PATCH, GeneratorConfig
from omnicxr.models.generator.preconditioner import Preconditioner
from omnicxr.models.layers import MLP, ResidualBlock, RMSNorm, split_heads, timestep_embedding

TIME_FEATURES = 256


def modulate(
    x: Float[Tensor, "b n d"], shift: Float[Tensor, "b d"], scale: Float[Tensor, "b d"]
) -> Float[Tensor, "b n d"]:
    """x (1 + scale) + shift, of every token."""
    return torch.addcmul(shift[:, None], x, 1 + scale[:, None])


def prompt_or_null(prompt_embeds: Float[Tensor, "g p"] | None, null: Float[Tensor, " p"], batch: int) -> Tensor:
    """Prompt embeddings of length 1 in the scale that streams see, or what stands for none: [batch, p]."""
    if prompt_embeds is None:
        return null.expand(batch, -1)
    return prompt_embeds * prompt_embeds.shape[-1] ** 0.5


def start_at_zero(layer: nn.Module) -> None:
    """A layer that says nothing before training."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


def positions(tokens: int, width: int) -> Float[Tensor, "n d"]:
    """Sinusoids of row and column of a square of tokens, where positions start: rows are alike in both views."""
    side = round(tokens**0.5)
    place = timestep_embedding(torch.arange(side) / 1000, width // 2)
    grid = torch.cat([place.repeat_interleave(side, 0), place.repeat(side, 1)], -1)
    return F.pad(grid - grid.mean(0), (0, width - grid.shape[1]))


class StreamLayer(nn.Module):
    """One modality's share of one layer: adaptive layer norm (AdaLN-single, Chen et al. 2023), attention in and out,
    MLP."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.table = nn.Parameter(torch.randn(6, width) / width**0.5)
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.q_norm, self.k_norm = RMSNorm(width // heads), RMSNorm(width // heads)
        self.mlp = MLP(width)

    def project(
        self, x: Float[Tensor, "b n d"], condition: Float[Tensor, "b 6 d"]
    ) -> tuple[Float[Tensor, "b h n e"], Float[Tensor, "b h n e"], Float[Tensor, "b h n e"]]:
        """Tokens => queries, keys and values of every head."""
        shift, scale = (condition + self.table)[:, :2].unbind(1)  # [b, d] each
        q, k, v = (split_heads(p, self.heads) for p in self.qkv(modulate(self.norm(x), shift, scale)).chunk(3, -1))
        return self.q_norm(q), self.k_norm(k), v

    def update(
        self, x: Float[Tensor, "b n d"], attended: Float[Tensor, "b n d"], condition: Float[Tensor, "b 6 d"]
    ) -> Float[Tensor, "b n d"]:
        """Add what attention brought, then the MLP."""
        _, _, gate1, shift, scale, gate2 = (condition + self.table).unbind(1)
        x = x + gate1[:, None] * self.out(attended)
        return x + gate2[:, None] * self.mlp(modulate(self.norm(x), shift, scale))


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
        last = nn.Conv2d(local, channels, 3, padding=1)
        self.after = nn.Sequential(ResidualBlock(local), ResidualBlock(local), nn.GroupNorm(8, local), nn.SiLU(), last)
        start_at_zero(last)

    def leave(
        self, x: Float[Tensor, "b l h w"], skip: Float[Tensor, "b l h w"], c: Float[Tensor, "b d"]
    ) -> Float[Tensor, "b c h w"]:
        """What the tokens gave, features from before them, conditioning vector => latents."""
        scale, shift = self.condition(c)[:, :, None, None].chunk(2, 1)
        return self.after(self.norm(x + skip) * (1 + scale) + shift)


class AxesLayers(nn.Module):
    """What the principal axes tell of an image: the network sees it, and the result counts from it by a gate of time.

    The gate is 1 before training; at 0 the result counts from the estimate of each element by itself.
    """

    def __init__(self, channels: int, features: int) -> None:
        super().__init__()
        self.see = nn.Conv2d(channels, features, 3, padding=1)
        self.gate = nn.Linear(TIME_FEATURES, 1)
        start_at_zero(self.see)
        start_at_zero(self.gate)
        nn.init.ones_(self.gate.bias)

    def mixed(
        self, by_element: Float[Tensor, "b c h w"], along_axes: Float[Tensor, "b c h w"], t: Float[Tensor, " b"]
    ) -> Float[Tensor, "b c h w"]:
        """Both estimates of the velocity at times t => what the result counts from."""
        gate = self.gate(timestep_embedding(t, TIME_FEATURES))[:, :, None, None]
        return torch.lerp(by_element, along_axes, gate.to(along_axes.dtype))


class TokenStream(nn.Module):
    """One modality as tokens, without knowledge of its statistics: what `Stream` and the published baseline share."""

    def __init__(self, config: GeneratorConfig, modality: Modality) -> None:
        super().__init__()
        w, tokens = config.width, config.tokens(modality)
        self.modality, self.side = modality, config.latent_size // PATCH
        self.local = LocalLayers(config.image_channels, config.local_channels, w) if modality.is_image else None
        channels = config.local_channels * PATCH**2 if modality.is_image else config.report_channels
        self.embed = nn.Linear(channels, w)
        self.position = nn.Parameter(positions(tokens, w) if modality.is_image else 0.02 * torch.randn(tokens, w))
        self.time = nn.Sequential(nn.Linear(TIME_FEATURES, w), nn.SiLU(), nn.Linear(w, w))
        self.prompt = nn.Linear(config.prompt_dim, w)
        self.condition = nn.Sequential(nn.SiLU(), nn.Linear(w, 6 * w))
        self.layers = nn.ModuleList(StreamLayer(w, config.heads) for _ in range(config.depth))
        self.final_condition = nn.Sequential(nn.SiLU(), nn.Linear(w, 2 * w))
        self.norm = nn.LayerNorm(w, elementwise_affine=False)
        self.head = nn.Linear(w, channels)
        if not modality.is_image:  # of images the last local layer begins at zero
            start_at_zero(self.head)

    def vector(self, t: Float[Tensor, " b"], prompt: Float[Tensor, "b p"]) -> Float[Tensor, "b d"]:
        """What a stream is conditioned on: time and prompt embedding."""
        return self.time(timestep_embedding(t, TIME_FEATURES)) + self.prompt(prompt)

    def features(self, x: Float[Tensor, " b *latent"]) -> Float[Tensor, " b *features"]:
        """Latents, or a network input of their shape => what is cut into tokens."""
        return self.local.before(x) if self.local else x

    def tokens(self, features: Float[Tensor, " b *features"]) -> Float[Tensor, "b n d"]:
        """Features => tokens as they enter the first layer."""
        return self.embed(self.to_tokens(features)) + self.position

    def modulation(self, vector: Float[Tensor, "b d"]) -> Float[Tensor, "b 6 d"]:
        """Conditioning vector => the modulation of every layer."""
        return self.condition(vector).unflatten(-1, (6, -1))

    def output(
        self, tokens: Float[Tensor, "b n d"], features: Float[Tensor, " b *features"], vector: Float[Tensor, "b d"]
    ) -> Float[Tensor, " b *latent"]:
        """Tokens after the last layer, features from before the first => the network's result, like the latents."""
        shift, scale = self.final_condition(vector).chunk(2, -1)
        out = self.to_features(self.head(modulate(self.norm(tokens), shift, scale)))
        return self.local.leave(out, features, vector) if self.local else out

    def to_tokens(self, x: Float[Tensor, " b *features"]) -> Float[Tensor, "b n c"]:
        """Images: squares of PATCH x PATCH cells, row by row; reports are tokens already."""
        return F.pixel_unshuffle(x, PATCH).flatten(2).transpose(1, 2) if self.modality.is_image else x

    def to_features(self, x: Float[Tensor, "b n c"]) -> Float[Tensor, " b *features"]:
        """The inverse of `to_tokens`."""
        if not self.modality.is_image:
            return x
        return F.pixel_shuffle(x.transpose(1, 2).unflatten(-1, (self.side, self.side)), PATCH)


@dataclass(frozen=True)
class StreamState:
    """One stream on its way through the layers."""

    tokens: Tensor
    """[b, n, d], as they enter the first layer."""
    modulation: Tensor
    """[b, 6, d], of every layer."""
    vector: Tensor
    """[b, d], what the modulation is worked out from."""
    features: Tensor
    """What the tokens were cut from."""
    x_t: Tensor
    t: Tensor
    linear: Tensor
    """The linear estimate of the velocity."""


class Stream(TokenStream):
    """One modality that begins at what the statistics of its latents tell, and works out the rest."""

    def __init__(self, config: GeneratorConfig, modality: Modality) -> None:
        super().__init__(config, modality)
        rank = config.axes(modality)
        self.preconditioner = Preconditioner(config.latent_shape(modality), rank, config.prompt_dim)
        self.axes = AxesLayers(config.image_channels, config.local_channels) if rank else None
        self.summary = nn.Linear(config.width, config.width)

    def enter(
        self,
        x_t: Float[Tensor, " b *latent"],
        t: Float[Tensor, " b"],
        *,
        prompt: Float[Tensor, "b p"],
        null: Float[Tensor, " p"],
        summary: Tensor | float = 0.0,
    ) -> StreamState:
        """Latents at time t => the stream before its first layer.

        prompt: prompt embedding, `null` where nothing is known. summary: what the given streams say of themselves
        [b, d], 0 where nothing is given.
        """
        vector = self.vector(t, prompt) + summary
        known = self.preconditioner
        x, linear = known.input(x_t, t), known.linear(x_t, t, prompt - null)
        features = self.features(x)
        if self.axes:
            features = features + self.axes.see(known.estimate(x_t, t, linear))
        return StreamState(self.tokens(features), self.modulation(vector), vector, features, x_t, t, linear)

    def leave(self, tokens: Float[Tensor, "b n d"], state: StreamState) -> Float[Tensor, " b *latent"]:
        """Tokens after the last layer => velocity."""
        out, known, linear = self.output(tokens, state.features, state.vector), self.preconditioner, state.linear
        if self.axes:
            linear = self.axes.mixed(known.by_element(state.x_t, state.t), linear, state.t)
        return known.output(state.x_t, state.t, linear=linear, network=out)

    def summarise(self, tokens: Float[Tensor, "b n d"]) -> Float[Tensor, "b d"]:
        """Tokens after the last layer => a vector for the conditioning of what is generated."""
        return self.summary(self.norm(tokens.mean(1)))
