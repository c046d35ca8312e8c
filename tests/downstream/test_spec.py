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
        ("seed = [1]", "unknown setting 'seed'"),
        ("regimes = ['magic']", "Unknown regime 'magic'"),
        ("uncertain = 'maybe'", "Unknown uncertain rule"),
        ("real_shares = [0.0]", "above 0"),
        ("views = ['report']", "frontal and lateral"),
        ("views = ['sideways']", "Unknown modality"),
        ("[imbalance]\nfindings = ['Gout']", "does not fit .*Gout"),
        ("[classifier]\nsteps = 0", "at least 1"),
        ("seeds = [", "cannot be read"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(UserError, match=said):
        read_spec(tmp_path / "a.toml")
    with pytest.raises(UserError, match="cannot be read"):
        read_spec(tmp_path / "none.toml")
