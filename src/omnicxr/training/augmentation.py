"""Other versions of training pictures, as if the patient had been placed and exposed a little differently."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from omnicxr.data.seeds import derived_seed

ZOOM, SHIFT, GAIN, OFFSET = 0.06, 0.03, 0.08, 0.04
"""Most that a version differs: share of the size, share of the side, of the contrast, and of the range of grey levels.

No mirroring, which would move the heart, and no turning, which would tilt the edge of the film.
"""


def version(pictures: UInt8[np.ndarray, "n s s"], places: np.ndarray, *, number: int) -> UInt8[np.ndarray, "n s s"]:
    """Version `number` of pictures by their places; the same whenever it is asked for. Number 0: as they are.

    The first frontal and the first lateral view of a study have the same place, so they change alike.
    """
    if number == 0:
        return pictures
    drawn = torch.stack([_drawn(derived_seed(0, int(place), number)) for place in places])  # [n, 5] in -1..1
    x = torch.from_numpy(np.ascontiguousarray(pictures))[:, None].float() / 255
    placed = F.grid_sample(x, _grid(drawn[:, :3], x.shape), mode="bilinear", padding_mode="zeros", align_corners=False)
    gain, offset = (1 + GAIN * drawn[:, 3])[:, None, None, None], OFFSET * drawn[:, 4, None, None, None]
    exposed = ((placed - 0.5) * gain + 0.5 + offset).clamp(0, 1)
    around = placed == 0  # the film stays black
    return (255 * torch.where(around, 0, exposed)).round().to(torch.uint8)[:, 0].numpy()


def _drawn(seed: int) -> Float[Tensor, " 5"]:
    return 2 * torch.rand(5, generator=torch.Generator().manual_seed(seed)) - 1


def _grid(drawn: Float[Tensor, "n 3"], shape: torch.Size) -> Float[Tensor, "n s s 2"]:
    """Where each pixel comes from: larger or smaller, moved along both sides."""
    scale, move, zero = 1 + ZOOM * drawn[:, 0], 2 * SHIFT * drawn[:, 1:], torch.zeros(len(drawn))
    rows = torch.stack([scale, zero, move[:, 0], zero, scale, move[:, 1]], 1).unflatten(1, (2, 3))
    return F.affine_grid(rows, list(shape), align_corners=False)
