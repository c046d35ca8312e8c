from pathlib import Path

import pytest

from omnicxr.data.files import check_writable, claim, whole_file
from omnicxr.domain import UserError


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ValueError, match="stop"), whole_file(path) as temporary:
        temporary.write_text("new, but")
        raise ValueError("stop")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_full_disk_is_a_sentence() -> None:
    with (
        pytest.raises(UserError, match="No space left"),
        whole_file(Path("/dev/full")) as temporary,
        Path("/dev/full").open("wb", buffering=0) as f,
    ):
        assert temporary.name
        f.write(b"x")


def test_unwritable_folder() -> None:
    with pytest.raises(UserError, match="Cannot write to"):
        check_writable(Path("/proc/nowhere"))


def test_one_folder_has_one_result(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    settings = {"seed": 1, "studies": 5, "sizes": (1, 2), "data": Path("a")}
    claim(path, settings, what="a result")
    before = path.stat().st_mtime_ns
    claim(path, settings, what="a result")
    assert path.stat().st_mtime_ns == before
    claim(path, settings | {"studies": 7}, what="a result", free=("studies",))
    assert '"studies": 7' in path.read_text()
    with pytest.raises(UserError, match=r"holds a result with another seed \(see settings\.json\)"):
        claim(path, settings | {"seed": 2}, what="a result", free=("studies",))
    assert '"seed": 1' in path.read_text()
