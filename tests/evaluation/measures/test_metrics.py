import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, f1_score, roc_auc_score

from omnicxr.evaluation.measures import metrics
from omnicxr.evaluation.measures.uncertainty import mean_estimate

RNG = np.random.default_rng(0)
LABELS = RNG.random((200, 3)) < 0.3
SCORES = RNG.random((200, 3)) + 0.4 * LABELS


def pairwise_auroc(y: np.ndarray, s: np.ndarray) -> float:
    """Probability that a positive scores above a negative, counted pair by pair."""
    wins = (s[y][:, None] > s[~y][None]) + 0.5 * (s[y][:, None] == s[~y][None])
    return float(wins.mean())


def test_auroc_against_counting_pairs() -> None:
    expected = [pairwise_auroc(LABELS[:, i], SCORES[:, i]) for i in range(3)]
    assert metrics.auroc(LABELS, SCORES) == pytest.approx(expected)


def test_too_few_cases_have_no_figure() -> None:
    labels = LABELS.copy()
    labels[:, 1] = False
    labels[:3, 1] = True
    values = metrics.auroc(labels, SCORES)
    assert np.isnan(values[1])
    assert metrics.macro(values) == pytest.approx(np.mean(values[[0, 2]]))
    assert np.isnan(metrics.macro(np.array([np.nan])))


def test_kappa_against_sklearn() -> None:
    other = LABELS ^ (RNG.random(LABELS.shape) < 0.1)
    expected = [cohen_kappa_score(LABELS[:, i], other[:, i]) for i in range(3)]
    assert metrics.kappa(LABELS, other) == pytest.approx(expected)
    assert np.isnan(metrics.kappa(np.ones((4, 1), bool), np.ones((4, 1), bool))[0])


def test_correlation_against_numpy() -> None:
    a, b = RNG.normal(size=(50, 2)), RNG.normal(size=(50, 2))
    expected = [np.corrcoef(a[:, i], b[:, i])[0, 1] for i in range(2)]
    assert metrics.correlation(a, b) == pytest.approx(expected)
    assert np.isnan(metrics.correlation(np.ones((5, 1)), np.arange(5.0)[:, None])[0])


def test_auroc_against_sklearn_with_ties() -> None:
    scores = SCORES.round(1)
    assert metrics.auroc(LABELS, scores) == pytest.approx([roc_auc_score(LABELS[:, i], scores[:, i]) for i in range(3)])
    assert metrics.auroc(LABELS, np.full((200, 3), 0.3)) == pytest.approx(np.full(3, 0.5))


def test_f1_against_sklearn() -> None:
    predicted = LABELS ^ (RNG.random(LABELS.shape) < 0.2)
    predicted[:, 2] = False
    for average, figure in (
        ("micro", metrics.micro_f1),
        ("macro", metrics.macro_f1),
        ("weighted", metrics.weighted_f1),
    ):
        assert figure(LABELS, predicted) == pytest.approx(
            f1_score(LABELS, predicted, average=average, zero_division=0.0)
        )
    assert metrics.f1(LABELS, predicted) == pytest.approx(f1_score(LABELS, predicted, average=None, zero_division=0.0))
    empty = np.zeros((20, 2), bool)
    assert metrics.f1(empty, empty).tolist() == [0, 0]
    assert np.isnan([metrics.macro_f1(empty, empty), metrics.weighted_f1(empty, empty)]).all()


def test_f1_by_hand() -> None:
    labels = np.array([[1, 0], [1, 1], [0, 0], [0, 1]], bool)
    predicted = np.array([[1, 0], [0, 1], [1, 0], [0, 1]], bool)
    assert metrics.micro_f1(labels, predicted) == pytest.approx(2 * 3 / (2 * 3 + 1 + 1))


def test_best_threshold_separates() -> None:
    scores = np.concatenate([RNG.uniform(0, 0.2, 150), RNG.uniform(0.3, 0.5, 50)])[:, None]
    labels = np.arange(200)[:, None] >= 150
    assert 0.19 < metrics.best_thresholds(labels, scores)[0] < 0.31


def test_partners_found_first() -> None:
    def share(a: np.ndarray, b: np.ndarray) -> float:
        return float((metrics.partner_ranks(a, b) == 1).mean())

    embeds = np.eye(100)
    assert share(embeds, embeds) == 1.0
    assert share(embeds, np.roll(embeds, 1, axis=0)) == 0.0
    assert share(RNG.normal(size=(2000, 16)), RNG.normal(size=(2000, 16))) == pytest.approx(1 / 50, abs=0.012)


def test_distinct() -> None:
    assert metrics.distinct_share(["a", "a", "b", "a"]) == 0.5


def test_interval_covers_the_mean_and_shrinks() -> None:
    few, many = (mean_estimate(RNG.normal(1, 1, n), np.arange(n)) for n in (50, 5000))
    assert few.low < few.value < few.high
    assert many.low < 1.05
    assert many.high - many.low < 0.3 * (few.high - few.low)
