"""Is a picture a chest radiograph at all? By the features of EfficientNet-Lite0, for all models alike.

One linear rule between chest films, of either view and of any tone, and pictures of many other kinds. It was measured
against the distance from a bank of films, which calls a film of another hospital none far sooner (docs/data.md).
scripts/make_radiograph_rule.py makes it, from real frontals, simulated studies and films projected from CTs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

RULE_FILE = Path(__file__).parent / "assets" / "radiographs.npz"
NO_RADIOGRAPH = "it does not look like a chest radiograph: give one"


@dataclass(frozen=True, kw_only=True)
class ChestRadiographs:
    """What tells chest films from other pictures."""

    weight: Tensor
    """float32 [1280], of the features."""
    bias: float

    @classmethod
    @cache
    def pretrained(cls) -> ChestRadiographs:
        """The one that ships."""
        with np.load(RULE_FILE, allow_pickle=False) as file:
            return cls(weight=torch.from_numpy(file["weight"].astype(np.float32)), bias=float(file["bias"]))

    def score(self, features: Tensor) -> Tensor:
        """`omnicxr.models.efficientnet.picture_features` [b, 1280] => [b]: over 1 is no chest radiograph. Typical
        chest films lie about 0, typical other pictures about 2."""
        return features.float() @ self.weight.to(features.device) + self.bias
