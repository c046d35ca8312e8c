"""Contact sheets: rows of square grey pictures in one file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.files import whole_file
from omnicxr.domain import IMAGE_MODALITIES


def grid(rows: Sequence[np.ndarray]) -> Image.Image:
    """Rows of uint8 pictures [n, s, s] => one picture; shorter rows are filled with black."""
    longest = max(len(r) for r in rows)
    filled = [np.concatenate([r, np.zeros((longest - len(r), *r.shape[1:]), np.uint8)]) for r in rows]
    return Image.fromarray(np.vstack([np.hstack(list(r)) for r in filled]))


def save_reconstructions(held_out: PreparedDataset, reconstruct: Callable[[Tensor], Tensor], path: Path) -> None:
    """The first held-out pictures of every view that there is, above what `reconstruct` makes of uint8 [n, s, s]: the
    same."""
    views = [m for m in IMAGE_MODALITIES if len(held_out.having(m))]
    pictures = [torch.from_numpy(held_out.images(m, held_out.having(m)[:6])) for m in views]
    save_grid([torch.cat(pictures).numpy(), torch.cat([reconstruct(x).cpu() for x in pictures]).numpy()], path)


def save_grid(rows: Sequence[np.ndarray], path: Path) -> None:
    """`grid` as a PNG file."""
    with whole_file(path) as temporary:
        grid(rows).save(temporary, format="PNG")
