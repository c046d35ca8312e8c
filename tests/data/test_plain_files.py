"""Only plain files of a sensible size are opened."""

import os
from pathlib import Path

import pytest

from omnicxr.data import plain_files
from omnicxr.data.plain_files import plain_file, read_json_object, read_limited
from omnicxr.domain import UserError


def test_plain_files_are_read_links_too(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": 1}')
    (tmp_path / "b.json").symlink_to("a.json")
    assert plain_file(tmp_path / "a.json") == tmp_path / "a.json"
    assert read_json_object(tmp_path / "b.json") == {"a": 1}


def test_other_files_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"x" * 11)
    monkeypatch.setattr(plain_files, "TEXT_LIMIT", 10)
    for path, said in (
        (tmp_path / "pipe", "no plain file"),
        (Path("/dev/zero"), "no plain file"),
        (tmp_path, "no plain file"),
        (tmp_path / "none", "missing or damaged .No such file.*: look again"),
        (tmp_path / ("a" * 300), "missing or damaged"),
        (tmp_path / "a\0b", "missing or damaged"),
        (tmp_path / "large", "has 11 bytes, at most 10"),
    ):
        with pytest.raises(UserError, match=said):
            read_limited(path, remedy="look again")


@pytest.mark.parametrize("text", ["", "null", "[]", "3", "{", '{"a": NaN}', '{"a": -Infinity}', "[" * 100_000, "\xff"])
def test_what_is_no_json_object(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=r"a\.json (is missing or damaged|holds no JSON object)"):
        read_json_object(tmp_path / "a.json")
