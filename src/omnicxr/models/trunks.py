"""What prompt encoders and judge have in common: a trunk for each view and one for reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from omnicxr.domain import IMAGE_MODALITIES, Modality
from omnicxr.domain.settings import Between, Items, Settings
from omnicxr.models.component import Component
from omnicxr.models.efficientnet import GRID, grid_features
from omnicxr.models.layers import MAX_DEPTH, MAX_WIDTH, ImageTrunk, TextTrunk, check_heads
from omnicxr.models.tokenizer import PAD, MaxTokens, VocabSize

TrunkChannels = Annotated[tuple[int, ...], Between(8, 4096, multiple=8), Items(1, 8)]
TrunkImageSize = Annotated[int, Between(8, 1024, multiple=4)]
ImageTrunkKind = Literal["own", "imagenet"]
"""own: convolutions that are trained with the rest. imagenet: EfficientNet-Lite0 as it learned from photographs, for
data sets of a few thousand studies (docs/decisions.md, "Eyes for few studies")."""
DROPOUT, SCALE = 0.5, 0.25
"""Of features that are not trained: there are more of them than studies, so they count little one by one."""
SMALLEST_STD = 1e-2
"""Added to the spread of such features, some of which hardly vary."""


@dataclass(frozen=True, kw_only=True)
class TrunkConfig(Settings):
    """Sizes of the trunks."""

    vocab_size: VocabSize
    max_tokens: MaxTokens = 96
    image_channels: TrunkChannels = (32, 64, 128, 192)
    image_size: TrunkImageSize = 128
    """Side at which pictures are seen: those of a whole multiple of it are averaged down."""
    image_trunk: ImageTrunkKind = "own"
    text_width: Annotated[int, Between(4, MAX_WIDTH)] = 128
    text_depth: Annotated[int, Between(0, MAX_DEPTH)] = 3
    text_heads: Annotated[int, Between(1, MAX_WIDTH)] = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_heads("report trunk", self.text_width, self.text_heads)

    def width(self, modality: Modality) -> int:
        """Of the features of one modality."""
        if not modality.is_image:
            return self.text_width
        return GRID if self.image_trunk == "imagenet" else self.image_channels[-1]


class ImageNetTrunk(nn.Module):
    """Features of the pretrained network, standardised over training pictures and made small; nothing is trained."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(GRID))
        self.register_buffer("std", torch.ones(GRID))
        self.dropout = nn.Dropout(DROPOUT)

    @torch.no_grad()
    def set_statistics(self, features: Float[Tensor, "n grid"]) -> None:
        """From `grid_features` of training pictures."""
        self.mean.copy_(features.mean(0))
        self.std.copy_(features.std(0, correction=0) + SMALLEST_STD)

    def forward(self, x: Tensor) -> Float[Tensor, "b grid"]:
        """Pictures [b, 1, s, s] in -1..1, or their `grid_features` [b, GRID] => features."""
        features = x if x.ndim == 2 else grid_features(x)
        return self.dropout(SCALE * (features - self.mean) / self.std)


class Trunks(Component):
    """One trunk per view, one for reports; what is made of their features is each network's own."""

    def __init__(self, config: TrunkConfig) -> None:
        super().__init__(config)
        self.images = nn.ModuleDict({m: _image_trunk(config) for m in IMAGE_MODALITIES})
        self.text = TextTrunk(
            vocab_size=config.vocab_size,
            max_tokens=config.max_tokens,
            width=config.text_width,
            depth=config.text_depth,
            heads=config.text_heads,
        )

    @property
    def pretrained(self) -> dict[Modality, ImageNetTrunk]:
        """The image trunks that are not trained; none where they are the network's own."""
        trunks = {m: self.images[m] for m in IMAGE_MODALITIES}
        return {m: t for m, t in trunks.items() if isinstance(t, ImageNetTrunk)}

    def apart_from(self, settings: Mapping[str, Any]) -> set[str]:
        """Names of the parameters that mean nothing to a network of other settings, as its config.json has them: those
        that read pictures, where its image trunks are of another kind."""
        if settings.get("image_trunk", "own") == self.config.image_trunk:
            return set()
        return {name for name, _ in self.named_parameters() if set(IMAGE_MODALITIES) & set(name.split("."))}

    def features(self, modality: Modality, x: Tensor) -> Float[Tensor, "b c"]:
        """Pictures [b, 1, s, s] in -1..1, or token ids [b, n] => what the network's last layer sees. Image trunks that
        are not trained take `grid_features` as well, which need not be worked out again at every step."""
        return self.images[modality](x) if modality.is_image else self.text.pooled(x, PAD)


def _image_trunk(config: TrunkConfig) -> nn.Module:
    if config.image_trunk == "imagenet":
        return ImageNetTrunk()
    return ImageTrunk(config.image_channels, config.image_size)
