import numpy as np
import pytest

from omnicxr.evaluation.measures.uncertainty import compare, estimate, patient_resamples


def mean(v: np.ndarray) -> float:
    return float(v.mean())


def test_studies_of_a_patient_are_drawn_together() -> None:
    patients = np.array(["a", "b", "a", "c", "b", "a"])
    for rows in patient_resamples(patients, count=50):
        drawn = patients[rows]
        assert sum(drawn == "a") % 3 == 0
        assert sum(drawn == "b") % 2 == 0


def test_interval_of_a_mean_is_the_textbook_one() -> None:
    values = np.random.default_rng(0).normal(size=900)
    result = estimate(mean, values, patients=np.arange(900))
    half = 1.96 * values.std() / 30
    assert result.value == pytest.approx(values.mean())
    assert result.high - result.low == pytest.approx(2 * half, rel=0.2)


def test_repeated_studies_do_not_make_it_surer() -> None:
    values = np.random.default_rng(0).normal(size=100)
    once = estimate(mean, values, patients=np.arange(100))
    tenfold = estimate(mean, np.repeat(values, 10), patients=np.repeat(np.arange(100), 10))
    assert tenfold.high - tenfold.low == pytest.approx(once.high - once.low, rel=0.15)


def test_paired_comparison_sees_a_small_constant_gain() -> None:
    rng = np.random.default_rng(0)
    b = rng.normal(size=300)
    a = b + 0.05 + 0.01 * rng.normal(size=300)
    gain = compare(mean, (a,), (b,), patients=np.arange(300))
    assert gain.low > 0
    assert gain.p_value < 0.02
    same = compare(mean, (b,), (b,), patients=np.arange(300))
    assert (same.value, same.p_value) == (0, 1)


def test_no_false_alarms() -> None:
    values = []
    for seed in range(60):
        a, b = np.random.default_rng(seed).normal(size=(2, 80))
        values.append(compare(mean, (a,), (b,), patients=np.arange(80), seed=seed).p_value)
    assert np.mean(np.array(values) < 0.05) < 0.15
