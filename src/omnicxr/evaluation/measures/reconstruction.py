"""What the autoencoders alone lose: the bound on everything that is generated through them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import torch

from omnicxr.domain import Modality
from omnicxr.evaluation.measures.uncertainty import Estimate, mean_estimate
from omnicxr.evaluation.text_results import ReportLoss
from omnicxr.flow.refining import refined
from omnicxr.models.image_autoencoder import pixels_from_uint8, structural_similarity, uint8_from_pixels
from omnicxr.pipeline import AnyToAnyPipeline

CHUNK = 64
_SIDE = re.compile(r"\b(left|right|bilateral)\b", re.IGNORECASE)


@torch.no_grad()
def through_autoencoder(
    pipe: AnyToAnyPipeline, view: Modality, pictures: np.ndarray, *, refine: bool = False
) -> np.ndarray:
    """uint8 pictures [n, s, s] => what comes back of them: the decoder's mean, or what the refiner makes of it."""
    back = []
    rng = torch.Generator().manual_seed(0)
    for start in range(0, len(pictures), CHUNK):
        z = pipe.image_autoencoder.encode(pipe.network_input(view, list(pictures[start : start + CHUNK])))
        mean = pipe.image_autoencoder.decode(z)
        pixels = refined(pipe.image_autoencoder, pipe.refiner, z, rngs=[rng]) if refine else mean
        back.append(uint8_from_pixels(pixels).cpu().numpy())
    return np.concatenate(back)


def image_reconstruction(pictures: np.ndarray, returned: np.ndarray, patients: np.ndarray) -> tuple[Estimate, Estimate]:
    """uint8 pictures [n, s, s] and what came back => mean PSNR (dB, of 8-bit pictures) and SSIM."""
    psnr, ssim = [], []
    for start in range(0, len(pictures), CHUNK):
        x, back = (torch.from_numpy(np.ascontiguousarray(v[start : start + CHUNK])) for v in (pictures, returned))
        error = ((back.double() - x.double()) ** 2).mean((1, 2)).clamp(min=1e-3)
        psnr.append((10 * torch.log10(255**2 / error)).numpy())
        ssim.append(structural_similarity(pixels_from_uint8(x), pixels_from_uint8(back)).numpy())
    return mean_estimate(np.concatenate(psnr), patients), mean_estimate(np.concatenate(ssim), patients)


@torch.no_grad()
def report_reconstruction(pipe: AnyToAnyPipeline, reports: Sequence[str], patients: np.ndarray) -> ReportLoss:
    """Shares of reports that come back unchanged, and whose sides (left, right, bilateral, in order) do; text as the
    tokenizer gives it."""
    unchanged, sides = [], []
    for start in range(0, len(reports), CHUNK):
        ids = pipe.network_input(Modality.REPORT, list(reports[start : start + CHUNK]))
        returned = pipe.report_autoencoder.decode(pipe.report_autoencoder.encode(ids))
        for text, back in zip(pipe.tokenizer.decode(ids), pipe.tokenizer.decode(returned), strict=True):
            unchanged.append(text == back)
            sides.append(_SIDE.findall(text) == _SIDE.findall(back))
    return ReportLoss(mean_estimate(np.array(unchanged), patients), mean_estimate(np.array(sides), patients))
