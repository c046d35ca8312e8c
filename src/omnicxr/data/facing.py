"""Which way the patient of a lateral film faces: anterior on the left or on the right of the picture.

A small convolutional network on the thumbnail of `omnicxr.data.views` reads the picture and its mirror image; what it
says of the one less what it says of the other is the score, so that mirroring a picture turns the sign of its score and
changes nothing else. scripts/make_facing_classifier.py trains it, on simulated laterals and films projected from CTs.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from omnicxr.data.views import convolved, view_features
from omnicxr.domain import Facing

WEIGHTS_FILE = Path(__file__).parent / "assets" / "facing.npz"
STRIDES = (2, 2, 2)
"""Of the convolutions."""
SURE = 7.0
"""Least score, either way, that counts: no real lateral was found beyond it that faces the other way."""


@lru_cache(maxsize=1)
def _weights() -> dict[str, np.ndarray]:
    with np.load(WEIGHTS_FILE, allow_pickle=False) as file:
        return {name: file[name].astype(np.float32) for name in file.files}


def _one_way(x: np.ndarray) -> float:
    """What the network says of features [SIDE, SIDE]."""
    w = _weights()
    x = x[..., None]
    for i, stride in enumerate(STRIDES):
        x = convolved(x, w[f"conv{i}"], w[f"conv{i}_bias"], stride=stride)
    return float(x.ravel() @ w["out"])


def facing_score(grey: Image.Image) -> float:
    """Square picture of mode "L" => log odds that the patient faces left; minus the score of its mirror image."""
    x = view_features(grey)
    return _one_way(x) - _one_way(x[:, ::-1])


def facing(grey: Image.Image) -> Facing | None:
    """Which way the patient of a square lateral picture of mode "L" faces; None where that is not sure."""
    score = facing_score(grey)
    if abs(score) < SURE:
        return None
    return "left" if score > 0 else "right"


def mirrored(grey: Image.Image) -> Image.Image:
    """The picture with left and right exchanged."""
    return ImageOps.mirror(grey)
