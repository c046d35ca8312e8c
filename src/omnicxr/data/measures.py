"""Measures of many studies as arrays; `omnicxr.domain.measures` names them."""

from __future__ import annotations

import numpy as np

from omnicxr.domain.measures import MEASURES, PLACES, SIDES, extent


def by_side(kind: str, measures: np.ndarray) -> np.ndarray:
    """Extents of a kind of lesion on each of `SIDES` [n, 2], from all measures [n, len(MEASURES)].

    Means over the places of a side, so that three lobes do not outweigh two.
    """
    means = []
    for side in SIDES:
        columns = [MEASURES.index(extent(kind, place)) for place in PLACES[kind] if place.startswith(side)]
        means.append(measures[:, columns].mean(1))
    return np.stack(means, axis=1)
