"""Tables as hospitals, spreadsheets and notebooks hand them over."""

import csv
import os
from pathlib import Path

import pytest
from PIL import Image

from omnicxr.data.manifest import Manifest
from omnicxr.data.prepare import PrepareConfig, prepare
from omnicxr.data.selection import Selection
from omnicxr.data.sources.table import TableSource
from omnicxr.domain import Finding, Study, UserError

HEADER = ("pid", "sid", "front", "side", "text", "fold")
COLUMNS: dict[str, str] = dict(zip(("patient", "study", "frontal", "lateral", "report", "split"), HEADER, strict=True))
OUTSIDE = "path leaves the data folder (link what lies outside into it)"


def table(folder: Path, *rows: str, header: tuple[str, ...] = HEADER) -> Path:
    """Rows, their cells separated by blanks; "." is a blank cell. Two pictures lie beside it and one in a folder."""
    (folder / "sub").mkdir(exist_ok=True)
    for name in ("a.png", "b.png", "sub/c.PNG"):
        Image.linear_gradient("L").resize((64, 64)).save(folder / name)
    with (folder / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header, *(["" if c == "." else c for c in row.split()] for row in rows)])
    return folder / "t.csv"


def read(path: Path, columns: dict[str, str] = COLUMNS) -> tuple[dict[str, Study], TableSource]:
    source = TableSource(path, columns)
    return {f"{s.subject_id}/{s.study_id}": s for s in source.studies()}, source


def prepared(path: Path, **options) -> Manifest:
    config = PrepareConfig(kind="table", image_size=64, columns=COLUMNS, **options)
    return prepare(config, path, path.parent / "out")


def test_a_study_belongs_to_its_patient(tmp_path: Path) -> None:
    path = table(tmp_path, "p1 1 a.png . x train", "p2 1 b.png . x test", "p1 1 . b.png . .")
    studies, _ = read(path)
    assert {name: (s.split, len(s.images)) for name, s in studies.items()} == {
        "p1/1": ("train", 2),
        "p2/1": ("test", 1),
    }
    assert prepared(path).splits == {"train": 1, "validate": 0, "test": 1}


def test_rows_of_a_study_add_up(tmp_path: Path) -> None:
    studies, source = read(table(tmp_path, "p1 s1 a.png . . .", "p2 s2 b.png . x train", "p1 s1 b.png . Edema. test"))
    study = studies["p1/s1"]
    assert (len(study.images), study.split, list(study.sections.values())) == (2, "test", ["Edema."])
    assert source.noticed == {}
    _, source = read(table(tmp_path, "p1 s1 a.png . Edema. .", "p1 s1 b.png . Clear. ."))
    assert source.noticed == {"rows of one study differ in report (the first one counts)": 1}
    with pytest.raises(UserError, match="study s1 of patient p1 is in the splits train and test"):
        read(table(tmp_path, "p1 s1 a.png . . train", "p1 s1 b.png . . test"))


def test_identifiers(tmp_path: Path) -> None:
    rows = ("10000032.0 5.0 a.png . x .", "10000032 5 b.png . x .", ". s2 a.png . x .", "p3 nan a.png . x .")
    studies, source = read(table(tmp_path, *rows, "1.00E+07 5.04E+07 a.png . x ."))
    assert {name: len(s.images) for name, s in studies.items()} == {"10000032/5": 2}
    rounded = "identifier 1.00E+07 was rounded by a spreadsheet (write it as text)"
    assert source.dropped == {"no patient or study identifier": 2, rounded: 1}


def test_labels_age_and_sex(tmp_path: Path) -> None:
    header = (*HEADER, "Edema", "Pneumonia", "age", "sex")
    rows = (
        "p1 s1 a.png . x train nan 1.0 063Y Female",
        "p2 s2 a.png . x train True -1 500 X",
        "p3 s3 a.png . x train 2 0 . .",
    )
    studies, source = read(table(tmp_path, *rows, header=header), {**COLUMNS, "age": "age", "sex": "sex"})
    found = [
        (s.labels[Finding.EDEMA], s.labels[Finding.PNEUMONIA], s.age, s.sex, len(s.images)) for s in studies.values()
    ]
    assert found == [(None, 1, 63.0, "F", 1), (None, -1, None, None, 1), (None, 0, None, None, 1)]
    blank = "is none of 1, 0, -1 (left blank)"
    assert source.noticed == {
        f"label Edema 'True' {blank}": 1,
        f"label Edema '2' {blank}": 1,
        "age '500' is not known (left blank)": 1,
        "sex 'X' is not known (left blank)": 1,
    }


