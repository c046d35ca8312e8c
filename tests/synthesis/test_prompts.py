import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from omnicxr.data.dataset import PreparedDataset
from omnicxr.domain import Finding, Modality, Task, UserError
from omnicxr.simulation.population import sample_truth
from omnicxr.simulation.report import write_report
from omnicxr.synthesis.prompts import Prompts, Wish, choose, composed, from_table, prompts_for

INDEX = {f: i for i, f in enumerate(Finding)}
BOTH = Task.parse("report->frontal+lateral")


def prompts(*findings: tuple[Finding, ...]) -> Prompts:
    labels = np.full((len(findings), 14), np.nan, np.float32)
    for row, found in zip(labels, findings, strict=True):
        row[[INDEX[f] for f in found]] = 1
    n = len(findings)
    names = [str(i) for i in range(n)]
    return Prompts(names=names, reports=["Text."] * n, labels=labels, ages=[None] * n, sexes=[None] * n)


RARE = prompts(*[(Finding.NO_FINDING,)] * 8, (Finding.FRACTURE,), (Finding.EDEMA, Finding.FRACTURE))


def test_in_order_with_samples_after_each_other() -> None:
    assert choose(RARE, Wish(num=7, samples=3), 0).tolist() == [0, 0, 0, 1, 1, 1, 2]
    assert choose(RARE, Wish(num=12), 0).tolist() == [*range(10), 0, 1]


def test_balance_draws_every_finding_equally_often() -> None:
    chosen = choose(RARE, Wish(num=300, balance=True), 0)
    assert (chosen < 8).sum() == 100
    assert (chosen == 9).sum() > 100
    assert (choose(RARE, Wish(num=300, balance=True), 0) == chosen).all()
    assert (choose(RARE, Wish(num=300, balance=True), 1) != chosen).any()


def test_per_finding() -> None:
    chosen = choose(RARE, Wish(num=0, per_finding=5, findings=(Finding.FRACTURE, Finding.EDEMA)), 0)
    assert len(chosen) == 10
    assert set(chosen[:5]) == {8, 9}
    assert chosen[5:].tolist() == [9] * 5
    with pytest.raises(UserError, match="No prompt has the finding 'Pneumonia'"):
        choose(RARE, Wish(num=0, per_finding=5, findings=(Finding.PNEUMONIA,)), 0)


def test_persons() -> None:
    people = replace(RARE, ages=[None, *map(float, range(30, 75, 5))], sexes=["F", "M"] * 5)
    assert choose(people, Wish(num=6, sex="F"), 0).tolist() == [0, 2, 4, 6, 8, 0]
    assert choose(people, Wish(num=3, ages=(40, 50)), 0).tolist() == [3, 4, 5]
    assert choose(people, Wish(num=2, samples=2, sex="M", ages=(70, 70)), 0).tolist() == [9, 9]
    assert choose(people, Wish(num=0, per_finding=4, sex="M", findings=(Finding.FRACTURE,)), 0).tolist() == [9] * 4
    assert set(choose(people, Wish(num=40, sex="M", balance=True), 0).tolist()) == {1, 3, 5, 7, 9}
    with pytest.raises(UserError, match="No prompt has the finding 'Edema'"):
        choose(people, Wish(num=0, per_finding=4, sex="F", findings=(Finding.EDEMA,)), 0)
    with pytest.raises(UserError, match=r"wished sex and age \(M 80-90\)"):
        choose(people, Wish(num=2, sex="M", ages=(80, 90)), 0)


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"num": 1, "ages": (80.0, 60.0)}, "from 80 to 60"),
        ({"num": 0}, "at least 1"),
        ({"num": 3, "samples": 0}, "samples is 0"),
        ({"num": 3, "per_finding": -2}, "per_finding is -2"),
        ({"num": 3, "ages": (math.nan, 60.0)}, "ages has nan"),
        ({"num": 3, "balance": True, "per_finding": 2}, "choose one"),
    ],
)
def test_wishes_that_make_no_sense(wish: dict, said: str) -> None:
    with pytest.raises(UserError, match=said):
        Wish(**wish)


def test_table_with_and_without_labels(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(
        "report,study_id,Cardiomegaly,age,sex\nSmall left pleural effusion.,a,,63,female\nClear lungs.,b,1,,\n"
    )
    found = from_table(tmp_path / "p.csv")
    assert found.names == ["a", "b"]
    assert (found.ages, found.sexes) == ([63, None], ["F", None])
    assert found.labels[0, INDEX[Finding.PLEURAL_EFFUSION]] == 1
    assert found.labels[:, INDEX[Finding.CARDIOMEGALY]].tolist()[1] == 1
    assert np.isnan(found.labels[0, INDEX[Finding.CARDIOMEGALY]])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("report\nFine.\n   \n", "prompt of '2' is empty"),
        ("report\n" + "word " * 500 + "\n", "has 500 words"),
        ("report,Edema\nFine.,maybe\n", "'maybe' is not a label of Edema"),
        ("report,Edema\nFine.,7\n", "'7' is not a label of Edema"),
        ("text\nFine.\n", "lacks the column 'report'"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(UserError, match=said):
        from_table(tmp_path / "p.csv")


def test_prompts_of_a_data_set(prepared: Path) -> None:
    task = Task.parse("frontal->lateral")
    found = prompts_for(task, data=prepared, split="test", table=None, seed=0)
    data = PreparedDataset(prepared, "test")
    assert len(found) == len(data.having(Modality.FRONTAL))
    assert (
        found.given(0, task)["frontal"] == data.image(int(data.having(Modality.FRONTAL)[0]), Modality.FRONTAL)
    ).all()
    with pytest.raises(UserError, match="needs a frontal view"):
        prompts_for(task, data=None, split="test", table=None, seed=0)
    with pytest.raises(UserError, match="leave one of"):
        prompts_for(task, data=prepared, split="test", table=prepared, seed=0)


def test_composed_sentences_are_varied_and_labelled() -> None:
    found = composed(60, 3)
    assert len(set(found.reports)) > 30
    assert 0.1 < (found.labels[:, INDEX[Finding.NO_FINDING]] == 1).mean() < 0.6
    assert composed(60, 3).reports == found.reports


def test_composed_sentences_are_not_those_of_simulated_studies() -> None:
    """Else a model would be asked for the studies that it is tested on, in their order."""
    simulated = [write_report(sample_truth(0, i)).impression for i in range(60)]
    same = [a == b for a, b in zip(composed(60, 0).reports, simulated, strict=True)]
    assert np.mean(same) < 0.3, "only normal studies are told in the same words"
