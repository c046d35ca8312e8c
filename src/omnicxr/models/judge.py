"""The judge: finding classifiers of each view and of reports, with regression of the continuous truth. Only for
measuring."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from omnicxr.domain import IMAGE_MODALITIES, Finding, Modality
from omnicxr.domain.measures import MEASURES
from omnicxr.models.component import Component
from omnicxr.models.layers import ImageTrunk, TextTrunk
from omnicxr.models.tokenizer import PAD


@dataclass(frozen=True, kw_only=True)
class JudgeConfig:
    """Sizes of the judge."""

    vocab_size: int
    max_tokens: int = 96
    image_channels: tuple[int, ...] = (32, 64, 128, 192)
    image_size: int = 128
    """Side at which pictures are seen: those of a whole multiple of it are averaged down."""
    text_width: int = 96
    text_depth: int = 2
    text_heads: int = 4
    measure_mean: tuple[float, ...] = (0.0,) * len(MEASURES)
    measure_std: tuple[float, ...] = (1.0,) * len(MEASURES)
    """Statistics of the training set, by which the regression outputs are standardised."""


class Judge(Component):
    """One trunk and one head per modality."""

    config_class = JudgeConfig
    config: JudgeConfig

    def __init__(self, config: JudgeConfig) -> None:
        super().__init__(config)
        self.images = nn.ModuleDict({m: ImageTrunk(config.image_channels, config.image_size) for m in IMAGE_MODALITIES})
        self.text = TextTrunk(
            vocab_size=config.vocab_size,
            max_tokens=config.max_tokens,
            width=config.text_width,
            depth=config.text_depth,
            heads=config.text_heads,
        )
        widths = {m: config.image_channels[-1] if m.is_image else config.text_width for m in Modality}
        outputs = len(Finding) + len(MEASURES)
        self.heads = nn.ModuleDict({m: nn.Sequential(nn.Dropout(0.1), nn.Linear(widths[m], outputs)) for m in Modality})

    def forward(self, modality: Modality, x: Tensor) -> tuple[Float[Tensor, "b 14"], Float[Tensor, "b measures"]]:
        """Pictures [b, 1, s, s] in -1..1, or token ids [b, n] => finding logits and standardised measures."""
        out = self.heads[modality](self.features(modality, x))
        return out[:, : len(Finding)], out[:, len(Finding) :]

    def features(self, modality: Modality, x: Tensor) -> Float[Tensor, "b c"]:
        """What the head of the modality sees."""
        return self.images[modality](x) if modality.is_image else self.text.pooled(x, PAD)
