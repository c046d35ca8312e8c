"""Is a generated study a copy of a training one? Nearest neighbours in an embedding that sees copies, and repeated runs
of words.

The embedding is the thumbnail of the picture (32 x 32, its own mean and spread taken out): two pictures are near where
they look the same, not only where they show the same findings. If generated pictures are as near to the training set as
unseen ones are, half of them are nearer.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from omnicxr.evaluation.measures.fidelity import nearest_distance
from omnicxr.evaluation.results import NearestPair, PictureCopies

SIDE = 32
LISTED = 12
NEAR_COPY = 0.25
"""A generated picture counts as a near copy where its nearest training picture is nearer than this share of the median
distance between unseen pictures and the training set."""


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


def nearness(
    generated: np.ndarray, unseen: np.ndarray, training: np.ndarray, *, rows: np.ndarray | None = None
) -> PictureCopies:
    """Compare embeddings [n, d]: generated and unseen pictures, each with its nearest training picture (ties count
    half). `rows`: where the training pictures stand in their data set; None for the order in which they are given."""
    distance, index = nearest_distance(generated, training)
    expected, _ = nearest_distance(unseen, training)
    wins = (distance[:, None] < expected[None]).mean() + 0.5 * (distance[:, None] == expected[None]).mean()
    rows = np.arange(len(training)) if rows is None else rows
    return PictureCopies(
        nearer_share=float(wins),
        near_copies=int((distance < NEAR_COPY * np.median(expected)).sum()),
        training_studies=len(training),
        nearest=[NearestPair(int(i), int(rows[index[i]]), float(distance[i])) for i in np.argsort(distance)[:LISTED]],
    )
