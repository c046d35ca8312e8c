"""What trunks are given: of those that are not trained, every picture's features, worked out once."""

from pathlib import Path

import numpy as np
import pytest
import torch

from omnicxr.data.dataset import PreparedDataset
from omnicxr.domain import IMAGE_MODALITIES, Modality
from omnicxr.models.efficientnet import GRID, grid_features
from omnicxr.models.inputs import network_input
from omnicxr.models.judge import Judge, JudgeConfig
from omnicxr.models.tokenizer import ReportTokenizer
from omnicxr.training import trunk_inputs
from omnicxr.training.trunk_inputs import TrunkInputs
from tests.data.test_rows import several

__all__ = ["several"]
CPU = torch.device("cpu")
FRONTAL, LATERAL, REPORT = Modality.FRONTAL, Modality.LATERAL, Modality.REPORT


def judge(trunk: str) -> Judge:
    return Judge(JudgeConfig(vocab_size=320, max_tokens=16, image_channels=(8,), image_trunk=trunk))  # type: ignore[arg-type]


@pytest.fixture
def tokenizer() -> ReportTokenizer:
    return ReportTokenizer.train(["The heart is large.", "Clear lungs."], vocab_size=320, max_tokens=16)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Instead of the network of features: a few pixels of a picture, repeated. The means of the pictures it was
    given."""
    given = list[float]()

    def features(x: torch.Tensor) -> torch.Tensor:
        given.extend(float(v) for v in x.mean((1, 2, 3)))
        return x[:, 0, 20, 28:36].repeat(1, GRID // 8)

    monkeypatch.setattr(trunk_inputs, "grid_features", features)
    return given


def test_features_are_those_of_the_pictures(several: Path, tokenizer: ReportTokenizer) -> None:
    data = PreparedDataset(several, "train")
    inputs = TrunkInputs(data, judge("imagenet"), tokenizer=tokenizer, device=CPU)
    rows = data.having(*Modality)
    found = inputs(rows, (FRONTAL, REPORT))
    pictures = network_input(FRONTAL, data.images(FRONTAL, rows), tokenizer)
    assert torch.allclose(found[FRONTAL], grid_features(pictures), rtol=1e-3, atol=1e-3)
    assert torch.equal(found[REPORT], tokenizer.encode([data.reports[i] for i in rows]))


def test_every_picture_is_seen_once(prepared: Path, tokenizer: ReportTokenizer, seen: list[float]) -> None:
    data = PreparedDataset(prepared, "train")
    inputs = TrunkInputs(data, judge("imagenet"), tokenizer=tokenizer, device=CPU)
    first = inputs(np.array([5, 2, 5]), (FRONTAL,))[FRONTAL]
    assert len(seen) == 2 and torch.equal(first[0], first[2]) and not torch.equal(first[0], first[1])
    inputs.set_statistics()
    assert len(seen) == len(data.having(FRONTAL)) + len(data.having(LATERAL))
    again = inputs(np.array([5, 2, 5]), (FRONTAL, LATERAL))
    assert len(seen) == len(set(seen)) == len(data.having(FRONTAL)) + len(data.having(LATERAL))
    assert torch.equal(again[FRONTAL], first)


def test_of_several_pictures_the_drawn_one(several: Path, tokenizer: ReportTokenizer, seen: list[float]) -> None:
    data = PreparedDataset(several, "train")
    inputs = TrunkInputs(data, judge("imagenet"), tokenizer=tokenizer, device=CPU)
    rows = data.having(FRONTAL)
    for seed in range(20):
        places = data.drawn(rows, FRONTAL, np.random.default_rng(seed))
        wanted = network_input(FRONTAL, data.images(FRONTAL, places), tokenizer)[:, 0, 20, 28:36]
        found = inputs(rows, (FRONTAL,), rng=np.random.default_rng(seed))[FRONTAL]
        assert torch.allclose(found[:, :8], wanted, atol=1e-3)
    assert len(seen) == len(data.places(FRONTAL)), "further pictures have features of their own"


def test_statistics_are_mean_and_spread_of_training_pictures(
    prepared: Path, tokenizer: ReportTokenizer, seen: list[float]
) -> None:
    data, network = PreparedDataset(prepared, "train"), judge("imagenet")
    TrunkInputs(data, network, tokenizer=tokenizer, device=CPU).set_statistics()
    for m in IMAGE_MODALITIES:
        pixels = data.images(m)[:, 20, 28:36] / 127.5 - 1
        trunk = network.pretrained[m]
        np.testing.assert_allclose(trunk.mean[:8], pixels.mean(0), atol=1e-3)
        np.testing.assert_allclose(trunk.std[:8], pixels.std(0) + 1e-2, atol=1e-3)
    assert not torch.equal(network.pretrained[FRONTAL].mean, network.pretrained[LATERAL].mean)


def test_trunks_that_are_trained_get_pictures(prepared: Path, tokenizer: ReportTokenizer, seen: list[float]) -> None:
    data = PreparedDataset(prepared, "train")
    inputs = TrunkInputs(data, judge("own"), tokenizer=tokenizer, device=CPU)
    inputs.set_statistics()
    found = inputs(np.array([1, 4]), tuple(Modality), rng=np.random.default_rng(0))
    parts = data.parts(np.array([1, 4]), tuple(Modality), rng=np.random.default_rng(0))
    assert found.keys() == parts.keys() and seen == []
    assert all(torch.equal(x, network_input(m, parts[m], tokenizer)) for m, x in found.items())
