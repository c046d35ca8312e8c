"""Open-I from its tables to a prepared data set: a partition from elsewhere, missing pictures, other languages."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.manifest import Manifest
from omnicxr.data.prepare import PrepareConfig, prepare
from omnicxr.data.selection import Selection
from omnicxr.data.split_table import read_split_table
from omnicxr.domain import Modality, UserError

FRONTAL, LATERAL, REPORT = Modality
STUDIES = 8
SPANISH, GERMAN = "Derrame pleural izquierdo. Corazon normal.", "Kein Pneumothorax. Herz normal gross."
SPLITS = {"1": "train", "2": "train", "3": "val", "4": "test", "5": "test", "6": "train", "99": "test"}


def rows(path: Path, columns: str, found: list[tuple[str, ...]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns.split(), *found])
    return path


@pytest.fixture
def openi(tmp_path: Path) -> Path:
    """Eight studies: a frontal and two laterals each; reports 5 and 6 are Spanish and German, 7 has no findings."""
    root = tmp_path / "openi"
    folder = root / "images" / "images_normalized"
    folder.mkdir(parents=True)
    findings = {5: SPANISH, 6: GERMAN, 7: ""}
    reports, pictures = [], []
    for n in range(1, STUDIES + 1):
        reports.append((str(n), "", "", findings.get(n, f"Heart size is normal in study {n}."), f"Stable in {n}."))
        for i, projection in enumerate(("Frontal", "Lateral", "Lateral")):
            pixels = np.random.default_rng(100 * n + i).integers(0, 256, (16, 16)).astype(np.uint8)
            Image.fromarray(pixels).resize((64, 64)).save(folder / f"{n}_{i}.png")
            pictures.append((str(n), f"{n}_{i}.png", projection))
    rows(root / "indiana_reports.csv", "uid indication comparison findings impression", reports)
    rows(root / "indiana_projections.csv", "uid filename projection", pictures)
    return root


@pytest.fixture
def splits(tmp_path: Path) -> Path:
    return rows(tmp_path / "splits.csv", "uid split", list(SPLITS.items()))


def config(**changes: Any) -> PrepareConfig:
    selection = Selection(require=tuple(Modality), text=changes.pop("text", "findings"))
    return PrepareConfig(kind="openi", image_size=32, selection=selection, **changes)


def test_a_partition_from_elsewhere(openi: Path, splits: Path, tmp_path: Path) -> None:
    """Studies as it says, all pictures of a view, no report of another language; the same account before pictures are
    read."""
    manifest = prepare(config(splits=splits), openi, tmp_path / "out")
    assert manifest.splits == {"train": 2, "validate": 1, "test": 1}
    assert manifest.dropped == {"not in the split table": 2, "report does not read as English": 2}
    assert manifest.noticed["named in the split table, not in the data"] == 1
    assert manifest.views == {"FRONTAL": 4, "LATERAL": 8}
    for split, wanted in (("train", ["1", "2"]), ("validate", ["3"]), ("test", ["4"])):
        data = PreparedDataset(tmp_path / "out", split)
        assert data.table.column("study_id").to_pylist() == wanted
        assert data.reports == [f"Heart size is normal in study {n}." for n in wanted]
    account = prepare(config(splits=splits), openi, tmp_path / "none", dry_run=True)
    assert (account.studies_seen, account.splits, account.dropped) == (STUDIES, manifest.splits, manifest.dropped)


@pytest.mark.parametrize(
    ("text", "report"),
    [
        ("findings", "Heart size is normal in study 1."),
        ("impression", "Stable in 1."),
        ("both", "Heart size is normal in study 1. Stable in 1."),
    ],
)
def test_which_text_stands_for_a_study(openi: Path, splits: Path, tmp_path: Path, text: str, report: str) -> None:
    prepare(config(splits=splits, text=text), openi, tmp_path / "out")
    assert PreparedDataset(tmp_path / "out", "train").reports[0] == report


def test_another_table_is_refused_an_equal_one_is_not(openi: Path, splits: Path, tmp_path: Path) -> None:
    """The table's hash is kept, not its place."""
    first = prepare(config(splits=splits), openi, tmp_path / "out")
    written = (tmp_path / "out" / "options.json").read_text() + (tmp_path / "out" / "manifest.json").read_text()
    assert splits.name not in written
    moved = splits.rename(tmp_path / "moved.csv")
    assert prepare(config(splits=moved), openi, tmp_path / "out") == first
    moved.write_text(moved.read_text().replace("test", "train"))
    with pytest.raises(UserError, match="another splits"):
        prepare(config(splits=moved), openi, tmp_path / "out")
    with pytest.raises(UserError, match="another splits"):
        prepare(config(), openi, tmp_path / "out")


def test_folders_of_older_versions_go_on(openi: Path, tmp_path: Path) -> None:
    """Whose options know neither splits nor facing."""
    first = prepare(config(), openi, tmp_path / "out")
    for name in ("options.json", "manifest.json"):
        path = tmp_path / "out" / name
        found = json.loads(path.read_text())
        options = found.get("options", found)
        del options["splits"], options["face"]
        found.pop("warnings", None)
        path.write_text(json.dumps(found))
    assert prepare(config(), openi, tmp_path / "out").shards == first.shards
    (tmp_path / "out" / "manifest.json").unlink()
    assert prepare(config(), openi, tmp_path / "out").shards == first.shards


def test_half_of_the_pictures_missing_is_said_before_any_is_read(openi: Path, tmp_path: Path) -> None:
    """Of every second study all three files are gone; study 1 loses one of its two laterals, which costs it nothing."""
    folder = openi / "images" / "images_normalized"
    gone = [folder / f"{n}_{i}.png" for n in (2, 4, 6, 8) for i in range(3)] + [folder / "1_2.png"]
    for path in gone:
        path.unlink()
    sentence = (
        "13 of 24 (54%) pictures that the data set names are missing, and 4 of 8 (50%) studies are left out for that:"
        " check that the download is whole."
    )
    account = prepare(config(text="both"), openi, tmp_path / "out", dry_run=True)
    assert account.warnings == [sentence]
    assert account.dropped == {"no frontal (picture file missing)": 4, "report does not read as English": 1}
    assert account.images_left_out == {"file missing": 13}
    assert account.noticed["used without a part of its pictures (file missing)"] == 1
    said: list[str] = []

    def warn(warnings) -> None:
        said.extend(warnings)
        assert not list((tmp_path / "out").glob("*.parquet"))

    manifest = prepare(config(text="both"), openi, tmp_path / "out", warn=warn)
    assert said == Manifest.read(tmp_path / "out").warnings == manifest.warnings == [sentence]


def test_the_snippet_of_the_manual_makes_a_split_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On an invented annotation.json, several of whose entries are of one study."""
    manual = (Path(__file__).parents[3] / "docs" / "data.md").read_text()
    code = manual.partition("```python\n")[2].partition("```")[0]
    assert "annotation.json" in code
    annotation = {
        "train": [{"id": "CXR12_IM-0001", "report": "x"}, {"id": "CXR12_IM-0001-0001", "report": "x"}],
        "val": [{"id": "CXR7_IM-0942", "report": "x"}],
        "test": [{"id": "CXR3001_IM-1-1001", "report": "x"}],
    }
    monkeypatch.chdir(tmp_path)
    (tmp_path / "annotation.json").write_text(json.dumps(annotation))
    exec(compile(code, "data.md", "exec"), {})
    assert read_split_table(tmp_path / "splits.csv").splits == {"12": "train", "7": "validate", "3001": "test"}
