import os
import subprocess
import sys
from pathlib import Path

import pytest

from omnicxr.data.files import LOCK, check_writable, claim, output_folder, read_state, whole_file, write_json
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


def test_settings_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    for damaged in ("", '{"seed": ', "[1]"):
        path.write_text(damaged)
        with pytest.raises(UserError, match=r"settings\.json is damaged"):
            claim(path, {"seed": 1}, what="a result")
    assert read_state(tmp_path / "nowhere") is None
    write_json(path, {"seed": 1})
    assert read_state(path) == {"seed": 1}


HOLD = """
import sys
from pathlib import Path
from omnicxr.data.files import output_folder
with output_folder(Path(sys.argv[1]), results=("*",)):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_command_at_a_time(tmp_path: Path) -> None:
    """However the one before ended, nothing of its lock and of its half-written files is in the way."""
    out = tmp_path / "out"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(out)], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout and other.stdin
    assert other.stdout.readline() == b"held\n"
    with pytest.raises(UserError, match="Another command is writing to"), output_folder(out, results=()):
        raise AssertionError
    assert (out / LOCK).exists()
    (out / "deep").mkdir()
    (out / "deep" / ".a.png.77.part").write_text("half")
    (out / ".step-3.77.part").mkdir()
    (out / "kept").write_text("")
    other.kill()
    other.communicate()
    with output_folder(out, results=("*",)):
        assert sorted(p.name for p in out.iterdir()) == [LOCK, "deep", "kept"]
    assert sorted(p.name for p in out.rglob("*")) == ["deep", "kept"]


@pytest.mark.parametrize(
    ("before", "written", "left"),
    [
        (None, "options.json", None),
        ([], "options.json", []),
        (None, "a.parquet", ["a.parquet"]),
        (["other"], "options.json", ["other"]),
        (["other", "a.parquet"], "options.json", ["a.parquet", "options.json", "other"]),
    ],
)
def test_what_an_error_leaves(tmp_path: Path, before: list[str] | None, written: str, left: list[str] | None) -> None:
    """Results stay, and what was there before; else nothing, not even the folders above."""
    out = tmp_path / "above" / "out"
    if before is not None:
        out.mkdir(parents=True)
        for name in before:
            (out / name).write_text("")
    with pytest.raises(UserError, match="stop"), output_folder(out, results=("*.parquet",)):
        (out / written).write_text("")
        raise UserError("stop")
    assert (sorted(p.name for p in out.iterdir()) if out.exists() else None) == left
    assert (tmp_path / "above").exists() == (left is not None)
