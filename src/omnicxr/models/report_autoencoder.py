"""Report text <=> a short sequence of latent vectors: transformer encoder with K queries, autoregressive decoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, cast

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from omnicxr.domain.settings import Between, Settings
from omnicxr.models.component import Component
from omnicxr.models.layers import (
    MAX_DEPTH,
    MAX_WIDTH,
    KeysValues,
    TextTrunk,
    TransformerLayer,
    attend,
    check_heads,
    split_heads,
)
from omnicxr.models.tokenizer import BEGIN, END, PAD, MaxTokens, VocabSize


@dataclass(frozen=True, kw_only=True)
class ReportAutoencoderSizes(Settings):
    """What a preset chooses; the rest follows from the tokenizer."""

    latent_tokens: Annotated[int, Between(1, 1024)] = 8
    """K; 1 is the published setting."""
    latent_channels: Annotated[int, Between(1, 4096)] = 32
    width: Annotated[int, Between(4, MAX_WIDTH)] = 160
    encoder_depth: Annotated[int, Between(0, MAX_DEPTH)] = 3
    decoder_depth: Annotated[int, Between(0, MAX_DEPTH)] = 3
    heads: Annotated[int, Between(1, MAX_WIDTH)] = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_heads("report autoencoder", self.width, self.heads)


@dataclass(frozen=True, kw_only=True)
class ReportAutoencoderConfig(ReportAutoencoderSizes):
    """The sizes together with those of the vocabulary: all that the network is built from."""

    vocab_size: VocabSize
    max_tokens: MaxTokens = 96


class ReportAutoencoder(Component):
    """Latents are [b, K, c], standardised per channel (statistics over tokens and channels are kept with the
    weights)."""

    config_class = ReportAutoencoderConfig
    config: ReportAutoencoderConfig
    latent_mean: Tensor
    latent_std: Tensor

    def __init__(self, config: ReportAutoencoderConfig) -> None:
        super().__init__(config)
        w, k, c = config.width, config.latent_tokens, config.latent_channels
        self.trunk = TextTrunk(
            vocab_size=config.vocab_size,
            max_tokens=config.max_tokens,
            width=w,
            depth=config.encoder_depth,
            heads=config.heads,
        )
        self.queries = nn.Parameter(0.5 * torch.randn(k, w))
        self.key_value = nn.Linear(w, 2 * w)
        self.to_moments = nn.Linear(w, 2 * c)
        self.from_latents = nn.Linear(c, w)
        self.embed = nn.Embedding(config.vocab_size, w)
        nn.init.normal_(self.embed.weight, std=w**-0.5)  # also the output layer: keeps the first logits near zero
        self.position = nn.Parameter(0.02 * torch.randn(k + config.max_tokens, w))
        self.layers = nn.ModuleList(TransformerLayer(w, config.heads, causal=True) for _ in range(config.decoder_depth))
        self.norm = nn.LayerNorm(w)
        self.register_buffer("latent_mean", torch.zeros(k, c))
        self.register_buffer("latent_std", torch.ones(k, c))

    def moments(self, ids: Int[Tensor, "b n"]) -> tuple[Tensor, Tensor]:
        """ids => mean and log variance of the raw latents, each [b, K, c]."""
        x, valid = self.trunk(ids, PAD)
        k, v = (split_heads(p, self.config.heads) for p in self.key_value(x).chunk(2, -1))
        q = split_heads(self.queries.expand(len(ids), -1, -1), self.config.heads)
        mean, logvar = self.to_moments(attend(q, k, v, mask=valid[:, None, None, :])).chunk(2, -1)
        return mean, logvar.clamp(-12, 4)

    def logits(self, z: Float[Tensor, "b k c"], ids: Int[Tensor, "b n"]) -> Float[Tensor, "b n v"]:
        """raw latents and the tokens so far => logits of the token after each."""
        x = torch.cat([self.from_latents(z), self.embed(ids)], 1)
        x = x + self.position[: x.shape[1]]
        for layer in self.layers:
            x = layer(x)
        return F.linear(self.norm(x[:, z.shape[1] :]), self.embed.weight)

    def encode(self, ids: Int[Tensor, "b n"]) -> Float[Tensor, "b k c"]:
        """ids => standardised latents (the posterior mean)."""
        return (self.moments(ids)[0] - self.latent_mean) / self.latent_std

    @torch.no_grad()
    def decode(self, z: Float[Tensor, "b k c"]) -> Int[Tensor, "b n"]:
        """standardised latents => token ids, greedily, until every row has ended."""
        ids = torch.full((len(z), 1), BEGIN, device=z.device)
        ended = torch.zeros(len(z), dtype=torch.bool, device=z.device)
        past: list[KeysValues | None] = [None] * len(self.layers)
        new = torch.cat([self.from_latents(z * self.latent_std + self.latent_mean), self.embed(ids)], 1)
        first = 0
        while ids.shape[1] < self.config.max_tokens and not ended.all():
            x = new + self.position[first : first + new.shape[1]]
            first += new.shape[1]
            for i, layer in enumerate(self.layers):
                x, past[i] = cast(TransformerLayer, layer).following(x, past[i])
            following = F.linear(self.norm(x[:, -1]), self.embed.weight).argmax(-1)
            following = torch.where(ended, torch.full_like(following, PAD), following)
            ended |= following == END
            ids = torch.cat([ids, following[:, None]], 1)
            new = self.embed(following[:, None])
        return ids
