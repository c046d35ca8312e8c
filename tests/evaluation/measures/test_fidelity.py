"""Distances against independent implementations, on ordinary and on degenerate features; and that they notice what they
should."""

import numpy as np
import pytest
import torch
from prdc import compute_prdc
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kernel_mmd

from omnicxr.domain import UserError
from omnicxr.evaluation.measures import fidelity
from omnicxr.evaluation.measures.fidelity import (
    frechet_distance,
    kernel_distance,
    manifold,
    mean_distance,
    nearest_distance,
)


def features(seed: int, n: int, d: int, shift: float = 0.0, scale: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mix = np.random.default_rng(99).normal(size=(d, d)) / np.sqrt(d)
    return (rng.normal(size=(n, d)) * np.linspace(0.2, 2, d) @ mix * scale + shift).astype(np.float32)


@pytest.mark.parametrize(("n", "m", "d"), [(400, 300, 20), (300, 300, 64), (120, 90, 200)])
def test_frechet_distance_agrees_with_torch_fidelity(n: int, m: int, d: int) -> None:
    a, b = features(0, n, d), features(1, m, d, shift=0.1, scale=1.2)
    statistics = [fid_features_to_statistics(torch.from_numpy(v.astype(np.float64))) for v in (a, b)]
    theirs = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert frechet_distance(a, b) == pytest.approx(theirs, rel=1e-3, abs=2e-3)


def test_frechet_distance_in_closed_form() -> None:
    a = features(0, 500, 8).astype(np.float64)
    a = (a - a.mean(0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(a.T)).T)  # mean 0, covariance 1
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(a, 3 * a + 2) == pytest.approx(8 * 4 + 8 * (1 + 9 - 2 * 3), rel=1e-9)
    assert mean_distance(a, 3 * a + 2) == pytest.approx(8 * 4, rel=1e-9)
    flat = a.copy()
    flat[:, 4:] = 0  # singular covariance
    assert frechet_distance(a, flat) == pytest.approx(4, rel=1e-6)


def test_kernel_distance_agrees_with_torch_fidelity(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = features(0, 150, 16).astype(np.float64), features(1, 120, 16, shift=0.3).astype(np.float64)
    rng = np.random.default_rng(5)
    theirs = [
        kernel_mmd(
            *(v[rng.choice(len(v), 40, replace=False)] for v in (a, b)),
            kid_kernel="poly",
            kid_kernel_poly_degree=3,
            kid_kernel_poly_gamma=None,
            kid_kernel_poly_coef0=1,
        )
        for _ in range(fidelity.KERNEL_SUBSETS)
    ]
    monkeypatch.setattr(fidelity, "_CHUNK", 64)
    ours = kernel_distance(a, b, seed=5, subset_size=40)
    assert ours.mean == pytest.approx(np.mean(theirs), rel=1e-9)
    assert ours.std == pytest.approx(np.std(theirs), rel=1e-9)


def test_kernel_distance_is_unbiased() -> None:
    values = [kernel_distance(features(2 * i, 60, 8), features(2 * i + 1, 60, 8)).mean for i in range(40)]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(len(values))
    assert min(values) < 0


@pytest.mark.parametrize(("n", "m", "scale"), [(200, 150, 1.0), (90, 260, 0.4), (100, 100, 3.0)])
def test_manifold_agrees_with_prdc(n: int, m: int, scale: float) -> None:
    reference, generated = features(0, n, 12), features(1, m, 12, scale=scale)
    theirs = compute_prdc(reference, generated, nearest_k=5)
    ours = manifold(reference, generated)
    for name in ("precision", "recall", "density", "coverage"):
        assert getattr(ours, name) == pytest.approx(theirs[name], abs=1e-6)


def test_sets_that_are_the_same_and_sets_that_lack_variety() -> None:
    reference = features(0, 200, 12)
    same = manifold(reference, reference)
    assert (same.precision, same.recall, same.coverage) == (1, 1, 1)
    one = manifold(reference, np.repeat(reference[:1], 200, 0) + features(1, 200, 12) * 1e-3)
    assert one.precision == 1
    assert one.recall < 0.2
    assert one.coverage < 0.2


@pytest.mark.parametrize(
    "distance", [frechet_distance, lambda a, b: kernel_distance(a, b).mean, lambda a, b: -manifold(a, b).coverage]
)
def test_worse_is_farther(distance) -> None:
    reference = features(0, 300, 16)
    noisy = [
        distance(
            reference, features(1, 300, 16) + s * np.random.default_rng(5).normal(size=(300, 16)).astype(np.float32)
        )
        for s in (0, 0.5, 1, 2)
    ]
    assert noisy == sorted(noisy)
    assert noisy[0] < noisy[-1]


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        (np.zeros((10, 4)), np.zeros((60, 4)), "Only 10 samples"),
        (np.zeros((60, 4)), np.zeros((60, 5)), "cannot be compared"),
        (np.full((60, 4), np.nan), np.zeros((60, 4)), "not finite"),
    ],
)
def test_features_that_give_no_distance(a: np.ndarray, b: np.ndarray, said: str) -> None:
    for metric in (frechet_distance, kernel_distance, manifold):
        with pytest.raises(UserError, match=said):
            metric(a, b)


def test_constant_features() -> None:
    a, b = np.zeros((60, 4)), np.ones((60, 4))
    assert frechet_distance(a, a) == 0
    assert frechet_distance(a, b) == pytest.approx(4)


def test_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fidelity, "_CHUNK", 3)
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(7, 5)), rng.normal(size=(11, 5))
    distance, index = nearest_distance(a, b)
    brute = np.linalg.norm(a[:, None] - b[None], axis=2)
    assert (index == brute.argmin(1)).all()
    assert distance == pytest.approx(brute.min(1), rel=1e-4)
