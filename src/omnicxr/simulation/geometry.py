"""From the rays of a view to places in the atlas: pose, magnification and the person's shape in one sampling grid."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from omnicxr.domain import Modality, View
from omnicxr.simulation.atlas import HEART, LUNG_LABELS, Atlas
from omnicxr.simulation.truth import Anatomy, Exposure

COARSE = (13, 21, 21)
"""Nodes (depth, rows, columns) on which the smooth map is worked out before it is interpolated."""
DEPTH_MM = {Modality.FRONTAL: 148.0, Modality.LATERAL: 212.0}
"""Half of the depth along the rays that is integrated."""
ISO_TO_DETECTOR_MM = {View.PA: 150.0, View.AP: 170.0, View.LATERAL: 210.0, View.LL: 230.0}


@dataclass(frozen=True)
class Warp:
    """The smooth map of one person's body to the atlas: mm => mm."""

    anatomy: Anatomy
    heart_mm: Tensor
    displacement: Tensor
    """[1, 3, n, n, n] random displacement on a coarse grid over +-180 mm."""

    def __call__(self, p: Tensor) -> Tensor:
        """Body coordinates [..., 3] (x, y, z) mm => atlas coordinates [..., 3] mm."""
        a = self.anatomy
        x, y, z = (p / p.new_tensor(a.scale)).unbind(-1)
        x = x - a.scoliosis_mm * torch.sin(math.pi * z / 230 + 0.4)
        y = y + a.kyphosis_mm * (z / 130).clamp(-1.3, 1.3) ** 2 * torch.sigmoid(-y / 40)
        z = z + a.diaphragm_mm * torch.sigmoid((10 - z) / 26) * torch.sigmoid((z + 150) / 14)

        hx, hy, hz = self.heart_mm
        r2 = ((x - hx) / 96) ** 2 + ((y - hy) / 84) ** 2 + ((z - hz) / 78) ** 2
        pull = (1 - 1 / a.heart_scale) * torch.exp(-(r2**2))
        x, y, z = x - pull * (x - hx), y - 0.75 * pull * (y - hy), z - 0.6 * pull * (z - hz)

        level = torch.exp(-(((z - 68) / 42) ** 4))
        pull = (1 - 1 / a.mediastinum_scale) * level * torch.exp(-(((x + 2) / 62) ** 4)) * torch.exp(-((y / 75) ** 4))
        x = x - pull * (x + 2)

        q = torch.stack([x, y, z], -1)
        grid = (q / 180).reshape(1, -1, 1, 1, 3)
        moved = F.grid_sample(self.displacement, grid, padding_mode="border", align_corners=True)
        return q + moved[0, :, :, 0, 0].T.reshape(q.shape)


def make_warp(atlas: Atlas, anatomy: Anatomy) -> Warp:
    """The map of one person, random parts drawn from the texture seed."""
    rng = torch.Generator().manual_seed(anatomy.texture_seed + 1)
    coarse = torch.randn(1, 3, 5, 5, 5, generator=rng)
    fine = torch.randn(1, 3, 9, 9, 9, generator=rng)
    smooth = F.interpolate(coarse, size=(13, 13, 13), mode="trilinear", align_corners=True)
    smooth = smooth + 0.45 * F.interpolate(fine, size=(13, 13, 13), mode="trilinear", align_corners=True)
    displacement = anatomy.warp_mm * smooth.clamp(-2.2, 2.2)
    return Warp(anatomy, atlas.heart_mm, displacement.to(atlas.device))


def _rotation(degrees: tuple[float, float, float]) -> Tensor:
    ax, ay, az = (math.radians(d) for d in degrees)
    rx = torch.tensor([[1, 0, 0], [0, math.cos(ax), -math.sin(ax)], [0, math.sin(ax), math.cos(ax)]])
    ry = torch.tensor([[math.cos(ay), 0, math.sin(ay)], [0, 1, 0], [-math.sin(ay), 0, math.cos(ay)]])
    rz = torch.tensor([[math.cos(az), -math.sin(az), 0], [math.sin(az), math.cos(az), 0], [0, 0, 1]])
    return rz @ ry @ rx


def coarse_grid(atlas: Atlas, warp: Warp, exposure: Exposure) -> Tensor:
    """Where the rays of a view meet the atlas, on the `COARSE` nodes (depth along the ray, rows, columns): [3,
    *COARSE], -1..1 over the volume.

    Rows go down, columns to the right of the picture: the patient's left is on the right of a frontal view, and a
    lateral view faces left.
    """
    frontal = exposure.view.modality is Modality.FRONTAL
    half = exposure.field_mm / 2
    depth = DEPTH_MM[exposure.view.modality]
    device = atlas.device
    w = torch.linspace(-depth, depth, COARSE[0], device=device)[:, None, None]
    up = torch.linspace(half, -half, COARSE[1], device=device)[None, :, None] + exposure.shift_mm[1]
    right = torch.linspace(-half, half, COARSE[2], device=device)[None, None, :] + exposure.shift_mm[0]
    source_to_iso = exposure.source_mm - ISO_TO_DETECTOR_MM[exposure.view]
    towards = -1.0 if exposure.view is View.AP else 1.0
    widen = (source_to_iso + towards * w) / source_to_iso  # cone beam: wider towards the detector
    up, right, w = torch.broadcast_tensors(up * widen, right * widen, w)
    points = torch.stack([right, w, up] if frontal else [w, -right, up], -1)
    points = points @ _rotation(exposure.rotation_deg).to(device).T
    at = (warp(points) - atlas.origin_mm) / atlas.spacing_mm
    d, h, ww = atlas.soft.shape
    return (at / (at.new_tensor([ww, h, d]) - 1) * 2 - 1).permute(3, 0, 1, 2)


def refine_grid(coarse: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Coarse grids [b, 3, *COARSE] => `grid_sample` grids [b, steps along the ray, rows, columns, 3] of `shape`."""
    return F.interpolate(coarse, size=shape, mode="trilinear", align_corners=True).permute(0, 2, 3, 4, 1)


def cardiothoracic_ratio(atlas: Atlas, warp: Warp, exposure: Exposure) -> float:
    """Greatest width of the heart over the greatest inner width of the chest, both as projected in the frontal view."""
    grid = refine_grid(coarse_grid(atlas, warp, exposure)[None], (40, 56, 192))
    labels = F.grid_sample(atlas.labels[None, None].float(), grid, mode="nearest", align_corners=True)[0, 0]
    lungs = torch.zeros_like(labels, dtype=torch.bool)
    for label in sum(LUNG_LABELS.values(), ()):
        lungs |= labels == label
    heart = torch.nonzero((labels == HEART).sum(0) > 1)[:, 1]
    chest = torch.nonzero(lungs.any(0))[:, 1]
    return float((heart.max() - heart.min() + 1) / (chest.max() - chest.min() + 1))
