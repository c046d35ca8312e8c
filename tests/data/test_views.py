"""Views, turns and inversion at a glance: on simulated studies, which the network was not tuned to one by one."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from omnicxr.data.images import load_image
from omnicxr.data.sources import open_source
from omnicxr.data.views import (
    INVERTED,
    REMEDIES,
    TURNED,
    Look,
    convolved,
    equalised,
    lateral_probability,
    look,
    other_view,
    predict_modality,
    what_is_wrong,
    wrong_way_round,
)
from omnicxr.domain import Modality, View

FRONTAL, LATERAL = Modality.FRONTAL, Modality.LATERAL
UPRIGHT = (1.0, 0.0, 0.0, 0.0)


@pytest.fixture(scope="module")
def films(simulated: Path) -> list[tuple[Image.Image, Modality]]:
    """Ten studies, both views."""
    refs = [ref for study in open_source("mimic-cxr-jpg", str(simulated)).studies() for ref in study.images]
    return [(load_image(ref.path, 64), (ref.view or View.PA).modality) for ref in refs[:20]]


def test_each_simulated_picture_is_seen_as_what_it_is(films) -> None:
    assert {m for _, m in films} == {FRONTAL, LATERAL}
    for grey, modality in films:
        assert predict_modality(grey) is modality
        assert what_is_wrong(grey, modality) == ""
        assert what_is_wrong(np.asarray(grey), modality) == ""
        mirrored = grey.transpose(Image.Transpose.FLIP_LEFT_RIGHT)  # laterals face either way
        assert predict_modality(mirrored) is modality


def test_the_other_view_is_named(films) -> None:
    other = {FRONTAL: LATERAL, LATERAL: FRONTAL}
    said = [what_is_wrong(grey, other[m]) == f"it looks like a {m} view: give it as the {m} one" for grey, m in films]
    assert np.mean(said) > 0.8


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turned_pictures_are_said_to_be(films, turns: int) -> None:
    clause = f"it looks {TURNED[turns]}: {REMEDIES[TURNED[turns]]}"
    said = [what_is_wrong(np.rot90(np.asarray(grey), turns), m) for grey, m in films]
    assert np.mean([s == clause for s in said]) > 0.8
    assert set(said) <= {clause, ""}


def test_inverted_pictures_are_said_to_be(films) -> None:
    clause = "it looks inverted (bone is dark): invert it"
    assert np.mean([what_is_wrong(255 - np.asarray(grey), m) == clause for grey, m in films]) > 0.8


def test_the_remedy_of_a_turn_undoes_it() -> None:
    """TURNED counts as numpy.rot90 does, PIL turns counterclockwise, too."""
    picture = np.arange(16, dtype=np.uint8).reshape(4, 4)
    degrees = {"turn it clockwise": -90, "turn it by 180 degrees": 180, "turn it counterclockwise": 90}
    for turns in (1, 2, 3):
        mended = Image.fromarray(np.rot90(picture, turns)).rotate(degrees[REMEDIES[TURNED[turns]]])
        assert np.array_equal(np.asarray(mended), picture)


def test_exposure_counts_for_nothing(films) -> None:
    """Any tone curve that keeps the order of grey levels gives the same; inversion gives the negative."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 120, (48, 48)).astype(np.uint8)
    curve = np.sort(rng.choice(256, 120, replace=False)).astype(np.uint8)
    assert np.array_equal(equalised(pixels), equalised(curve[pixels]))
    assert np.allclose(equalised(255 - pixels), -equalised(pixels), atol=1e-6)
    assert abs(float(equalised(pixels).mean())) < 1e-6
    grey, _ = films[0]
    darker = Image.fromarray(((np.asarray(grey) / 255) ** 1.5 * 255).astype(np.uint8))
    assert lateral_probability(darker) == pytest.approx(lateral_probability(grey), abs=0.1)


@pytest.mark.parametrize("stride", [1, 2])
def test_convolution_is_that_of_torch(stride: int) -> None:
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(12, 12, 3)).astype(np.float32), rng.normal(size=(5, 3, 3, 3)).astype(np.float32)
    bias = rng.normal(size=5).astype(np.float32)
    ours = convolved(x, weight.transpose(2, 3, 1, 0).reshape(27, 5), bias, stride=stride)
    theirs = F.conv2d(
        torch.from_numpy(x.transpose(2, 0, 1)), torch.from_numpy(weight), torch.from_numpy(bias), stride, 1
    )
    assert np.allclose(ours.transpose(2, 0, 1), theirs.relu().numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("seen", "wrong", "other"),
    [
        (Look(lateral=0.01, inverted=0.01, turned=UPRIGHT), "", None),
        (Look(lateral=0.6, inverted=0.5, turned=(0.6, 0.4, 0.0, 0.0)), "", None),
        (Look(lateral=0.999, inverted=0.01, turned=UPRIGHT), "", LATERAL),
        (Look(lateral=0.01, inverted=0.999, turned=UPRIGHT), INVERTED, None),
        (Look(lateral=0.01, inverted=0.999, turned=(0.0, 0.0, 1.0, 0.0)), "upside down", None),
        (Look(lateral=0.4, inverted=0.01, turned=(0.4, 0.0, 0.6, 0.0)), "", None),
    ],
)
def test_only_what_is_sure_is_said(seen: Look, wrong: str, other: Modality | None) -> None:
    assert wrong_way_round(seen) == wrong
    assert other_view(seen, FRONTAL) is other


@pytest.mark.parametrize("shape", [(64, 64), (256, 256), (48, 48)])
def test_a_blank_picture_is_no_reason_to_stop(shape: tuple[int, int]) -> None:
    seen = look(Image.new("L", shape))
    assert 0 <= seen.lateral <= 1
    assert sum(seen.turned) == pytest.approx(1)
