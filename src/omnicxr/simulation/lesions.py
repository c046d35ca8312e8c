"""Findings as edits of the body's density, so that every view of the study shows them by construction."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from omnicxr.simulation.atlas import FIRST_RIB, Box, box_around
from omnicxr.simulation.body import Body
from omnicxr.simulation.devices import add_device
from omnicxr.simulation.truth import (
    LOBE_LABELS,
    Atelectasis,
    Cardiomegaly,
    Consolidation,
    Device,
    Edema,
    Effusion,
    Lesion,
    Nodule,
    Pneumothorax,
    RibFracture,
    WideMediastinum,
)

FLUID, TISSUE, AIR = 1.02, 1.04, 0.003
SIDE_SIGN = {"left": 1.0, "right": -1.0}


def add_lesion(body: Body, lesion: Lesion) -> None:
    """Put one finding into the body. Heart size and mediastinal width are shapes: `geometry` makes them."""
    match lesion:
        case Effusion():
            _add_effusion(body, lesion)
        case Pneumothorax():
            _add_pneumothorax(body, lesion)
        case Consolidation():
            _add_consolidation(body, lesion)
        case Nodule():
            _add_nodule(body, lesion)
        case Atelectasis():
            _add_atelectasis(body, lesion)
        case Edema():
            _add_edema(body, lesion)
        case RibFracture():
            _add_fracture(body, lesion)
        case Device():
            add_device(body, lesion)
        case Cardiomegaly() | WideMediastinum():
            pass


def _add_effusion(body: Body, lesion: Effusion) -> None:
    """Fluid under a surface that rises towards the lateral and posterior chest wall (the meniscus)."""
    lung = body.atlas.lungs[lesion.side]
    x, y, z = body.atlas.axes(lung.box)
    shape = tuple(lung.mask.shape)
    height = float(lung.high[2] - lung.low[2])
    lateral = ((x * SIDE_SIGN[lesion.side]) / 110).clamp(0, 1)
    posterior = (-y / 80).clamp(0, 1)
    rise = (14 + 34 * lateral + 26 * posterior) * torch.exp(-lung.pleura_mm / 11)
    surface = lung.low[2] + lesion.level * height + rise + 2.5 * body.noise(shape, 40)
    fluid = torch.sigmoid((surface - z) / 2.5) * lung.mask
    above = 0.22 * torch.exp(-(z - surface).clamp(min=0) / 26) * lung.mask
    body.raise_to(lung.box, above, TISSUE)
    body.raise_to(lung.box, fluid, FLUID)


def _add_pneumothorax(body: Body, lesion: Pneumothorax) -> None:
    """Shrink the lung towards its hilum; air and a thin pleural line take the place it leaves."""
    atlas, lung = body.atlas, body.atlas.lungs[lesion.side]
    x, y, z = atlas.axes(lung.box)
    keep = 1 - lesion.collapse
    factors = (keep, keep**0.75, keep**0.6)
    shape = lung.mask.shape
    grid = torch.stack(
        [
            ((h + (p - h) / f).expand(shape) - (p.min())) / (p.max() - p.min()) * 2 - 1
            for p, h, f in zip((x, y, z), lung.hilum, factors, strict=True)
        ],
        dim=-1,
    )
    source = torch.stack([body.soft[lung.box], lung.mask])[None]
    tissue, inside = F.grid_sample(source, grid[None], padding_mode="zeros", align_corners=True)[0]
    denser = (tissue / keep**1.2).clamp(max=TISSUE)
    line = torch.exp(-(((inside - 0.5) / 0.28) ** 2)) * 0.55
    body.blend(lung.box, lung.mask, inside * denser + (1 - inside) * AIR + line)


def _lobe(body: Body, name: str) -> tuple[Box, Tensor, tuple[Tensor, Tensor, Tensor]]:
    """The lobe's bounding box, its soft mask [d, h, w] and the coordinates over the box."""
    mask = body.atlas.labels == LOBE_LABELS[name]
    box = box_around(mask)
    smooth = F.avg_pool3d(mask[box][None].float(), 3, 1, 1, count_include_pad=False)[0]
    return box, smooth, body.atlas.axes(box)


def _centre_in(axes: tuple[Tensor, Tensor, Tensor], mask: Tensor, place: tuple[float, float, float]) -> list[float]:
    """The voxel of the mask that is nearest to a relative place in its box, mm."""
    x, y, z = axes
    want = [float(p.min() + f * (p.max() - p.min())) for p, f in zip((x, y, z), place, strict=True)]
    far = (x - want[0]) ** 2 + (y - want[1]) ** 2 + (z - want[2]) ** 2
    far = torch.where(mask > 0.9, far, torch.full_like(far, 1e9))
    k, j, i = (int(v) for v in torch.unravel_index(far.argmin(), far.shape))
    return [float(x[0, 0, i]), float(y[0, j, 0]), float(z[k, 0, 0])]


def _add_consolidation(body: Body, lesion: Consolidation) -> None:
    """An ellipsoid with a ragged edge, dense as the lesion says, stopped by the border of its lobe."""
    box, lobe, (x, y, z) = _lobe(body, lesion.lobe)
    cx, cy, cz = _centre_in((x, y, z), lobe, lesion.centre)
    shape = tuple(lobe.shape)
    squash = 1 + 0.2 * torch.randn(3, generator=body.rng).clamp(-1, 1)
    sx, sy, sz = (float(s) * lesion.radius_mm for s in squash)
    r = (((x - cx) / sx) ** 2 + ((y - cy) / sy) ** 2 + ((z - cz) / sz) ** 2).sqrt()
    edge = 1 - r + 0.26 * body.noise(shape, 20) + 0.12 * body.noise(shape, 8)
    texture = (1 + 0.16 * body.noise(shape, 9)).clamp(0.5, 1.1)
    body.raise_to(box, torch.sigmoid(edge / 0.1) * lobe, (lesion.density * texture).clamp(max=TISSUE))


