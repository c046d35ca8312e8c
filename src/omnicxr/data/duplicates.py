"""The same picture twice: exact copies by their pixels, near copies by a perceptual hash."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from PIL import Image

SIDE = 16
EXACT_BYTES = 16
NEAR_BITS = 12
"""Pictures whose perceptual hashes differ in at most so many of the 256 bits count as near copies; measured in
docs/data.md."""
_CHUNK = 512


def picture_hash(grey: Image.Image) -> bytes:
    """48 bytes: BLAKE2 of the pixels (16), then the difference hash (32): is each cell of a 16 x 17 thumbnail brighter
    than its left neighbour?"""
    exact = hashlib.blake2b(grey.tobytes(), digest_size=EXACT_BYTES).digest()
    thumbnail = np.asarray(grey.resize((SIDE + 1, SIDE), Image.Resampling.BOX), np.int16)
    return exact + np.packbits(thumbnail[:, 1:] > thumbnail[:, :-1]).tobytes()


def find_copies(hashes: Sequence[bytes], groups: Sequence[str]) -> list[tuple[int, int, int]]:
    """Pictures that have a copy in another group: (i, j, differing bits), j the nearest, -1 bits for exact copies.

    Each pair of groups is looked at once, from the smaller group, so each picture of that group appears at most once
    for it. Every pair across groups is compared: about 10^8 a second.
    """
    if not hashes:
        return []
    whole = np.frombuffer(b"".join(hashes), np.uint8).reshape(len(hashes), -1)
    exact = np.ascontiguousarray(whole[:, :EXACT_BYTES]).view(np.uint64)
    near = np.ascontiguousarray(whole[:, EXACT_BYTES:]).view(np.uint64)
    names = np.array(groups)
    members = {g: np.nonzero(names == g)[0] for g in sorted(set(groups))}
    order = sorted(members, key=lambda g: len(members[g]))
    found = []
    for small, large in combinations(order, 2):
        for start in range(0, len(members[small]), _CHUNK):
            rows = members[small][start : start + _CHUNK]
            nearest, bits = _nearest(near, rows, members[large])
            close = bits <= NEAR_BITS
            for i, j, b in zip(rows[close], nearest[close], bits[close], strict=True):
                found.append((int(i), int(j), -1 if (exact[i] == exact[j]).all() else int(b)))
    return found


def _nearest(near: np.ndarray, rows: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each row the other with the fewest differing bits (the first of equals), and how many differ."""
    best, least = np.zeros(len(rows), int), np.full(len(rows), 10_000)
    for begin in range(0, len(others), 1 << 13):
        columns = others[begin : begin + (1 << 13)]
        bits = np.zeros((len(rows), len(columns)), np.uint16)
        for word in range(near.shape[1]):
            bits += np.bitwise_count(near[rows, None, word] ^ near[None, columns, word])
        closest = bits.argmin(1)
        value = bits[np.arange(len(rows)), closest]
        better = value < least
        best[better], least[better] = columns[closest[better]], value[better]
    return best, least
