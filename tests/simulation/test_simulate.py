import json
from pathlib import Path

import pytest

from omnicxr.data.files import sha256
from omnicxr.data.splits import hashed_split
from omnicxr.domain import UserError
from omnicxr.simulation.atlas import ATLAS_FILE
from omnicxr.simulation.simulate import SimulationConfig, simulate, study_ids


def tree(root: Path) -> dict[str, str]:
    return {str(p.relative_to(root)): sha256(p) for p in root.rglob("*") if p.is_file()}


@pytest.mark.slow
def test_workers_and_interruptions_do_not_change_a_byte(tmp_path: Path) -> None:
    config = SimulationConfig(studies=45, seed=2, image_size=32)
    simulate(config, tmp_path / "one")
    simulate(SimulationConfig(studies=33, seed=2, image_size=32), tmp_path / "two")  # and the last chunk is not whole
    first, second = sorted((tmp_path / "two" / "chunks").iterdir())
    first.unlink()
    second.write_text("[")
    simulate(config, tmp_path / "two", workers=2)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_layout(simulated: Path) -> None:
    rows = [json.loads(line) for line in (simulated / "truth.jsonl").read_text().splitlines()]
    assert len(rows) == 80
    for row in rows:
        subject, study = row["subject_id"], row["study_id"]
        folder = simulated / "files" / f"p{str(subject)[:2]}" / f"p{subject}" / f"s{study}"
        assert len(list(folder.glob("*.jpg"))) == 2
        assert folder.with_suffix(".txt").is_file()
        assert set(row["truth"]["measures"]) > {"cardiothoracic_ratio", "effusion_left"}


def test_some_patients_have_two_studies_in_one_split() -> None:
    ids = [study_ids(0, i) for i in range(90)]
    assert len({study for _, study in ids}) == 90
    assert len({subject for subject, _ in ids}) == 80
    assert {hashed_split(str(subject)) for subject, _ in ids} == {"train", "validate", "test"}


def test_other_settings_in_the_same_folder(simulated: Path) -> None:
    with pytest.raises(UserError, match="another seed"):
        simulate(SimulationConfig(studies=80, seed=9, image_size=64), simulated)


@pytest.mark.parametrize(("studies", "size"), [(0, 64), (5, 8), (5, 4096)])
def test_bad_settings(studies: int, size: int) -> None:
    with pytest.raises(UserError):
        SimulationConfig(studies=studies, image_size=size)


def test_atlas_is_compact() -> None:
    assert ATLAS_FILE.stat().st_size < 6e6
