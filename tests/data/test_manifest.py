import json
import subprocess
import sys
from pathlib import Path

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


@pytest.mark.parametrize("text", ["{", "[]", '"x"', json.dumps({"studies": 3})])
def test_damaged(tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(UserError, match=r"manifest\.json is damaged"):
        Manifest.read(tmp_path)


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a prepared data set"):
        Manifest.read(tmp_path)


def test_reading_a_data_set_imports_no_source() -> None:
    code = "import sys, omnicxr.data.dataset; print([m for m in sys.modules if m.startswith('omnicxr.data.sources')])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
