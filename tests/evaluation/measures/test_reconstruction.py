from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from omnicxr.domain import Modality
from omnicxr.evaluation.measures.reconstruction import image_reconstruction, report_reconstruction, through_autoencoder
from omnicxr.evaluation.measures.uncertainty import Estimate
from omnicxr.models.inputs import network_input
from omnicxr.models.tokenizer import ReportTokenizer

REPORTS = ["Small left pleural effusion.", "No pneumothorax.", "Right lower lobe pneumonia.", "Moderate left effusion."]


class Offset:
    """Stands in for an image autoencoder: everything comes back some grey levels brighter."""

    device = torch.device("cpu")

    def __init__(self, levels: int) -> None:
        self.levels = levels

    def encode(self, x: Tensor) -> Tensor:
        return x

    def decode(self, z: Tensor) -> Tensor:
        return z + self.levels / 127.5


class Swap:
    """Stands in for a report autoencoder: some tokens come back as others."""

    device = torch.device("cpu")

    def __init__(self, swaps: dict[int, int]) -> None:
        self.swaps = swaps

    def encode(self, ids: Tensor) -> Tensor:
        return ids

    def decode(self, ids: Tensor) -> Tensor:
        out = ids.clone()
        for a, b in self.swaps.items():
            out[ids == a] = b
        return out


def pipe(**components: Any) -> Any:
    """Stands in for a pipeline of these components."""
    tokenizer = components.get("tokenizer") or ReportTokenizer.train(["clear"], vocab_size=300, max_tokens=8)
    return SimpleNamespace(network_input=lambda m, part: network_input(m, part, tokenizer), **components)


def test_psnr_of_a_known_error() -> None:
    pictures = np.random.default_rng(0).integers(20, 200, (70, 32, 32)).astype(np.uint8)

    def figures(levels: int) -> tuple[Estimate, Estimate]:
        back = through_autoencoder(pipe(image_autoencoder=Offset(levels)), Modality.FRONTAL, pictures)
        return image_reconstruction(pictures, back, np.arange(70))

    psnr, ssim = figures(8)
    assert psnr.value == pytest.approx(20 * np.log10(255 / 8), abs=1e-4)
    assert ssim.value < 1
    assert figures(0)[1].value == pytest.approx(1)


def test_changed_words_and_sides_are_counted() -> None:
    tokenizer = ReportTokenizer.train(REPORTS, vocab_size=400, max_tokens=48)

    def shares(**words: str) -> tuple[float, float]:
        swaps = {_token(tokenizer, a): _token(tokenizer, b) for a, b in words.items()}
        loss = report_reconstruction(pipe(report_autoencoder=Swap(swaps), tokenizer=tokenizer), REPORTS, np.arange(4))
        return loss.unchanged_share.value, loss.sides_kept_share.value

    assert shares() == (1, 1)
    assert shares(left="right") == (0.5, 0.5)
    assert shares(pneumonia="effusion") == (0.75, 1)


def _token(tokenizer: ReportTokenizer, word: str) -> int:
    ids = tokenizer.encode([word])[0].tolist()
    assert len(ids) == 3
    return ids[1]