def _add_nodule(body: Body, lesion: Nodule) -> None:
    box, lobe, (x, y, z) = _lobe(body, lesion.lobe)
    cx, cy, cz = _centre_in((x, y, z), lobe, lesion.centre)
    r = ((x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2).sqrt()
    radius = lesion.diameter_mm / 2 * (1 + 0.07 * body.noise(tuple(lobe.shape), 12))
    lung = body.soft[box] < 0.9
    body.raise_to(box, torch.sigmoid((radius - r) / 1.1) * (lung | (lobe > 0.3)), TISSUE)


def _add_atelectasis(body: Body, lesion: Atelectasis) -> None:
    """Thin tilted plates of collapsed lung near the base, with a slight haze beneath them."""
    lung = body.atlas.lungs[lesion.side]
    x, y, z = body.atlas.axes(lung.box)
    cx = float(lung.low[0] + lung.high[0]) / 2
    floor = -62.0
    for plate in range(lesion.plates):
        u = torch.rand(5, generator=body.rng).tolist()
        slope_x, slope_y = (u[0] - 0.5) * 0.7, (u[1] - 0.5) * 0.5
        px, py, pz = cx + (u[2] - 0.5) * 40, -28 + (u[3] - 0.5) * 50, floor + 20 * plate + 12 * u[4]
        height = z - pz - slope_x * (x - px) - slope_y * (y - py) - 3 * torch.cos((x - px) / 18)
        ragged = 0.3 * body.noise(tuple(lung.mask.shape), 18)
        reach = (((x - px) / 42) ** 2 + ((y - py) / 48) ** 2).sqrt() + ragged
        sheet = torch.exp(-((height / (0.6 * lesion.thickness_mm)) ** 2)) * torch.sigmoid((1 - reach) / 0.12)
        haze = 0.10 * torch.sigmoid((1 - reach) / 0.2) * torch.exp(-((height / 16) ** 2))
        body.raise_to(lung.box, (0.75 * sheet + haze).clamp(max=1) * lung.mask, 0.9 * TISSUE)


def _add_edema(body: Body, lesion: Edema) -> None:
    """Perihilar haze, thickened vessels and interstitial markings, heavier in the lower lungs."""
    for lung in body.atlas.lungs.values():
        x, y, z = body.atlas.axes(lung.box)
        shape = tuple(lung.mask.shape)
        hx, hy, hz = lung.hilum
        r = (((x - hx) / 70) ** 2 + ((y - hy) / 75) ** 2 + ((z - hz + 15) / 85) ** 2).sqrt()
        wings = torch.exp(-(r**2)) + 0.25 * torch.exp(-(z - lung.low[2]).clamp(min=0) / 90)
        fluffy = (1 + 0.45 * body.noise(shape, 22) + 0.35 * body.noise(shape, 9)).clamp(0.1, 2.2)
        lines = body.noise(shape, 5).clamp(min=0.4) - 0.4
        s = lesion.severity
        tissue = body.soft[lung.box]
        vessels = (tissue - 0.25).clamp(min=0) * (0.5 + 0.7 * s)
        added = s * wings * (0.30 * fluffy + 0.22 * lines) + 0.05 * s * lines + vessels
        body.blend(lung.box, lung.mask, (tissue + 0.06 * s + added).clamp(max=TISSUE))


def _add_fracture(body: Body, lesion: RibFracture) -> None:
    """Break neighbouring ribs on their lateral arc: a gap, a step of the front part, callus around it."""
    atlas = body.atlas
    sign = SIDE_SIGN[lesion.side]
    angle = math.radians(-18 + 36 * float(torch.rand(1, generator=body.rng)))
    for n in range(lesion.first_rib, lesion.first_rib + lesion.count):
        rib = atlas.labels == FIRST_RIB[lesion.side] + n
        box = box_around(rib, round(14 / atlas.spacing_mm))
        x, y, z = atlas.axes(box)
        around = F.max_pool3d(rib[box][None].float(), 3, 1, 1)[0]
        along = (y * math.cos(angle) - (x * sign - 100) * math.sin(angle)).expand(around.shape)
        bone = body.bone[box]
        own = bone * around
        front = torch.sigmoid(along / 1.0)
        steps = [round(v / atlas.spacing_mm) for v in (-7.0, 0.0, 6.0 * sign)]
        moved = torch.roll(own * front, steps, (0, 1, 2))
        gap = 1 - torch.exp(-((along / 3.0) ** 2))
        lateral = (x * sign > 30) & around.bool()
        cut = torch.nonzero(lateral & (along.abs() < 3))
        if len(cut) == 0:
            continue
        cz, cy, cx = cut.float().mean(0)
        at = (x[0, 0, int(cx)], y[0, int(cy), 0], z[int(cz), 0, 0])
        r2 = sum((p - c) ** 2 for p, c in zip((x, y, z), at, strict=True))
        callus = 0.45 * torch.exp(-r2 / 8.0**2)  # type: ignore[operator]
        body.bone[box] = bone - own + own * (1 - front) * gap + moved * gap + callus
