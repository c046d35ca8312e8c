"""Prompt encoders: one per modality into one shared space, trained by symmetric InfoNCE over every pair of a study."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Annotated

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from omnicxr.domain import Modality
from omnicxr.domain.settings import Between
from omnicxr.models.trunks import TrunkConfig, Trunks

PromptDim = Annotated[int, Between(1, 16_384)]
MAX_LOGIT_SCALE = math.log(100)


@dataclass(frozen=True, kw_only=True)
class PromptEncodersConfig(TrunkConfig):
    """Sizes of the prompt encoders."""

    dim: PromptDim = 192


class PromptEncoders(Trunks):
    """One encoder per modality into the shared space."""

    config_class = PromptEncodersConfig
    config: PromptEncodersConfig

    def __init__(self, config: PromptEncodersConfig) -> None:
        super().__init__(config)
        self.project = nn.ModuleDict({m: nn.Linear(config.width(m), config.dim) for m in Modality})
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def embed(self, modality: Modality, x: Tensor) -> Float[Tensor, "b d"]:
        """Pictures [b, 1, s, s] in -1..1, or token ids [b, n] => prompt embeddings of length 1."""
        return F.normalize(self.project[modality](self.features(modality, x)), dim=-1)

    def forward(self, inputs: dict[Modality, Tensor]) -> dict[Modality, Tensor]:
        """`embed` of several modalities."""
        return {m: self.embed(m, x) for m, x in inputs.items()}


@dataclass(frozen=True)
class HardNegatives:
    """One more wrong partner for each study, hard to tell from the right one."""

    embeds: Float[Tensor, "b d"]
    there: Float[Tensor, " b"]
    """1 where the study has one, else 0."""


def info_nce(
    a: Float[Tensor, "b d"],
    b: Float[Tensor, "n d"],
    logit_scale: Tensor,
    *,
    offset: int = 0,
    negatives: HardNegatives | None = None,
) -> Tensor:
    """Cross entropy of each row of `a` against its partner in `b` (row + offset), van den Oord et al. 2018.

    Each row is told from its own hard negative, too, where it has one (as Yuksekgonul et al. 2023 do with captions).
    """
    scale = logit_scale.clamp(max=MAX_LOGIT_SCALE).exp()
    logits = scale * a @ b.T
    if negatives is not None:
        hard = scale * (a * negatives.embeds).sum(-1)
        logits = torch.cat([logits, hard.masked_fill(negatives.there == 0, -torch.inf)[:, None]], 1)
    return F.cross_entropy(logits, torch.arange(len(a), device=a.device) + offset)


def symmetric_contrastive_loss(
    embeds: dict[Modality, Tensor], logit_scale: Tensor, negatives: Mapping[Modality, HardNegatives] | None = None
) -> Tensor:
    """Mean over all pairs of modalities of the InfoNCE in both directions; embeddings have length 1.

    `negatives`: of a modality, for the others.
    """
    hard = negatives or {}
    losses = [info_nce(embeds[a], embeds[b], logit_scale, negatives=hard.get(b)) for a, b in permutations(embeds, 2)]
    return torch.stack(losses).mean()
