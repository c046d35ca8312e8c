"""What prompt encoders and judge have in common: a trunk for each view and one for reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from jaxtyping import Float
from torch import Tensor, nn

from omnicxr.domain import IMAGE_MODALITIES, Modality
from omnicxr.domain.settings import Between, Items, Settings
from omnicxr.models.component import Component
from omnicxr.models.layers import MAX_DEPTH, MAX_WIDTH, ImageTrunk, TextTrunk, check_heads
from omnicxr.models.tokenizer import PAD, MaxTokens, VocabSize

TrunkChannels = Annotated[tuple[int, ...], Between(8, 4096, multiple=8), Items(1, 8)]
TrunkImageSize = Annotated[int, Between(8, 1024, multiple=4)]


@dataclass(frozen=True, kw_only=True)
class TrunkConfig(Settings):
    """Sizes of the trunks."""

    vocab_size: VocabSize
    max_tokens: MaxTokens = 96
    image_channels: TrunkChannels = (32, 64, 128, 192)
    image_size: TrunkImageSize = 128
    """Side at which pictures are seen: those of a whole multiple of it are averaged down."""
    text_width: Annotated[int, Between(4, MAX_WIDTH)] = 128
    text_depth: Annotated[int, Between(0, MAX_DEPTH)] = 3
    text_heads: Annotated[int, Between(1, MAX_WIDTH)] = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_heads("report trunk", self.text_width, self.text_heads)

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
