"""Contact sheets: rows of square grey pictures in one file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from omnicxr.data.files import whole_file


def grid(rows: Sequence[np.ndarray]) -> Image.Image:
    """Rows of uint8 pictures [n, s, s] => one picture; shorter rows are filled with black."""
    longest = max(len(r) for r in rows)
    filled = [np.concatenate([r, np.zeros((longest - len(r), *r.shape[1:]), np.uint8)]) for r in rows]
    return Image.fromarray(np.vstack([np.hstack(list(r)) for r in filled]))


def save_grid(rows: Sequence[np.ndarray], path: Path) -> None:
    """`grid` as a PNG file."""
    with whole_file(path) as temporary:
        grid(rows).save(temporary, format="PNG")
