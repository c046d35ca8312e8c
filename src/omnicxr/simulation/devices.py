"""Support devices: thin dense tubes along smooth paths through anatomical landmarks, and the pacemaker's can."""

from __future__ import annotations

import numpy as np
import torch
from scipy.interpolate import CubicSpline
from torch import Tensor

from omnicxr.simulation.atlas import ESOPHAGUS, STOMACH, SVC, TRACHEA
from omnicxr.simulation.body import Body
from omnicxr.simulation.truth import Device

TUBE_MM2 = {"lead": 15.0, "catheter": 13.0, "tube": 26.0}
"""Density excess times cross-section, mm^2 of water: how white a tube is, at any resolution."""


def add_device(body: Body, device: Device) -> None:
    """Put a device into the body; raises KeyError for a kind that is not in `DEVICE_KINDS`."""
    _BUILDERS[device.kind](body, 1.0 if device.side == "left" else -1.0)


def _jitter(body: Body, points: list[list[float]], mm: float) -> Tensor:
    base = torch.tensor(points)
    return base + mm * torch.randn(base.shape, generator=body.rng).clamp(-1.5, 1.5)


def _splat_tube(body: Body, points: Tensor, kind: str) -> None:
    """Add a tube along a spline through `points` [n, 3] mm: mass spread over the 8 nearest voxels of each sample."""
    atlas = body.atlas
    knots = points.double().cpu().numpy()
    at = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(knots, axis=0), axis=1))])
    step = atlas.spacing_mm / 2
    path = torch.from_numpy(CubicSpline(at, knots)(np.arange(0, at[-1], step))).float()
    voxel = ((path - atlas.origin_mm.cpu()) / atlas.spacing_mm).flip(-1)
    shape = torch.tensor(body.soft.shape)
    voxel = voxel[((voxel >= 0) & (voxel < shape - 1)).all(-1)]
    base = voxel.floor().long()
    part = voxel - base
    mass = TUBE_MM2[kind] * step / atlas.spacing_mm**3
    flat = torch.zeros(body.soft.numel())
    for corner in range(8):
        offset = torch.tensor([corner >> 2 & 1, corner >> 1 & 1, corner & 1])
        weight = torch.where(offset.bool(), part, 1 - part).prod(-1)
        index = base + offset
        flat.index_add_(0, (index[:, 0] * shape[1] + index[:, 1]) * shape[2] + index[:, 2], weight * mass)
    body.bone += flat.view(body.soft.shape).to(body.bone.device)


def _superior_vena_cava(body: Body) -> list[list[float]]:
    return body.atlas.centreline_mm(SVC, 3).cpu().tolist()


def _pacemaker(body: Body, sign: float) -> None:
    """Can under the skin below the clavicle; one or two leads through the superior vena cava to the right heart."""
    atlas = body.atlas
    cx, cz = sign * 92.0, 92.0
    x, y, z = atlas.axes(atlas.whole)
    dx, dz = (x - cx) / 20, (z - cz) / 17
    face = torch.sigmoid((1 - (dx.abs() ** 3 + dz.abs() ** 3) ** (1 / 3)) / 0.06)
    depth = torch.sigmoid((4.5 - (atlas.skin_mm - 9).abs()) / 0.8) * (y > 0)
    body.bone += 2.0 * face * depth
    ix = int((cx - float(atlas.origin_mm[0])) / atlas.spacing_mm)
    iz = int((cz - float(atlas.origin_mm[2])) / atlas.spacing_mm)
    near_skin = torch.nonzero((atlas.skin_mm[iz, :, ix] - 9).abs() < max(3.0, 1.2 * atlas.spacing_mm))[:, 0].max()
    cy = float(near_skin) * atlas.spacing_mm + float(atlas.origin_mm[1])
    hx, hy, hz = atlas.heart_mm.tolist()
    vein = _superior_vena_cava(body)
    entry = [[cx, cy, cz + 12], [sign * 70.0, cy - 14, cz + 26], [sign * 34.0, 6.0, 104.0]]
    apex = [[hx - 38, hy + 2, hz - 14], [hx - 8, hy + 22, hz - 40], [hx + 28, hy + 30, hz - 38]]
    atrium = [[hx - 46, hy + 8, hz - 4], [hx - 44, hy + 26, hz + 16]]
    for end in (apex, atrium) if float(torch.rand(1, generator=body.rng)) < 0.6 else (apex,):
        _splat_tube(body, _jitter(body, entry + vein + end, 2.5), "lead")


def _central_line(body: Body, sign: float) -> None:
    vein = _superior_vena_cava(body)
    depth = int(torch.randint(2, 4, (1,), generator=body.rng))
    neck = [[sign * 44.0, 22.0, 168.0], [sign * 38.0, 20.0, 140.0], [sign * 26.0, 12.0, 112.0]]
    _splat_tube(body, _jitter(body, neck + vein[:depth], 2.0), "catheter")


def _endotracheal_tube(body: Body, sign: float) -> None:
    line = body.atlas.centreline_mm(TRACHEA, 6).cpu()
    top = line[0] + torch.tensor([0.0, 6.0, 45.0])
    end = 3 + int(torch.randint(0, 2, (1,), generator=body.rng))
    _splat_tube(body, torch.cat([top[None], line[:end]]), "tube")


def _nasogastric_tube(body: Body, sign: float) -> None:
    line = body.atlas.centreline_mm(ESOPHAGUS, 6).cpu()
    stomach = body.atlas.centre_mm(STOMACH).cpu()
    top = line[0] + torch.tensor([0.0, 4.0, 45.0])
    fundus = stomach + torch.tensor([8.0, -8.0, 22.0])
    _splat_tube(body, torch.cat([top[None], line, fundus[None], stomach[None]]), "catheter")


def _chest_tube(body: Body, sign: float) -> None:
    rise = 30 * float(torch.rand(1, generator=body.rng))
    path = [
        [sign * 175, 6.0, -62.0],
        [sign * 128, 2.0, -44.0],
        [sign * 104, -12.0, 0.0],
        [sign * 84, -20.0, 46.0 + rise],
        [sign * 66, -22.0, 72.0 + rise],
    ]
    _splat_tube(body, _jitter(body, path, 3.0), "tube")


_BUILDERS = {
    "pacemaker": _pacemaker,
    "central line": _central_line,
    "endotracheal tube": _endotracheal_tube,
    "nasogastric tube": _nasogastric_tube,
    "chest tube": _chest_tube,
}
