import numpy as np
import pytest

from omnicxr.domain.measures import CARDIOTHORACIC_RATIO, MEASURES
from omnicxr.evaluation.measures.consistency import GROUP, like_held_out, pair_agreement
from omnicxr.evaluation.readers.panel import Reading

PATIENTS = np.arange(120)


def reading(embeds: np.ndarray) -> Reading:
    n = len(embeds)
    scores = np.random.default_rng(0).random((n, 14))
    embeds = embeds / np.linalg.norm(embeds, axis=1, keepdims=True)
    return Reading(scores, scores > 0.5, np.tile(scores[:, :1], len(MEASURES)), embeds)


def test_rank_of_the_partner_among_all(few_studies: None) -> None:
    """Angles on a circle, each study's partner k places further: k others are nearer than it (on one side)."""
    angle = np.linspace(0, np.pi / 2, len(PATIENTS))
    a = np.stack([np.cos(angle), np.sin(angle)], 1)
    found = pair_agreement(reading(a), reading(a), PATIENTS)
    assert (found.partner_median_rank_of_all.value, found.studies) == (1, 120)
    moved = np.stack([np.cos(angle + 5.25 * angle[1]), np.sin(angle + 5.25 * angle[1])], 1)
    found = pair_agreement(reading(a), reading(moved), PATIENTS)
    assert found.partner_median_rank_of_all.value == 11, "five on one side, five on the other"
    assert found.partner_median_rank_of_all.low <= 11 <= found.partner_median_rank_of_all.high
    strangers = np.random.default_rng(1).normal(size=(2, 120, 8))
    by_chance = pair_agreement(reading(strangers[0]), reading(strangers[1]), PATIENTS)
    assert by_chance.partner_median_rank_of_all.value == pytest.approx(60, abs=20)
    assert by_chance.partner_median_rank == pytest.approx(GROUP / 2, abs=10)


def test_against_held_out_pictures(few_studies: None) -> None:
    rng = np.random.default_rng(2)
    own = rng.random((120, len(MEASURES)))
    noisy = own + 0.1 * rng.normal(size=own.shape)
    found = like_held_out(noisy, own, PATIENTS)
    r = [np.corrcoef(noisy[:, i], own[:, i])[0, 1] for i in range(len(MEASURES))]
    assert list(found.measure_correlation.values()) == pytest.approx(r)
    ratio = found.measure_correlation[CARDIOTHORACIC_RATIO]
    assert found.cardiothoracic_ratio_correlation.value == pytest.approx(ratio)
    assert found.cardiothoracic_ratio_error.value == pytest.approx(np.abs(noisy - own)[:, 0].mean())
    assert abs(like_held_out(own[::-1], own, PATIENTS).cardiothoracic_ratio_correlation.value) < 0.25
