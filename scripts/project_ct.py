"""Chest radiographs of the people in a folder of CTs, for the classifiers of `make_view_classifier.py` and
`make_radiograph_rule.py`: sums of attenuation along the rays, every time of another build, posture and framing.

CTs are NIfTI files (int16 HU, axes x to the patient's left, y posterior, z up), such as LIDC-IDRI, CPTAC-PDA and
ACRIN-NSCLC-FDG-PET of The Cancer Imaging Archive (CC BY 3.0).
"""

from __future__ import annotations

import gzip
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

AIR, LUNG_HU, BONE_HU = -1024, -500, 150
CT_FILES = "*.nii.gz"


def read_nifti(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """int16 [z, y, x] and the spacing (z, y, x) in mm of a NIfTI-1 file."""
    data = gzip.decompress(path.read_bytes())
    shape = struct.unpack("<3h", data[42:48])
    spacing = struct.unpack("<3f", data[80:92])
    if struct.unpack("<h", data[70:72]) != (4,):
        raise ValueError(f"{path} does not hold int16")
    start = int(struct.unpack("<f", data[108:112])[0])
    volume = np.frombuffer(data, "<i2", offset=start, count=int(np.prod(shape))).reshape(shape[::-1])
    return volume, np.array(spacing[::-1], np.float64)


@dataclass(frozen=True)
class Body:
    """One person: attenuation relative to water, soft tissue and the excess of bone, on a grid of `spacing` mm."""

    density: Tensor
    """float32 [2, z, y, x]."""
    spacing: float
    lungs: tuple[np.ndarray, np.ndarray]
    """Lowest and highest corner of the lungs, (z, y, x) in voxels."""


def largest(mask: np.ndarray) -> np.ndarray:
    """The largest connected part of a mask."""
    parts = np.zeros(mask.shape, np.int32)
    ndimage.label(mask, output=parts)
    return parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))


def read_body(path: Path, spacing: float) -> Body:
    """The person of a CT, without the table, on a coarser grid (isotropic, `spacing` mm)."""
    hu, old = read_nifti(path)
    hu = np.asarray(ndimage.zoom(hu.astype(np.float32), old / spacing, order=1))
    inside = largest(ndimage.binary_opening(hu > -350, np.ones((1, 3, 3)), iterations=max(1, round(4 / spacing))))
    inside = np.stack([np.asarray(ndimage.binary_fill_holes(s), bool) for s in inside])
    hu = np.where(inside, hu, AIR)
    lung = largest(np.asarray(ndimage.binary_erosion(inside, iterations=3), bool) & (hu < LUNG_HU))
    corners = np.argwhere(lung)
    soft = np.clip(hu + 1000, 0, 1000 + BONE_HU) / 1000
    bone = np.clip(hu - BONE_HU, 0, 1500) / 1000
    density = torch.from_numpy(np.stack([soft, bone]).astype(np.float32))
    return Body(density, spacing, (corners.min(0), corners.max(0)))


def warp(coordinates: Tensor, amount_mm: float, rng: np.random.Generator) -> Tensor:
    """[d, h, w, 3] => the same, smoothly displaced by about `amount_mm`."""
    noise = torch.from_numpy(rng.normal(0, amount_mm, (1, 3, 4, 5, 4)).astype(np.float32))
    field = F.interpolate(noise, size=coordinates.shape[:3], mode="trilinear", align_corners=True)
    return coordinates + field[0].movedim(0, -1)


def turned(angles_deg: np.ndarray) -> np.ndarray:
    """Rotation about z, y and x, [3, 3] on (z, y, x)."""
    a, b, c = np.deg2rad(angles_deg)
    about_z = [[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]]
    about_y = [[np.cos(b), 0, -np.sin(b)], [0, 1, 0], [np.sin(b), 0, np.cos(b)]]
    about_x = [[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]]
    return np.array(about_z) @ np.array(about_y) @ np.array(about_x)


def project(body: Body, *, lateral: bool, size: int, rng: np.random.Generator) -> np.ndarray:
    """float32 [size, size] in 0..1, dense is bright: one film of one more person like `body`.

    Frontal: the patient's left is on the right. Lateral: anterior is on the left. Above and below the CT its last
    slices go on, above it narrowing to a neck.
    """
    low, high = (np.asarray(corner, np.float64) * body.spacing for corner in body.lungs)
    height, middle = high[0] - low[0], (low + high) / 2
    half = height / 2 * rng.uniform(1.0, 1.7)
    build = rng.uniform([0.85, 0.75, 0.8], [1.15, 1.25, 1.25])  # of (z, y, x)
    axis = torch.linspace(-1, 1, size)
    depth = torch.linspace(-260, 260, max(size, 96))
    up, across, along = torch.meshgrid(-axis * half, axis * half, depth, indexing="ij")
    beam = 1 + along / (rng.uniform(1200, 4000))  # rays from one point
    up, across = up * beam + rng.normal(0, 0.12) * height, across * beam + rng.normal(0, 0.08) * height
    points = torch.stack([up, across, along] if lateral else [up, along, across], -1)
    tilt = rng.normal(0, [6, 3, 3] if lateral else [5, 3, 6])
    points = points @ torch.from_numpy((turned(tilt) * build).astype(np.float32))
    points = warp(points, rng.uniform(0, 9), rng) + torch.from_numpy(middle.astype(np.float32))
    top = (body.density.shape[1] - 2) * body.spacing
    above = (points[..., :1] - top).clamp(min=0)
    narrower = 1 + above / rng.uniform(40, 160)
    centre = torch.tensor([middle[1], middle[2]], dtype=torch.float32)
    points = torch.cat([points[..., :1].clamp(0, top), (points[..., 1:] - centre) * narrower + centre], -1)
    extent = torch.tensor(body.density.shape[1:]) - 1
    grid = (points / body.spacing / extent * 2 - 1).flip(-1)[None]
    sums = F.grid_sample(body.density[None], grid, align_corners=True)[0].sum(-1) * (520 / len(depth))
    attenuation = (sums[0] + rng.uniform(0.3, 2) * sums[1]).numpy()
    exposure = rng.uniform(0.002, 0.01)
    film = 1 - np.exp(-exposure * attenuation) if rng.random() < 0.5 else attenuation
    return (film - film.min()) / max(float(np.ptp(film)), 1e-6)
