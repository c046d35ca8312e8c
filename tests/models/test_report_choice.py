import numpy as np
import pytest
import torch

from omnicxr.models.report_choice import WORTH_STATING, best_report, candidate_generators, one_of_each

NORMAL = "The heart is normal in size. The lungs are clear."
USUAL = "The heart is normal in size. The lungs are clear. No effusion."
EFFUSION = "There is a small left pleural effusion."


def test_without_findings_the_most_central_report_is_kept() -> None:
    candidates = [EFFUSION, NORMAL, USUAL, NORMAL, EFFUSION]
    assert candidates[best_report(candidates, findings_weight=0.0)] in (NORMAL, USUAL)


def test_a_finding_that_enough_samples_state_is_stated() -> None:
    """Two of five state it: more than `WORTH_STATING`; one of six is less."""
    assert 1 / 6 < WORTH_STATING < 2 / 5
    some, few = [NORMAL] * 3 + [EFFUSION] * 2, [NORMAL] * 5 + [EFFUSION]
    assert some[best_report(some, findings_weight=10.0)] == EFFUSION
    assert few[best_report(few, findings_weight=10.0)] == NORMAL


def test_worth_of_findings_by_hand() -> None:
    """Score = likeness to the others + weight x (share - WORTH_STATING), worked out for two reports with no word in
    common: likeness 0 and share 1/2."""
    score = np.array([0.0, 1 / 2 - WORTH_STATING])
    assert best_report(["Clear lungs", EFFUSION], findings_weight=1.0) == int(score.argmax())


def test_of_equals_the_first_is_kept() -> None:
    assert best_report([NORMAL, NORMAL, NORMAL], findings_weight=1.0) == 0


def test_one_of_each_study() -> None:
    reports = [NORMAL, NORMAL, EFFUSION, EFFUSION, EFFUSION, NORMAL]
    assert one_of_each(reports, studies=2, findings_weight=0.0) == [NORMAL, EFFUSION]
    assert one_of_each(reports, studies=6, findings_weight=0.0) == reports


def test_the_only_candidate_draws_from_the_studys_own_generator() -> None:
    rng = torch.Generator().manual_seed(3)
    before = rng.get_state()
    assert candidate_generators(rng, 1) == [rng]
    assert torch.equal(rng.get_state(), before)


def test_candidates_differ_and_come_again() -> None:
    def drawn() -> list[float]:
        rngs = candidate_generators(torch.Generator().manual_seed(3), 4)
        return [float(torch.randn((), generator=g)) for g in rngs]

    assert drawn() == pytest.approx(drawn())
    assert len(set(drawn())) == 4
