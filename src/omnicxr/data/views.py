"""Frontal or lateral? A small classifier for pictures whose data set does not say."""

from __future__ import annotations

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
SIDE = 24


def view_features(grey: Image.Image) -> np.ndarray:
    """Square picture => float32 [2 SIDE^2]: the thumbnail in its own grey scale, and how much it differs from its
    mirror image.

    A frontal picture is nearly its own mirror image, a lateral one is not.
    """
    thumbnail = np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX), np.float32)
    thumbnail = (thumbnail - thumbnail.mean()) / max(float(thumbnail.std()), 1e-3)
    return np.concatenate([thumbnail.ravel(), np.abs(thumbnail - thumbnail[:, ::-1]).ravel()])


@lru_cache(maxsize=1)
def _weights() -> dict[str, np.ndarray]:
    with np.load(WEIGHTS_FILE, allow_pickle=False) as file:
        return {name: file[name].astype(np.float32) for name in file.files}


def lateral_probability(grey: Image.Image) -> float:
    """How likely the picture is a lateral one, 0..1: one hidden layer on `view_features` (trained
    by scripts/make_view_classifier.py)."""
    w = _weights()
    hidden = np.maximum(view_features(grey) @ w["w1"] + w["b1"], 0)
    return float(1 / (1 + np.exp(-(hidden @ w["w2"] + w["b2"]).item())))


def predict_modality(grey: Image.Image) -> Modality:
    """The more likely of the two views."""
    return Modality.LATERAL if lateral_probability(grey) > 0.5 else Modality.FRONTAL
