"""How different are several samples of one prompt? Mean MS-SSIM between them: 1 where the model always draws the same
picture."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import torch
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as ms_ssim

from omnicxr.domain import UserError

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of the five scales, finest first (Wang et al. 2003)."""
WINDOW = 11


def scale_weights(size_px: int) -> tuple[float, ...]:
    """As many of the five scales as fit into this size (torchmetrics' rule), weights summing to 1: five from 176 px,
    four from 99, three from 44."""
    fitting = [w for i, w in enumerate(WEIGHTS) if size_px // max(2 * i, i**2, 1) >= WINDOW]
    if not fitting:
        raise UserError(f"Pictures of {size_px} px are too small for MS-SSIM: at least {WINDOW} px are needed.")
    return tuple(w / sum(fitting) for w in fitting)


def similarity(pictures: np.ndarray) -> np.ndarray:
    """uint8 [prompts, samples, s, s] => mean MS-SSIM of all pairs of samples, per prompt [prompts].

    Gaussian window of 11 px and sigma 1.5, as usual. Raises UserError for fewer than two samples.
    """
    if pictures.shape[1] < 2:
        raise UserError("At least two samples of each prompt are needed to compare them.")
    betas = scale_weights(pictures.shape[-1])
    pairs = list(combinations(range(pictures.shape[1]), 2))
    a, b = (torch.from_numpy(pictures[:, [p[side] for p in pairs]]).float() for side in (0, 1))
    values = [
        ms_ssim(x[:, None], y[:, None], data_range=255.0, betas=betas, normalize="relu", reduction="none")
        for x, y in zip(a, b, strict=True)
    ]
    return torch.stack([torch.as_tensor(v).reshape(len(pairs)) for v in values]).mean(1).numpy()