def test_a_column_of_anything_makes_a_short_account(tmp_path: Path) -> None:
    header = ("pid", "sid", "front", "view", "text", "fold")
    columns = {"patient": "pid", "study": "sid", "image": "front", "view": "view", "report": "text"}
    rows = [f"p{i} s{i} a.png code{i}{'x' * 99} x ." for i in range(50)]
    studies, source = read(table(tmp_path, *rows, "q1 s1 a.png pa x .", "q2 s2 a.png . x .", header=header), columns)
    assert [str(ref.view) for name in ("q1/s1", "q2/s2") for ref in studies[name].images] == ["PA", "None"]
    assert (sum(source.images_left_out.values()), len(source.images_left_out)) == (50, 21)
    assert max(map(len, source.images_left_out)) < 60


def test_where_pictures_lie(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    inside = ("./a.png", "sub\\c.PNG", "sub/c.png", "sub/../a.png", str(tmp_path / "a.png"))
    outside = ("../a.png", "/etc/passwd", "..\\a.png", "C:\\a.png", "sub/../../a.png")
    missing = ("none.png", "sub", "pipe.png", "zero.png", "a.png\0", "x" * 5000, "a/" * 3000)
    for names, reason in ((inside, None), (outside, OUTSIDE), (missing, "file missing")):
        for name in names:
            studies, source = read(table(tmp_path, f"p1 s1 {name} . x train"))
            assert len(studies["p1/s1"].images) == (not reason), name
            assert source.images_left_out == ({reason: 1} if reason else {}), name


def test_links_are_followed(tmp_path: Path) -> None:
    for name in ("disk", "data"):
        (tmp_path / name).mkdir()
    table(tmp_path / "disk")
    (tmp_path / "data/files").symlink_to(tmp_path / "disk")
    (tmp_path / "data/a.png").symlink_to(tmp_path / "disk/a.png")
    (tmp_path / "link").symlink_to(tmp_path / "data")
    rows = "p1 s1 files/a.png a.png x train\n"
    (tmp_path / "data/t.csv").write_text(",".join(HEADER) + "\n" + rows.replace(" ", ","))
    studies, _ = read(tmp_path / "link/t.csv")
    assert len(studies["p1/s1"].images) == 2


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("p1 s1 a.png . x Training", "unknown split 'Training'"),
        ("p1 s1 none.png . . train", "file missing: 1"),
        (". s1 a.png . x train", "no patient or study identifier: 1"),
        ("p1 s1 t.csv . . train", r"unreadable image: 1.*t\.csv"),
    ],
)
def test_nothing_kept_is_an_error_with_the_reason(tmp_path: Path, row: str, said: str) -> None:
    path = table(tmp_path, row)
    with pytest.raises(UserError, match=f"of 1 studies none was kept.*{said}"):
        prepared(path)
    assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match=said):
        prepared(path)
    assert not list((tmp_path / "out").iterdir())


def test_what_is_lost_is_named(tmp_path: Path) -> None:
    """A study of which no picture can be read is not kept for its report; the file of each is named."""
    (tmp_path / "bad.png").write_bytes(b"no picture")
    path = table(tmp_path, "p1 s1 bad.png . x train", "p2 s2 bad.png b.png x train", "p3 s3 a.png . x holdout")
    manifest = prepared(path, selection=Selection())
    assert (manifest.studies, manifest.studies_seen) == (1, 3)
    assert {reason[:21]: n for reason, n in manifest.dropped.items()} == {
        "unknown split 'holdou": 1,
        "unreadable image": 1,
    }
    assert [(note["study_id"], "bad.png" in note["error"]) for note in manifest.unreadable] == [
        ("s1", True),
        ("s2", True),
    ]


def test_progress_while_the_table_is_read(tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    path = table(tmp_path, *(f"p{i} s{i} . . Clear. train" for i in range(1200)))
    config = PrepareConfig(kind="table", image_size=64, columns=COLUMNS)
    prepare(config, path, tmp_path / "out", progress=lambda done, total: seen.append((done, total)))
    assert seen[:3] == [(500, None), (1000, None), (1, 5)]
