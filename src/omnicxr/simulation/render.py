"""Truth => pictures and measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from omnicxr.simulation.atlas import Atlas, load_atlas
from omnicxr.simulation.body import Body, make_body
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


BATCH = {"cpu": 1, "cuda": 16}
"""Studies of 128 px projected and developed together; of larger pictures fewer, in the same memory. One on a CPU: no
slower there, and bytes do not depend on the batch."""


@torch.no_grad()
def render(
    truths: Sequence[Truth], image_size: int, device: str = "cpu", *, batch: int | None = None
) -> list[Rendering]:
    """Render studies; each depends on its own seed alone. Findings are put in study by study, projection and exposure
    are batched."""
    size = batch or max(1, round(BATCH.get(torch.device(device).type, 1) * (128 / image_size) ** 3))
    return [r for i in range(0, len(truths), size) for r in _render_batch(truths[i : i + size], image_size, device)]


def _render_batch(truths: Sequence[Truth], image_size: int, device: str) -> list[Rendering]:
    atlas = load_atlas(image_size, device)
    bodies = [_make_body(atlas, truth) for truth in truths]
    warps = [make_warp(atlas, truth.anatomy) for truth in truths]
    views = []
    for number, exposures in enumerate(([t.frontal for t in truths], [t.lateral for t in truths])):
        thickness = project(bodies, warps, exposures, image_size=image_size)
        noise = [torch.randn(image_size, image_size, generator=_noise_rng(t, number)) for t in truths]
        views.append(develop(thickness, exposures, torch.stack(noise).to(device)).cpu())
    measures = [
        {"cardiothoracic_ratio": cardiothoracic_ratio(atlas, w, t.frontal), **t.extents()}
        for t, w in zip(truths, warps, strict=True)
    ]
    return [
        Rendering(frontal, lateral, replace(truth, measures={name: round(value, 4) for name, value in m.items()}))
        for frontal, lateral, truth, m in zip(*views, truths, measures, strict=True)
    ]


def _make_body(atlas: Atlas, truth: Truth) -> Body:
    body = make_body(atlas, truth.anatomy)
    for lesion in sorted(truth.lesions, key=lambda lesion: isinstance(lesion, Device)):
        add_lesion(body, lesion)
    return body


def _noise_rng(truth: Truth, view_number: int) -> torch.Generator:
    """Of the photon noise: always on the CPU, so that it is the same whatever device renders."""
    return torch.Generator().manual_seed(truth.anatomy.texture_seed + view_number + 2)
