"""Is a generated study a copy of a training one? Nearest neighbours in an embedding that sees copies, and repeated runs
of words.

The embedding is the thumbnail of the picture (32 x 32, its own mean and spread taken out): two pictures are near where
they look the same, not only where they show the same findings. If generated pictures are as near to the training set as
unseen real ones are, half of them are nearer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from omnicxr.evaluation.measures.fidelity import nearest_distance

SIDE = 32
LISTED = 12
NEAR_COPY = 0.25
"""A generated picture counts as a near copy where its nearest training picture is nearer than this share of the median
distance between unseen real pictures and the training set."""


def copy_embedding(pictures: np.ndarray) -> np.ndarray:
    """uint8 [n, s, s] => float32 [n, 1024], each of mean 0 and length 1."""
    small = np.stack(
        [
            np.asarray(Image.fromarray(p).resize((SIDE, SIDE), Image.Resampling.BOX), np.float32).ravel()
            for p in pictures
        ]
    )
    small -= small.mean(1, keepdims=True)
    return small / np.maximum(np.linalg.norm(small, axis=1, keepdims=True), 1e-6)


@dataclass(frozen=True)
class Nearness:
    """How near generated pictures are to the training set, compared with unseen real ones."""

    nearer_share: float
    """Of pairs of a generated and an unseen real picture, the share in which the generated one is nearer to its nearest
    training picture (ties count half): 0.5 for a model that does not copy, 1 for one that does."""
    near_copies: int
    pairs: list[tuple[int, int, float]]
    """The nearest (generated index, training index, distance), nearest first."""


def nearness(generated: np.ndarray, unseen: np.ndarray, training: np.ndarray) -> Nearness:
    """Compare embeddings [n, d]: generated and unseen real pictures, each with its nearest training picture."""
    made, index = nearest_distance(generated, training)
    real, _ = nearest_distance(unseen, training)
    wins = (made[:, None] < real[None]).mean() + 0.5 * (made[:, None] == real[None]).mean()
    order = np.argsort(made)[:LISTED]
    return Nearness(
        float(wins),
        int((made < NEAR_COPY * np.median(real)).sum()),
        [(int(i), int(index[i]), float(made[i])) for i in order],
    )
