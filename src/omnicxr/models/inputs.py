"""From the parts of studies to what networks see: the one way there is, in training, sampling and measuring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from omnicxr.domain import Modality
from omnicxr.models.image_autoencoder import pixels_from_uint8
from omnicxr.models.tokenizer import ReportTokenizer


def network_input(modality: Modality, part: Sequence[Any] | np.ndarray, tokenizer: ReportTokenizer) -> Tensor:
    """uint8 pictures [b, s, s] => [b, 1, s, s] in -1..1; report texts => token ids [b, n]."""
    if modality.is_image:
        return pixels_from_uint8(torch.from_numpy(np.ascontiguousarray(np.stack(list(part)))))
    return tokenizer.encode(list(part))
