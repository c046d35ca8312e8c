"""Sizes, sides and places of lesions, on extents whose figures can be worked out by hand."""

import numpy as np
import pytest

from omnicxr.domain import Finding
from omnicxr.domain.measures import LOBES, MEASURES, PLACES, SIDES, extent
from omnicxr.evaluation.measures import clinical, metrics
from omnicxr.evaluation.measures.clinical import finding_scores, truth_errors
from omnicxr.evaluation.measures.uncertainty import Estimate

N = 400
A = Finding.ATELECTASIS


@pytest.fixture(autouse=True)
def few_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "MIN_CASES", 5)


@pytest.fixture
def truth() -> np.ndarray:
    """One nodule each in half of the studies, in a lobe drawn at random, of 0.1..0.5; nothing else."""
    rng = np.random.default_rng(0)
    out = np.zeros((N, len(MEASURES)))
    lobes = [MEASURES.index(extent("nodule", lobe)) for lobe in LOBES]
    out[np.arange(N // 2), rng.choice(lobes, N // 2)] = 0.1 + 0.4 * rng.random(N // 2)
    return out


def figures(measures: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    found = truth_errors(measures, truth, np.arange(N))
    return {
        "size": found.size["nodule"].correlation,
        "side": found.side["nodule"].value,
        "place": found.place["nodule"].value,
    }


def test_exact_estimates_are_right_everywhere(truth: np.ndarray) -> None:
    assert figures(truth, truth) == pytest.approx({"size": 1, "side": 1, "place": 1})
    found = truth_errors(truth, truth, np.arange(N))
    nodule = found.measures["nodule_left_upper_lobe"]
    assert nodule.absolute_error == Estimate(0, 0, 0)
    assert nodule.correlation == pytest.approx(1)
    assert found.side["nodule"].studies == found.place["nodule"].studies == N // 2
    assert found.side["effusion"].studies == 0 and np.isnan(found.side["effusion"].value)
    assert set(found.place) == {"consolidation", "nodule"}


def test_right_lung_wrong_lobe(truth: np.ndarray) -> None:
    """Upper and lower lobe of the same side swapped: the side stays right, the middle lobe alone keeps its place."""
    swapped = truth.copy()
    for side in SIDES:
        upper, lower = (MEASURES.index(extent("nodule", f"{side} {lobe} lobe")) for lobe in ("upper", "lower"))
        swapped[:, [upper, lower]] = truth[:, [lower, upper]]
    middle = truth[: N // 2, MEASURES.index(extent("nodule", "right middle lobe"))] > 0
    assert figures(swapped, truth) == pytest.approx({"size": 1, "side": 1, "place": middle.mean()})


def test_estimates_of_other_studies_are_chance(truth: np.ndarray) -> None:
    """A reader that sees nothing: 0.5 for the side though one side has three lobes, 0.2 for the lobe."""
    blind = np.random.default_rng(1).normal(size=truth.shape)
    found = figures(blind, truth)
    assert found["side"] == pytest.approx(0.5, abs=0.12)
    assert found["place"] == pytest.approx(0.2, abs=0.1)
    assert abs(found["size"]) < 0.2


def test_frequent_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Atelectasis 14 times, edema 13 times, the rest normal: one finding counts, and its figures are its own."""
    labels = np.zeros((100, len(Finding)), bool)
    atelectasis, edema, normal = (list(Finding).index(f) for f in (A, Finding.EDEMA, Finding.NO_FINDING))
    labels[:14, atelectasis] = labels[14:27, edema] = labels[27:, normal] = True
    stated = np.roll(labels, 4, axis=0)
    found = finding_scores(labels, stated, np.arange(100)).frequent
    assert found.findings == [A]
    assert found.micro.value == found.macro.value == pytest.approx(2 * 10 / (14 + 14))
    assert found.micro.low < found.micro.value < found.micro.high
    monkeypatch.setattr(clinical, "FREQUENT", 13)
    both = finding_scores(labels, stated, np.arange(100)).frequent
    assert both.findings == [A, Finding.EDEMA]
    assert both.micro.value == pytest.approx(2 * (10 + 9) / (2 * 27))
    assert both.macro.value == pytest.approx((10 / 14 + 9 / 13) / 2)
    known = np.arange(len(Finding)) != atelectasis
    assert finding_scores(labels, stated, np.arange(100), known=known).frequent.findings == [Finding.EDEMA]
    none = finding_scores(labels[27:], stated[27:], np.arange(73)).frequent
    assert none.findings == [] and np.isnan([none.micro.value, none.macro.value]).all()


def test_every_place_is_measured_once() -> None:
    assert len(set(MEASURES)) == len(MEASURES) == 1 + sum(map(len, PLACES.values()))
