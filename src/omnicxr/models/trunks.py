"""What prompt encoders and judge have in common: a trunk for each view and one for reports."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from omnicxr.domain import IMAGE_MODALITIES, Modality
from omnicxr.models.component import Component
from omnicxr.models.layers import ImageTrunk, TextTrunk
from omnicxr.models.tokenizer import PAD


@dataclass(frozen=True, kw_only=True)
class TrunkConfig:
    """Sizes of the trunks."""

    vocab_size: int
    max_tokens: int = 96
    image_channels: tuple[int, ...] = (32, 64, 128, 192)
    image_size: int = 128
    """Side at which pictures are seen: those of a whole multiple of it are averaged down."""
    text_width: int = 128
    text_depth: int = 3
    text_heads: int = 4

    def width(self, modality: Modality) -> int:
        """Of the features of one modality."""
        return self.image_channels[-1] if modality.is_image else self.text_width


class Trunks(Component):
    """One trunk per view, one for reports; what is made of their features is each network's own."""

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__(config)
        self.images = nn.ModuleDict({m: ImageTrunk(config.image_channels, config.image_size) for m in IMAGE_MODALITIES})
        self.text = TextTrunk(
            vocab_size=config.vocab_size,
            max_tokens=config.max_tokens,
            width=config.text_width,
            depth=config.text_depth,
            heads=config.text_heads,
        )

    def features(self, modality: Modality, x: Tensor) -> Float[Tensor, "b c"]:
        """Pictures [b, 1, s, s] in -1..1, or token ids [b, n] => what the network's last layer sees."""
        return self.images[modality](x) if modality.is_image else self.text.pooled(x, PAD)
