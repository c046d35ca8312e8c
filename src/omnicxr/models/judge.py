"""The judge: finding classifiers of each view and of reports, with regression of the continuous truth. Only for
measuring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from jaxtyping import Float
from torch import Tensor, nn

from omnicxr.domain import Finding, Modality
from omnicxr.domain.measures import MEASURES
from omnicxr.domain.settings import Between, Items
from omnicxr.models.layers import MAX_DEPTH, MAX_WIDTH
from omnicxr.models.trunks import TrunkConfig, Trunks


@dataclass(frozen=True, kw_only=True)
class JudgeConfig(TrunkConfig):
    """Sizes of the judge."""

    text_width: Annotated[int, Between(4, MAX_WIDTH)] = 96
    text_depth: Annotated[int, Between(0, MAX_DEPTH)] = 2
    measure_mean: Annotated[tuple[float, ...], Between(-1_000_000, 1_000_000), Items(len(MEASURES), len(MEASURES))] = (
        0.0,
    ) * len(MEASURES)
    measure_std: Annotated[tuple[float, ...], Between(1e-6, 1_000_000), Items(len(MEASURES), len(MEASURES))] = (
        1.0,
    ) * len(MEASURES)
    """Statistics of the training set, by which the regression outputs are standardised."""


class Judge(Trunks):
    """One head per modality."""

    config_class = JudgeConfig
    config: JudgeConfig

    def __init__(self, config: JudgeConfig) -> None:
        super().__init__(config)
        outputs = len(Finding) + len(MEASURES)
        self.heads = nn.ModuleDict(
            {m: nn.Sequential(nn.Dropout(0.1), nn.Linear(config.width(m), outputs)) for m in Modality}
        )

    def forward(self, modality: Modality, x: Tensor) -> tuple[Float[Tensor, "b 14"], Float[Tensor, "b measures"]]:
        """Pictures [b, 1, s, s] in -1..1, or token ids [b, n] => finding logits and standardised measures."""
        out = self.heads[modality](self.features(modality, x))
        return out[:, : len(Finding)], out[:, len(Finding) :]
