import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from omnicxr.data.manifest import MANIFEST, Manifest
from omnicxr.domain import UserError


def test_written_and_read_back(prepared: Path, tmp_path: Path) -> None:
    manifest = Manifest.read(prepared)
    manifest.write(tmp_path)
    assert (tmp_path / MANIFEST).read_bytes() == (prepared / MANIFEST).read_bytes()
    assert sum(manifest.splits.values()) == manifest.studies == 80
    assert [name for split in manifest.splits for name in manifest.shards_of(split)] == sorted(
        manifest.shards, key=lambda name: (list(manifest.splits).index(name.split("-")[0]), name)
    )


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "null", "[" * 100_000, json.dumps({"studies": 3})])
def test_damaged(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(UserError, match=r"manifest\.json is damaged"):
        Manifest.read(tmp_path)


SIZE = {"kind": "table", "image_size": 64}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": 1}, "has format 1, this version reads 2 and 3"),
        ({"format": 99}, "has format 99"),
        ({"format": "3"}, "has format '3'"),
        ({"splits": None}, "its 'splits' does not hold"),
        ({"studies": "80"}, "its 'studies' does not hold"),
        ({"studies": -1}, "its 'studies' does not hold"),
        ({"dropped": []}, "its 'dropped' does not hold"),
        ({"unreadable": [3]}, "its 'unreadable' does not hold"),
        ({"options": {}}, "image_size is None"),
        ({"options": SIZE | {"image_size": "64"}}, "image_size is '64'"),
        ({"options": SIZE | {"image_size": 0}}, "image_size is 0"),
        ({"options": SIZE | {"image_size": True}}, "image_size is True"),
        ({"copies_across_splits": {"exact": 1}}, "copies_across_splits"),
        ({"shards": {}}, "names no shard of the split 'train'"),
        ({"shards": ["train-00000.parquet"]}, "its 'shards' does not hold"),
        ({"shards": {"train-00000.parquet": None}}, "its 'shards' does not hold"),
        ({"shards": {"../train-00000.parquet": ""}}, "is not the name of a shard"),
        ({"shards": {"/tmp/train-00000.parquet": ""}}, "is not the name of a shard"),
        ({"shards": {"train-0/../../x.parquet": ""}}, "is not the name of a shard"),
    ],
)
def test_what_a_manifest_must_hold(prepared: Path, tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    found = json.loads((prepared / MANIFEST).read_text())
    (tmp_path / MANIFEST).write_text(json.dumps(found | changes))
    with pytest.raises(UserError, match=said):
        Manifest.read(tmp_path)


@pytest.mark.parametrize("name", ["format", "splits", "studies", "options", "shards"])
def test_what_a_manifest_must_have(prepared: Path, tmp_path: Path, name: str) -> None:
    found = json.loads((prepared / MANIFEST).read_text())
    del found[name]
    (tmp_path / MANIFEST).write_text(json.dumps(found))
    with pytest.raises(UserError, match=r"manifest\.json is damaged"):
        Manifest.read(tmp_path)


def test_missing(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    for root in (tmp_path, tmp_path / "nowhere", tmp_path / "a.txt"):
        with pytest.raises(UserError, match="not a prepared data set"):
            Manifest.read(root)


def test_reading_a_data_set_imports_no_source() -> None:
    code = "import sys, omnicxr.data.dataset; print([m for m in sys.modules if m.startswith('omnicxr.data.sources')])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
