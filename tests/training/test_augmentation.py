"""Versions of pictures, against scipy's interpolation and by what must not change."""

import numpy as np
import pytest
import torch
from scipy.ndimage import affine_transform

from omnicxr.training import augmentation
from omnicxr.training.augmentation import GAIN, OFFSET, SHIFT, ZOOM, version

SIZE = 48


def film(seed: int = 0) -> np.ndarray:
    """uint8 [1, 48, 48]: smooth grey on black, nowhere 0 inside."""
    coarse = torch.rand(1, 1, 6, 6, generator=torch.Generator().manual_seed(seed))
    inside = torch.nn.functional.interpolate(coarse, size=(SIZE - 12, SIZE - 12), mode="bilinear")
    return (255 * torch.nn.functional.pad(0.2 + 0.6 * inside, (6, 6, 6, 6))).round().byte()[0].numpy()


@pytest.mark.parametrize(
    "drawn",
    [(1, 0, 0, 0, 0), (-1, 0, 0, 0, 0), (0, 1, -1, 0, 0), (0, 0, 0, 1, -1), (0.5, -0.3, 0.8, -0.7, 1)],
    ids=["smaller", "larger", "moved", "exposed", "all"],
)
def test_a_version_is_what_scipy_makes_of_it(drawn: tuple[float, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Pixel i lies at (2 i + 1) / size - 1; where nothing was, the film is black."""
    monkeypatch.setattr(augmentation, "_drawn", lambda seed: torch.tensor(drawn, dtype=torch.float32))
    picture = film()
    zoom, across, down, gain, offset = drawn
    scale, centre = 1 + ZOOM * zoom, (SIZE - 1) / 2
    moved = np.array([SHIFT * down * SIZE, SHIFT * across * SIZE])
    placed = affine_transform(
        picture[0] / 255, [scale, scale], offset=centre * (1 - scale) + moved, order=1, mode="grid-constant"
    )
    exposed = np.clip((placed - 0.5) * (1 + GAIN * gain) + 0.5 + OFFSET * offset, 0, 1)
    wanted = 255 * np.where(placed == 0, 0, exposed)
    found = version(picture, np.array([3]), number=1)
    assert found.dtype == np.uint8
    apart = np.abs(found[0] - wanted)
    assert apart.max() <= 12 and np.quantile(apart, 0.99) <= 1, "a rim may be black here and next to black there"
    assert np.abs(found[0] - picture[0].astype(float)).mean() > 1, "or the test above says nothing"


def test_versions_follow_from_place_and_number_alone() -> None:
    pictures, places = np.concatenate([film(i) for i in range(3)]), np.array([4, 0, 11])
    assert np.array_equal(version(pictures, places, number=0), pictures)
    second = version(pictures, places, number=2)
    assert np.array_equal(version(pictures, places, number=2), second)
    for i in range(3):
        assert np.array_equal(version(pictures[i : i + 1], places[i : i + 1], number=2)[0], second[i])
    same = np.concatenate([film()] * 3)
    among = [*version(same, places, number=1), *version(same, places, number=2)]
    assert len({v.tobytes() for v in among}) == 6


def test_nothing_is_mirrored_moved_far_or_lit_where_the_film_is_black() -> None:
    """A bright spot above and left of the middle stays about where it is, in every version."""
    picture = np.zeros((1, SIZE, SIZE), np.uint8)
    picture[0, 8:14, 12:18] = 200
    for number in range(1, 33):
        found = version(picture, np.array([7]), number=number)[0].astype(float)
        y, x = ((np.indices(found.shape) * found).sum((1, 2)) / found.sum()).round(3)
        assert abs(y - 10.5) <= SIZE * (SHIFT + ZOOM / 2) and abs(x - 14.5) <= SIZE * (SHIFT + ZOOM / 2)
        assert not found[:, 30:].any() and not found[30:].any(), "black stays black, however bright the version"
        assert abs(found.max() - 200) <= 255 * (OFFSET + GAIN / 2) + 1
