"""What a chest radiograph shows at a glance: frontal or lateral, upright or turned, inverted or not.

One small convolutional network on a thumbnail, in NumPy, since every process of `prepare` asks it about each picture.
It sees grey levels only by their rank, so exposure and contrast mean nothing to it. scripts/make_view_classifier.py
trains it, on real frontals, simulated studies and films projected from CTs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from omnicxr.domain import Modality, View

VIEW_CODES = {"AP": View.AP, "PA": View.PA, "LATERAL": View.LATERAL, "LL": View.LL, "RL": View.LATERAL}
"""DICOM ViewPosition values that are used, in headers and tables; pictures with others (AP AXIAL, LAO, SWIMMERS, ...)
are left out and counted."""
PREDICTED = "(predicted)"
WEIGHTS_FILE = Path(__file__).parent / "assets" / "views.npz"
SIDE = 48
STRIDES = (2, 2, 2, 1)
"""Of the convolutions."""
SURE = {"view": 0.8, "inverted": 0.7, "turned": 0.9}
"""Least probability at which something is called wrong, so that of real films, upright and of a stated view, at most
0.5 % are."""
TURNED = ("", "turned by 90 degrees counterclockwise", "upside down", "turned by 90 degrees clockwise")
"""By quarter turns counterclockwise, as `numpy.rot90` counts them."""
INVERTED = "inverted (bone is dark)"
REMEDIES = {
    TURNED[1]: "turn it clockwise",
    TURNED[2]: "turn it by 180 degrees",
    TURNED[3]: "turn it counterclockwise",
    INVERTED: "invert it",
}


@dataclass(frozen=True, kw_only=True)
class Look:
    """What the network says of one picture; probabilities, 0..1."""

    lateral: float
    inverted: float
    """That dense parts are dark."""
    turned: tuple[float, float, float, float]
    """By 0, 1, 2 and 3 quarter turns counterclockwise; they sum to 1."""

    @property
    def modality(self) -> Modality:
        """The more likely of the two views."""
        return Modality.LATERAL if self.lateral > 0.5 else Modality.FRONTAL


def equalised(thumbnail: np.ndarray) -> np.ndarray:
    """uint8 [h, w] => float32 [h, w] in -1..1: each grey level by its mid-rank. An inverted picture gives the negative
    of it."""
    counts = np.bincount(thumbnail.ravel(), minlength=256)
    ranks = (np.cumsum(counts) - counts / 2) / thumbnail.size * 2 - 1
    return ranks.astype(np.float32)[thumbnail]


def view_features(grey: Image.Image) -> np.ndarray:
    """Square picture, mode "L" => what the network sees, float32 [SIDE, SIDE] in -1..1."""
    return equalised(np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX)))


@lru_cache(maxsize=1)
def _weights() -> dict[str, np.ndarray]:
    with np.load(WEIGHTS_FILE, allow_pickle=False) as file:
        return {name: file[name].astype(np.float32) for name in file.files}


def convolved(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, *, stride: int) -> np.ndarray:
    """[h, w, c] => ReLU of the 3 x 3 convolution [h / stride, w / stride, d], zeros around; weight [9 c, d]."""
    h, w, c = x.shape
    padded = np.zeros((h + 2, w + 2, c), np.float32)
    padded[1:-1, 1:-1] = x
    shifted = [padded[i : i + h : stride, j : j + w : stride] for i in range(3) for j in range(3)]
    return np.maximum(np.concatenate(shifted, -1) @ weight + bias, 0)


def look(grey: Image.Image) -> Look:
    """What is seen in a square picture of mode "L", about 1 ms."""
    w = _weights()
    x = view_features(grey)[..., None]
    for i, stride in enumerate(STRIDES):
        x = convolved(x, w[f"conv{i}"], w[f"conv{i}_bias"], stride=stride)
    hidden = np.maximum(x.ravel() @ w["hidden"] + w["hidden_bias"], 0)
    lateral, inverted, *turned = (hidden @ w["out"] + w["out_bias"]).astype(np.float64)
    turns = np.exp(np.array(turned) - max(turned))
    a, b, c, d = (turns / turns.sum()).tolist()
    return Look(lateral=_sigmoid(lateral), inverted=_sigmoid(inverted), turned=(a, b, c, d))


def _sigmoid(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))


def lateral_probability(grey: Image.Image) -> float:
    """How likely the picture is a lateral one, 0..1."""
    return look(grey).lateral


def predict_modality(grey: Image.Image) -> Modality:
    """The more likely of the two views."""
    return look(grey).modality


def wrong_way_round(seen: Look) -> str:
    """What looks turned or inverted with confidence, one of REMEDIES; else ""."""
    turns = int(np.argmax(seen.turned))
    if turns and seen.turned[turns] > SURE["turned"]:
        return TURNED[turns]
    return INVERTED if seen.inverted > SURE["inverted"] else ""


def other_view(seen: Look, modality: Modality) -> Modality | None:
    """The view that a picture said to be `modality` looks like with confidence, where that is the other one."""
    if modality is Modality.FRONTAL:
        return Modality.LATERAL if seen.lateral > SURE["view"] else None
    return Modality.FRONTAL if 1 - seen.lateral > SURE["view"] else None


def what_is_wrong(grey: Image.Image | np.ndarray, modality: Modality) -> str:
    """What is wrong with a picture that is given as `modality`, as a clause with its remedy such as "it looks upside
    down: turn it by 180 degrees"; "" where nothing is.

    grey: square, mode "L" or uint8 [s, s]. Only what is seen with confidence (`SURE`) is said.
    """
    seen = look(Image.fromarray(grey) if isinstance(grey, np.ndarray) else grey)
    if wrong := wrong_way_round(seen):
        return f"it looks {wrong}: {REMEDIES[wrong]}"
    if other := other_view(seen, modality):
        return f"it looks like a {other} view: give it as the {other} one"
    return ""
