"""Line integrals through the body, and the chain from exposure to an 8-bit picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from omnicxr.simulation.body import Body
from omnicxr.simulation.geometry import DEPTH_MM, Warp, coarse_grid, refine_grid
from omnicxr.simulation.truth import Exposure

MU_WATER = 0.0185
"""Effective attenuation of water at 110-120 kVp behind a thick body, 1/mm."""
BONE_FACTOR = 2.3
"""Attenuation of bone's excess density relative to water's."""
OPEN_BEAM_PHOTONS = 5e5


def project(bodies: Sequence[Body], warps: Sequence[Warp], exposures: Sequence[Exposure], *, image_size: int) -> Tensor:
    """Water-equivalent thickness along each ray, mm: [b, image_size, image_size]. All exposures are of one modality."""
    depth = 2 * DEPTH_MM[exposures[0].view.modality]
    atlas = bodies[0].atlas
    steps = round(depth / (1.35 * atlas.spacing_mm))
    coarse = torch.stack([coarse_grid(atlas, w, e) for w, e in zip(warps, exposures, strict=True)])
    attenuation = torch.stack([body.soft + BONE_FACTOR * body.bone for body in bodies])
    grid = refine_grid(coarse, (steps, image_size, image_size))
    samples = F.grid_sample(attenuation[:, None], grid, padding_mode="border", align_corners=True)
    return samples[:, 0].sum(1) * (depth / (steps - 1))


def develop(thickness: Tensor, exposures: Sequence[Exposure], noise: Tensor) -> Tensor:
    """Thickness [b, size, size] mm => pictures [b, size, size] uint8, as a digital radiography system would show them.

    Beer-Lambert, scatter, photon noise, log, large-scale equalisation, percentile window, toe and shoulder, unsharp
    mask. `noise` is white, of unit variance, shaped like `thickness`.
    """
    size = thickness.shape[-1]

    def setting(name: str) -> Tensor:
        return thickness.new_tensor([getattr(e, name) for e in exposures])[:, None, None]

    primary = torch.exp(-MU_WATER * thickness)
    fluence = primary + setting("scatter") * _blur(primary.clamp(max=0.25), 0.07 * size)
    photons = OPEN_BEAM_PHOTONS * setting("photons") * (128 / size) ** 2
    fluence = (fluence + (fluence / photons).sqrt() * noise).clamp(min=1e-5)
    signal = -torch.log(fluence)

    bodies = [t > 25 if (t > 25).any() else torch.ones_like(t, dtype=torch.bool) for t in thickness]

    def over_body(statistic: Callable[[Tensor], Tensor]) -> Tensor:
        return torch.stack([statistic(s[b]) for s, b in zip(signal, bodies, strict=True)])[:, None, None]

    floor, mean = over_body(lambda v: torch.quantile(v, 0.02)), over_body(torch.mean)
    signal = torch.maximum(signal, floor - 0.5)
    signal = signal - setting("equalisation") * (_blur(signal, 0.16 * size) - mean)
    low, high = over_body(lambda v: torch.quantile(v, 0.006)), over_body(lambda v: torch.quantile(v, 0.994))
    tone = (signal - low) / (high - low)
    tone = tone + 0.4 * (tone - _blur(tone, 0.01 * size)) + 0.45 * (tone - _blur(tone, 0.045 * size))
    tone = 0.5 + setting("contrast") * (tone - 0.5) + setting("brightness")
    tone = _shoulder(tone)
    tone = tone * torch.sigmoid((thickness - 9) / 3)
    return (255 * tone.clamp(0, 1)).round().to(torch.uint8)


def _shoulder(tone: Tensor) -> Tensor:
    """Film-like curve: linear in the middle, toe below 0.12 and shoulder above 0.85."""
    toe = F.softplus((tone - 0.03) / 0.05) * 0.05
    over = F.softplus((toe - 0.90) / 0.06) * 0.06
    return toe - 0.85 * over


def _blur(images: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of [b, size, size] with mirrored borders."""
    radius = max(1, min(math.ceil(2.5 * sigma), images.shape[-1] - 1))
    x = torch.arange(-radius, radius + 1, device=images.device, dtype=images.dtype)
    kernel = torch.exp(-0.5 * (x / sigma) ** 2)
    kernel = kernel / kernel.sum()
    out = F.pad(images[:, None], (radius,) * 4, mode="reflect")
    out = F.conv2d(out, kernel[None, None, :, None])
    return F.conv2d(out, kernel[None, None, None, :])[:, 0]
