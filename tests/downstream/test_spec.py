"""A study as data: which classifiers a TOML file means, and what is wrong with a bad one."""

from pathlib import Path

import pytest

from omnicxr.domain import Finding, Modality, UserError
from omnicxr.downstream.spec import CUT, FILLED, PRETRAINED, REAL, REGIMES, SYNTHETIC, StudySpec, read_spec, spec_hash

RUNS = Path(__file__).parents[2] / "runs" / "studies"


def test_every_cell_once_and_bases_first() -> None:
    spec = StudySpec(real_shares=(0.1, 1.0), seeds=(0, 1))
    cells = list(spec.cells())
    assert len(cells) == len(set(cells)) == len({c.name for c in cells}) == 2 * (1 + 3 * 2)
    for seed in spec.seeds:
        mine = [c.regime for c in cells if c.seed == seed]
        assert mine.index(SYNTHETIC) < mine.index(PRETRAINED)


def test_pretraining_needs_its_base_even_if_not_asked_for() -> None:
    cells = list(StudySpec(regimes=(PRETRAINED,), real_shares=(1.0,), seeds=(0,)).cells())
    assert [c.regime for c in cells] == [SYNTHETIC, PRETRAINED]


def test_imbalance(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(
        'seeds = [4]\nregimes = []\nviews = ["lateral"]\n[imbalance]\nfindings = ["Fracture", "Edema"]\nkeep = [5,'
        " 20]\n"
    )
    cells = list(read_spec(path).cells())
    assert [c.regime for c in cells] == [CUT, FILLED] * 4 + [REAL]
    assert {(c.finding, c.keep) for c in cells[:-1]} == {
        (f, k) for f in (Finding.FRACTURE, Finding.EDEMA) for k in (5, 20)
    }
    assert all(c.view is Modality.LATERAL and c.seed == 4 for c in cells)
    path.write_text('seeds = [4]\nregimes = ["real"]\nreal_shares = [0.5, 1.0]\n[imbalance]\nfindings = ["Fracture"]\n')
    assert [(c.regime, c.share) for c in read_spec(path).cells()] == [(REAL, 0.5), (REAL, 1), (CUT, 1), (FILLED, 1)], (
        "all real studies serve both"
    )


@pytest.mark.parametrize("path", sorted(RUNS.glob("*.toml")), ids=lambda p: p.stem)
def test_studies_of_the_project_are_valid(path: Path) -> None:
    spec = read_spec(path)
    assert set(spec.regimes) <= set(REGIMES)
    assert list(spec.cells())


def test_hash_changes_with_every_setting() -> None:
    assert (
        len({spec_hash(StudySpec()), spec_hash(StudySpec(seeds=(0,))), spec_hash(StudySpec(uncertain="positive"))}) == 3
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed = [1]", "a.toml: unknown setting 'seed': choose from views,"),
        ("regimes = ['magic']", "regimes has 'magic': give one of real,"),
        ("uncertain = 'maybe'", "uncertain is 'maybe': give one of ignore,"),
        ("real_shares = [0.0]", "real_shares has 0.0"),
        ("real_shares = []", "real_shares is .*a list of 1 to"),
        ("real_shares = {}", "real_shares is {}"),
        ("regimes = []", "trains nothing"),
        ("seeds = 'x'", "seeds is 'x'"),
        ("seeds = [-1]", "seeds has -1"),
        ("seeds = [true]", "seeds has True"),
        ("seeds = nan", "seeds is nan"),
        ("seeds = [1, 1]", "seeds names 1 twice"),
        ("views = ['report']", "frontal and lateral"),
        ("views = ['sideways']", "views has 'sideways': give one of frontal"),
        ("classifier = 3", "classifier is 3: give a table"),
        ("[imbalance]\nfindings = ['Gout']", "imbalance.findings has 'Gout'"),
        ("[imbalance]\nfindings = {}", "imbalance.findings is {}"),
        ("[imbalance]\nkeep = []", "imbalance.keep is"),
        ("[imbalance]\nkeep = [nan]", "imbalance.keep has nan"),
        ("[classifier]\nsteps = 0", "classifier.steps is 0: give a whole number from 1 to"),
        ("[classifier]\nfinetune_steps = 1e99", "classifier.finetune_steps is 1e"),
        ("[classifier]\nnetwork = []", "classifier.network is .*: give text"),
        ("seeds = [", "cannot be read"),
        ("", "is empty"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(UserError, match=said):
        read_spec(tmp_path / "a.toml")
    with pytest.raises(UserError, match=r"none\.toml is missing"):
        read_spec(tmp_path / "none.toml")
