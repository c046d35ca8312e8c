"""Layers that several networks share."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from omnicxr.domain import UserError

MAX_WIDTH, MAX_DEPTH = 8192, 256
"""Of transformers, as far as settings may go."""


KeysValues = tuple[Tensor, Tensor]
"""Of a layer's tokens so far, each [b, heads, n, d / heads]."""


def check_heads(of: str, width: int, heads: int) -> None:
    """Raises UserError where a width cannot be split into equal heads."""
    if width % heads:
        raise UserError(f"A {of} of width {width} cannot be split into {heads} heads: choose a divisor.")


class ResidualBlock(nn.Module):
    """x + conv(act(norm(conv(act(norm(x)))))), 3x3, same size; the last convolution starts at zero."""

    def __init__(self, channels: int, groups: int = 8) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.GroupNorm(groups, channels), nn.SiLU(), nn.Conv2d(channels, channels, 3, padding=1),
            nn.GroupNorm(groups, channels), nn.SiLU(), nn.Conv2d(channels, channels, 3, padding=1),
        )  # fmt: skip
        nn.init.zeros_(self.body[-1].weight)  # type: ignore[arg-type]

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Features => features."""
        return x + self.body(x)


class MLP(nn.Sequential):
    """Two linear layers with a GELU between them."""

    def __init__(self, width: int, ratio: int = 4) -> None:
        super().__init__(nn.Linear(width, ratio * width), nn.GELU(approximate="tanh"), nn.Linear(ratio * width, width))


class RMSNorm(nn.RMSNorm):
    """torch's, with the weight in the input's precision: under autocast there is no fused kernel for two, and epsilon
    must not follow the input's."""

    def __init__(self, width: int) -> None:
        super().__init__(width, eps=torch.finfo(torch.float32).eps)

    def forward(self, x: Float[Tensor, "... d"]) -> Float[Tensor, "... d"]:
        """The last axis divided by its root mean square, times the weight."""
        return F.rms_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.eps)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """[b, n, heads * d] => [b, heads, n, d]"""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def attend(q: Tensor, k: Tensor, v: Tensor, *, causal: bool = False, mask: Tensor | None = None) -> Tensor:
    """Attention over heads: [b, heads, n, d] => [b, n, heads * d]."""
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal).transpose(1, 2).flatten(2)


class TransformerLayer(nn.Module):
    """Pre-norm self-attention and MLP."""

    def __init__(self, width: int, heads: int, *, causal: bool = False) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = MLP(width)

    def forward(self, x: Float[Tensor, "b n d"], mask: Tensor | None = None) -> Float[Tensor, "b n d"]:
        """Tokens => tokens; mask [b, 1, 1, n]: which tokens are seen, None for all."""
        q, k, v = (split_heads(p, self.heads) for p in self.qkv(self.norm1(x)).chunk(3, -1))
        x = x + self.out(attend(q, k, v, causal=self.causal, mask=mask))
        return x + self.mlp(self.norm2(x))

    def following(
        self, x: Float[Tensor, "b n d"], past: KeysValues | None
    ) -> tuple[Float[Tensor, "b n d"], KeysValues]:
        """The first tokens (past: None), or one more after those of `past` => the same as `forward` of all of them
        gives for these tokens, causally, and the keys and values of all."""
        q, k, v = (split_heads(p, self.heads) for p in self.qkv(self.norm1(x)).chunk(3, -1))
        if past is not None:
            k, v = torch.cat([past[0], k], 2), torch.cat([past[1], v], 2)
        x = x + self.out(attend(q, k, v, causal=past is None))
        return x + self.mlp(self.norm2(x)), (k, v)


class TextTrunk(nn.Module):
    """Token ids => one feature per token: embedding, learned positions, bidirectional transformer."""

    def __init__(self, *, vocab_size: int, max_tokens: int, width: int, depth: int, heads: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocab_size, width)
        self.position = nn.Parameter(0.02 * torch.randn(max_tokens, width))
        self.layers = nn.ModuleList(TransformerLayer(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, ids: Tensor, pad: int) -> tuple[Tensor, Tensor]:
        """ids [b, n] => features [b, n, width] and valid [b, n] (False on padding)."""
        valid = ids != pad
        mask = valid[:, None, None, :]
        x = self.embed(ids) + self.position[: ids.shape[1]]
        for layer in self.layers:
            x = layer(x, mask)
        return self.norm(x), valid

    def pooled(self, ids: Tensor, pad: int) -> Tensor:
        """ids [b, n] => mean feature over the real tokens [b, width]."""
        x, valid = self(ids, pad)
        weight = valid[..., None].to(x.dtype)
        return (x * weight).sum(1) / weight.sum(1).clamp(min=1)


class ImageTrunk(nn.Module):
    """Pictures [b, 1, s, s] in -1..1 => features [b, channels[-1]]: space-to-depth by 4, then residual stages.

    Pictures of a whole multiple of `image_size`, if it is given, are averaged down to it.
    """

    def __init__(self, channels: tuple[int, ...], image_size: int | None = None, *, blocks: int = 1) -> None:
        super().__init__()
        self.image_size = image_size
        stages: list[nn.Module] = [nn.PixelUnshuffle(4), nn.Conv2d(16, channels[0], 3, padding=1)]
        for width, following in zip(channels, (*channels[1:], None), strict=True):
            stages += [ResidualBlock(width) for _ in range(blocks)]
            if following:
                stages.append(nn.Conv2d(width, following, 3, stride=2, padding=1))
        self.stages = nn.Sequential(*stages, nn.GroupNorm(8, channels[-1]), nn.SiLU())

    def forward(self, x: Float[Tensor, "b 1 s s"]) -> Float[Tensor, "b c"]:
        """Pictures => features, averaged over the picture."""
        times = x.shape[-1] // self.image_size if self.image_size else 1
        return self.stages(F.avg_pool2d(x, times) if times > 1 else x).mean((2, 3))


def timestep_embedding(t: Float[Tensor, " b"], width: int) -> Float[Tensor, "b width"]:
    """Sinusoids of 1000 t at geometric frequencies (Vaswani et al. 2017); t in 0..1."""
    frequency = torch.exp(-math.log(10_000) * torch.arange(width // 2, device=t.device) / (width // 2))
    angle = 1000 * t[:, None] * frequency
    return torch.cat([angle.cos(), angle.sin()], -1)
