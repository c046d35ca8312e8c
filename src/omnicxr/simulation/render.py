"""Truth => pictures and measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from omnicxr.domain import Modality
from omnicxr.simulation.atlas import load_atlas
from omnicxr.simulation.body import make_body
from omnicxr.simulation.geometry import cardiothoracic_ratio, make_warp
from omnicxr.simulation.lesions import add_lesion
from omnicxr.simulation.projection import develop, project
from omnicxr.simulation.truth import Device, Truth


@dataclass(frozen=True)
class Rendering:
    """The two views as uint8 [size, size] on the CPU, and the truth with its measures filled in."""

    frontal: Tensor
    lateral: Tensor
    truth: Truth


@torch.no_grad()
def render(truths: Sequence[Truth], image_size: int, device: str = "cpu") -> list[Rendering]:
    """Render studies one after the other on one device; each depends on its own seed alone."""
    return [_render_one(truth, image_size, device) for truth in truths]


def _render_one(truth: Truth, image_size: int, device: str) -> Rendering:
    atlas = load_atlas(image_size, device)
    body = make_body(atlas, truth.anatomy)
    warp = make_warp(atlas, truth.anatomy)
    for lesion in sorted(truth.lesions, key=lambda lesion: isinstance(lesion, Device)):
        add_lesion(body, lesion)
    views = {}
    for exposure in (truth.frontal, truth.lateral):
        generator = torch.Generator().manual_seed(truth.anatomy.texture_seed + len(views) + 2)
        thickness = project(body, warp, exposure, image_size)
        views[exposure.view.modality] = develop(thickness, exposure, generator).cpu()
    measures = {"cardiothoracic_ratio": cardiothoracic_ratio(atlas, warp, truth.frontal), **truth.extents()}
    measures = {name: round(value, 4) for name, value in measures.items()}
    return Rendering(views[Modality.FRONTAL], views[Modality.LATERAL], replace(truth, measures=measures))
