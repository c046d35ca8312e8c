"""One person's chest as volumes that findings edit, before deformation and projection."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from omnicxr.simulation.atlas import Atlas, Box
from omnicxr.simulation.truth import Anatomy

FAT_DENSITY, BREAST_DENSITY = 0.92, 0.97


@dataclass
class Body:
    """Editable copies of the atlas fields. Densities are relative to water."""

    atlas: Atlas
    soft: Tensor
    """[D, H, W]"""
    bone: Tensor
    """[D, H, W]"""
    rng: torch.Generator
    """Always on the CPU: a study looks the same whatever device renders it."""

    def noise(self, shape: tuple[int, ...], scale_mm: float) -> Tensor:
        """Smooth noise of about unit variance: white noise on a grid of `scale_mm`, interpolated to `shape`."""
        coarse = [max(2, int(n * self.atlas.spacing_mm / scale_mm) + 2) for n in shape]
        grid = torch.randn(coarse, generator=self.rng).to(self.soft.device)
        return 1.5 * F.interpolate(grid[None, None], size=shape, mode="trilinear", align_corners=True)[0, 0]

    def blend(self, box: Box, weight: Tensor, density: Tensor | float) -> None:
        """soft <- (1 - weight) soft + weight density, inside a box."""
        part = self.soft[box]
        part += weight * (density - part)

    def raise_to(self, box: Box, weight: Tensor, density: Tensor | float) -> None:
        """As `blend`, but nothing gets lighter: for matter that fills air."""
        part = self.soft[box]
        part += weight * (density - part).clamp(min=0)


def make_body(atlas: Atlas, anatomy: Anatomy) -> Body:
    """The healthy body of one person: habitus and lung texture applied to copies of the atlas."""
    rng = torch.Generator().manual_seed(anatomy.texture_seed)
    body = Body(atlas, atlas.soft.clone(), atlas.bone * anatomy.bone_density, rng)
    _texture_lungs(body, anatomy)
    _add_habitus(body, anatomy)
    return body


def _texture_lungs(body: Body, anatomy: Anatomy) -> None:
    """Vary the lung tissue: its density, the contrast of its vessels, patchy aeration and fine markings."""
    for lung in body.atlas.lungs.values():
        part = body.soft[lung.box]
        shape = tuple(part.shape)
        patchy = 1 + 0.10 * body.noise(shape, 45) + 0.08 * body.noise(shape, 16) + 0.10 * body.noise(shape, 6)
        base = 0.14 * anatomy.lung_density
        vessels = (part - 0.14).clamp(min=0)
        gain = anatomy.vessel_gain * (1 + 0.25 * body.noise(shape, 35)).clamp(0.4, 1.8)
        tissue = (base * patchy + gain * vessels).clamp(0.02, 1.04)
        body.blend(lung.box, lung.mask, tissue)


def _add_habitus(body: Body, anatomy: Anatomy) -> None:
    """Move the skin out (fat) or in, and add breasts on the front of the chest."""
    atlas = body.atlas
    skin = atlas.skin_mm
    if anatomy.fat_mm >= 0:
        outside = (skin <= 0.5 * atlas.spacing_mm) & (skin > -anatomy.fat_mm)
        body.soft = torch.where(outside, body.soft.clamp(min=FAT_DENSITY), body.soft)
    else:
        body.soft = torch.where(skin < -anatomy.fat_mm, torch.zeros_like(body.soft), body.soft)
    if anatomy.breast_mm <= 0:
        return
    x, y, z = atlas.axes(atlas.whole)
    depth = anatomy.breast_mm + 0.4 * max(anatomy.fat_mm, 0)
    droop = 0.6 * anatomy.breast_mm
    for sign in (-1.0, 1.0):
        z0 = -18 - droop
        below = torch.where(z < z0, 46.0, 70.0)
        radius = ((x - sign * 82) / 62) ** 2 + ((z - z0) / below) ** 2
        dome = depth * (1 - radius).clamp(min=0).sqrt()
        breast = (skin <= 0.5 * atlas.spacing_mm) & (skin > -dome) & (y > 20)
        body.soft = torch.where(breast, body.soft.clamp(min=BREAST_DENSITY), body.soft)
