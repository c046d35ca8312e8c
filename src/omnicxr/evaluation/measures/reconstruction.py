"""What the autoencoders alone lose: the bound on everything that is generated through them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from omnicxr.evaluation.measures.uncertainty import mean_estimate
from omnicxr.flow.refining import refined
from omnicxr.models.image_autoencoder import (
    ImageAutoencoder,
    pixels_from_uint8,
    structural_similarity,
    uint8_from_pixels,
)
from omnicxr.models.refiner import Refiner
from omnicxr.models.report_autoencoder import ReportAutoencoder
from omnicxr.models.tokenizer import ReportTokenizer

CHUNK = 64
_SIDE = re.compile(r"\b(left|right|bilateral)\b", re.IGNORECASE)


@torch.no_grad()
def through_autoencoder(
    autoencoder: ImageAutoencoder, pictures: np.ndarray, refiner: Refiner | None = None
) -> np.ndarray:
    """uint8 pictures [n, s, s] => what comes back of them, the decoder's mean, or what a refiner makes of it."""
    back = []
    generator = torch.Generator().manual_seed(0)
    for start in range(0, len(pictures), CHUNK):
        x = torch.from_numpy(pictures[start : start + CHUNK]).to(autoencoder.device)
        z = autoencoder.encode(pixels_from_uint8(x))
        y = refined(autoencoder, refiner, z, 0.0, [generator]) if refiner else autoencoder.decode(z)
        back.append(uint8_from_pixels(y).cpu().numpy())
    return np.concatenate(back)


def image_reconstruction(pictures: np.ndarray, returned: np.ndarray, patients: np.ndarray) -> dict[str, Any]:
    """uint8 pictures [n, s, s] and what came back => mean PSNR (dB, of 8-bit pictures) and SSIM, with intervals over
    patients."""
    psnr, ssim = [], []
    for start in range(0, len(pictures), CHUNK):
        x, back = (torch.from_numpy(np.ascontiguousarray(v[start : start + CHUNK])) for v in (pictures, returned))
        error = ((back.double() - x.double()) ** 2).mean((1, 2)).clamp(min=1e-3)
        psnr.append((10 * torch.log10(255**2 / error)).numpy())
        ssim.append(structural_similarity(pixels_from_uint8(x), pixels_from_uint8(back)).numpy())
    return {
        "psnr": mean_estimate(np.concatenate(psnr), patients).json(),
        "ssim": mean_estimate(np.concatenate(ssim), patients).json(),
    }


@torch.no_grad()
def report_reconstruction(
    autoencoder: ReportAutoencoder, tokenizer: ReportTokenizer, reports: Sequence[str], patients: np.ndarray
) -> dict[str, Any]:
    """Shares of reports that come back unchanged, and whose sides (left, right, bilateral, in order) do; text as the
    tokenizer gives it."""
    unchanged, sides = [], []
    for start in range(0, len(reports), CHUNK):
        ids = tokenizer.encode(list(reports[start : start + CHUNK])).to(autoencoder.device)
        for text, back in zip(
            tokenizer.decode(ids), tokenizer.decode(autoencoder.decode(autoencoder.encode(ids))), strict=True
        ):
            unchanged.append(text == back)
            sides.append(_SIDE.findall(text) == _SIDE.findall(back))
    return {
        "unchanged_share": mean_estimate(np.array(unchanged), patients).json(),
        "sides_kept_share": mean_estimate(np.array(sides), patients).json(),
    }
