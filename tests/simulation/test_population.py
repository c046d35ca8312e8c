import pytest

from omnicxr.domain import UserError
from omnicxr.simulation.population import Prevalence, sample_truth
from omnicxr.simulation.report import write_report
from omnicxr.simulation.truth import Effusion

TRUTHS = [sample_truth(11, i) for i in range(400)]


def test_a_study_depends_on_its_seed_and_index_alone() -> None:
    assert sample_truth(11, 5) == TRUTHS[5]
    assert sample_truth(12, 5) != TRUTHS[5]
    assert write_report(TRUTHS[5]) == write_report(sample_truth(11, 5))


def test_prevalence_is_settable() -> None:
    only_fluid = Prevalence(
        normal=0,
        cardiomegaly=0,
        effusion=1,
        pneumothorax=0,
        consolidation=0,
        atelectasis=0,
        edema=0,
        nodule=0,
        wide_mediastinum=0,
        fracture=0,
        devices=0,
    )
    for i in range(20):
        assert {type(x) for x in sample_truth(0, i, only_fluid).lesions} == {Effusion}
    with pytest.raises(UserError, match="effusion"):
        Prevalence(effusion=1.5)
