"""Line integrals through the body, and the chain from exposure to an 8-bit picture."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from omnicxr.simulation.body import Body
from omnicxr.simulation.geometry import DEPTH_MM, Warp, sampling_grid
from omnicxr.simulation.truth import Exposure

MU_WATER = 0.0185
"""Effective attenuation of water at 110-120 kVp behind a thick body, 1/mm."""
BONE_FACTOR = 2.3
"""Attenuation of bone's excess density relative to water's."""
OPEN_BEAM_PHOTONS = 5e5


def project(body: Body, warp: Warp, exposure: Exposure, image_size: int) -> Tensor:
    """Water-equivalent thickness along each ray, mm: [image_size, image_size]."""
    depth = 2 * DEPTH_MM[exposure.view.modality]
    steps = round(depth / (1.35 * body.atlas.spacing_mm))
    grid = sampling_grid(body.atlas, warp, exposure, (steps, image_size, image_size))
    attenuation = body.soft + BONE_FACTOR * body.bone
    samples = F.grid_sample(attenuation[None, None], grid[None], padding_mode="border", align_corners=True)
    return samples[0, 0].sum(0) * (depth / (steps - 1))


def develop(thickness: Tensor, exposure: Exposure, generator: torch.Generator) -> Tensor:
    """Thickness [size, size] mm => picture [size, size] uint8, as a digital radiography system would show it.

    Beer-Lambert, scatter, photon noise, log, large-scale equalisation, percentile window, toe and shoulder, unsharp mask.
    `generator` is a CPU generator.
    """
    size = thickness.shape[-1]
    primary = torch.exp(-MU_WATER * thickness)
    fluence = primary + exposure.scatter * _blur(primary.clamp(max=0.25), 0.07 * size)
    noise = torch.randn(thickness.shape, generator=generator).to(thickness.device)
    photons = OPEN_BEAM_PHOTONS * exposure.photons * (128 / size) ** 2
    fluence = (fluence + (fluence / photons).sqrt() * noise).clamp(min=1e-5)
    signal = -torch.log(fluence)

    inside = thickness > 25
    body = signal[inside] if inside.any() else signal.flatten()
    floor = torch.quantile(body, 0.02)
    signal = torch.maximum(signal, floor - 0.5)
    signal = signal - exposure.equalisation * (_blur(signal, 0.16 * size) - body.mean())
    body = signal[inside] if inside.any() else signal.flatten()
    low, high = torch.quantile(body, 0.006), torch.quantile(body, 0.994)
    tone = (signal - low) / (high - low)
    tone = tone + 0.4 * (tone - _blur(tone, 0.01 * size)) + 0.45 * (tone - _blur(tone, 0.045 * size))
    tone = 0.5 + exposure.contrast * (tone - 0.5) + exposure.brightness
    tone = _shoulder(tone)
    tone = tone * torch.sigmoid((thickness - 9) / 3)
    return (255 * tone.clamp(0, 1)).round().to(torch.uint8)


def _shoulder(tone: Tensor) -> Tensor:
    """Film-like curve: linear in the middle, toe below 0.12 and shoulder above 0.85."""
    toe = F.softplus((tone - 0.03) / 0.05) * 0.05
    over = F.softplus((toe - 0.90) / 0.06) * 0.06
    return toe - 0.85 * over


def _blur(image: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of [size, size] with mirrored borders."""
    radius = max(1, min(math.ceil(2.5 * sigma), image.shape[-1] - 1))
    x = torch.arange(-radius, radius + 1, device=image.device, dtype=image.dtype)
    kernel = torch.exp(-0.5 * (x / sigma) ** 2)
    kernel = kernel / kernel.sum()
    out = F.pad(image[None, None], (radius,) * 4, mode="reflect")
    out = F.conv2d(out, kernel[None, None, :, None])
    return F.conv2d(out, kernel[None, None, None, :])[0, 0]
