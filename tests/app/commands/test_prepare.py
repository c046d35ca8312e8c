"""What `omnicxr prepare` prints of a data set before its pictures are read."""

from pathlib import Path

import pytest

from omnicxr.app import cli

COLUMNS = "patient=pid,study=sid,frontal=file,report=text"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Three studies whose pictures are not there."""
    rows = [f"p{i},s{i},{i}.png,Clear lungs." for i in range(3)]
    (tmp_path / "t.csv").write_text("\n".join(["pid,sid,file,text", *rows]))
    return tmp_path / "t.csv"


def run(line: str) -> int:
    with pytest.raises(SystemExit) as end:
        cli.main(line.split())
        raise SystemExit(0)
    return int(end.value.code or 0)


def test_dry_run_says_what_is_missing(capsys: pytest.CaptureFixture[str], table: Path) -> None:
    splits = table.with_name("splits.csv")
    splits.write_text("study_id,split\ns0,train\ns1,test\nx,test\ny,test\nz,test\n")
    line = f"prepare table {table} --columns {COLUMNS} --splits {splits} --out {table.parent / 'out'} --dry-run"
    assert run(line) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "not in the split table │ 1" in printed
    assert "Note: 3 of 3 (100%) pictures that the data set names are missing, and 0 of 3" in printed
    assert "Note: 3 of 5 (60%) identifiers of the split table are not in the data" in printed
    assert not (table.parent / "out").exists()


def test_a_table_of_another_data_set(capsys: pytest.CaptureFixture[str], table: Path) -> None:
    splits = table.with_name("splits.csv")
    splits.write_text("uid,split\nCXR1,train\n")
    line = f"prepare table {table} --columns {COLUMNS} --splits {splits} --face left --out {table.parent / 'out'}"
    assert run(line) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "identifiers like 'CXR1', the data like 's0'" in said
    assert not (table.parent / "out").exists()


@pytest.mark.parametrize("option", ["--face up", "--splits none.csv"])
def test_options_that_cannot_be_used(capsys: pytest.CaptureFixture[str], table: Path, option: str) -> None:
    assert run(f"prepare table {table} --columns {COLUMNS} {option} --out {table.parent / 'out'}") == 2
    assert option.split()[1] in capsys.readouterr().err
