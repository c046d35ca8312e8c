"""The same picture twice: exact copies by their pixels, near copies by a perceptual hash."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from PIL import Image

SIDE = 16
EXACT_BYTES, NEAR_BYTES = 16, SIDE * SIDE // 8
NEAR_BITS = 12
"""Pictures whose perceptual hashes differ in at most so many of the 256 bits count as near copies; measured in docs/data.md."""
_CHUNK = 512


def picture_hash(grey: Image.Image) -> bytes:
    """48 bytes: BLAKE2 of the pixels (16), then the difference hash (32): is each cell of a 16 x 17 thumbnail brighter than its left neighbour?"""
    exact = hashlib.blake2b(grey.tobytes(), digest_size=EXACT_BYTES).digest()
    thumbnail = np.asarray(grey.resize((SIDE + 1, SIDE), Image.Resampling.BOX), np.int16)
    return exact + np.packbits(thumbnail[:, 1:] > thumbnail[:, :-1]).tobytes()


def find_copies(hashes: Sequence[bytes], groups: Sequence[str]) -> list[tuple[int, int, int]]:
    """Pairs (i, j, differing bits) of pictures in different groups, i < j, -1 bits for exact copies; every pair across groups is compared."""
    if not hashes:
        return []
    whole = np.frombuffer(b"".join(hashes), np.uint8).reshape(len(hashes), -1)
    exact = np.ascontiguousarray(whole[:, :EXACT_BYTES]).view(np.uint64)
    near = np.ascontiguousarray(whole[:, EXACT_BYTES:]).view(np.uint64)
    names = np.array(groups)
    order = sorted(set(groups), key=lambda g: int((names == g).sum()))
    found = []
    for position, group in enumerate(order[:-1]):  # small groups against all larger ones
        here = np.nonzero(names == group)[0]
        others = np.nonzero(np.isin(names, order[position + 1 :]))[0]
        for start in range(0, len(here), _CHUNK):
            rows = here[start : start + _CHUNK]
            for begin in range(0, len(others), 1 << 14):
                columns = others[begin : begin + (1 << 14)]
                bits = np.zeros((len(rows), len(columns)), np.uint16)
                for word in range(near.shape[1]):
                    bits += np.bitwise_count(near[rows, None, word] ^ near[None, columns, word])
                for a, b in zip(*np.nonzero(bits <= NEAR_BITS), strict=True):
                    i, j = sorted((int(rows[a]), int(columns[b])))
                    found.append((i, j, -1 if (exact[i] == exact[j]).all() else int(bits[a, b])))
    return sorted(found)
