import numpy as np
import pytest
import torch
from torch.nn.functional import avg_pool2d, conv2d

from omnicxr.domain import UserError
from omnicxr.evaluation.measures.diversity import WEIGHTS, scale_weights, similarity

RNG = np.random.default_rng(0)


def textbook(a: np.ndarray, b: np.ndarray, weights: tuple[float, ...]) -> float:
    """MS-SSIM of two pictures, written out (Wang et al. 2003, eq. 7), windows within the picture only."""
    x, y = (torch.from_numpy(p).double()[None, None] for p in (a, b))
    g = torch.exp(-((torch.arange(11).double() - 5) ** 2) / (2 * 1.5**2))
    window = torch.outer(g, g)[None, None] / g.sum() ** 2
    c1, c2, value = (0.01 * 255) ** 2, (0.03 * 255) ** 2, 1.0
    for i, w in enumerate(weights):
        mx, my, mxx, myy, mxy = (conv2d(v, window) for v in (x, y, x * x, y * y, x * y))
        contrast = (2 * (mxy - mx * my) + c2) / (mxx - mx**2 + myy - my**2 + c2)
        light = (2 * mx * my + c1) / (mx**2 + my**2 + c1)
        term = (light * contrast if i == len(weights) - 1 else contrast).mean()
        value *= float(term.clamp(min=0)) ** w
        x, y = avg_pool2d(x, 2), avg_pool2d(y, 2)
    return value


@pytest.mark.parametrize("size", [64, 128, 192])
def test_agrees_with_the_formula(size: int) -> None:
    base = RNG.normal(128, 50, (2, size // 8, size // 8)).repeat(8, 1).repeat(8, 2)
    pictures = np.stack([base + RNG.normal(0, 25, base.shape) for _ in range(3)], axis=1).clip(0, 255).astype(np.uint8)
    weights = scale_weights(size)
    expected = [np.mean([textbook(p[i], p[j], weights) for i, j in ((0, 1), (0, 2), (1, 2))]) for p in pictures]
    assert similarity(pictures) == pytest.approx(expected, abs=0.02)
    assert 0.2 < expected[0] < 0.95


def test_equal_samples_and_ever_more_different_ones() -> None:
    base = RNG.normal(128, 40, (1, 1, 12, 12)).repeat(8, 2).repeat(8, 3)
    values = [
        float(similarity((base + RNG.normal(0, s, (1, 4, 96, 96))).clip(0, 255).astype(np.uint8))[0])
        for s in (0, 10, 30, 90)
    ]
    assert values[0] == pytest.approx(1, abs=1e-3)
    assert values == sorted(values, reverse=True)
    flat = np.full((2, 2, 96, 96), 90, np.uint8)
    assert similarity(flat) == pytest.approx([1, 1], abs=1e-3)


def test_scales_fit_the_picture() -> None:
    assert scale_weights(256) == pytest.approx(WEIGHTS, abs=2e-4)
    assert [len(scale_weights(s)) for s in (11, 22, 44, 98, 99, 175, 176)] == [1, 2, 3, 3, 4, 4, 5]
    assert sum(scale_weights(64)) == pytest.approx(1)
    with pytest.raises(UserError, match="too small"):
        scale_weights(8)
    with pytest.raises(UserError, match="two samples"):
        similarity(np.zeros((3, 1, 64, 64), np.uint8))
