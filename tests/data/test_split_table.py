"""A table of splits beside a data set: how it is read, and what becomes of the studies that it names or does not."""

import gzip
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from omnicxr.data.files import sha256
from omnicxr.data.selection import Selection, Selector
from omnicxr.data.split_table import SplitTable, read_split_table
from omnicxr.domain import Study, UserError

ROWS = "uid,split\n1,train\n2,Valid\n3,test\n1,train\n"


def write(path: Path, text: str = ROWS) -> Path:
    path.write_text(text)
    return path


def test_its_splits_are_called_as_here(tmp_path: Path) -> None:
    """One identifier named twice with one split is no contradiction."""
    path = write(tmp_path / "s.csv")
    table = read_split_table(path)
    assert table.splits == {"1": "train", "2": "validate", "3": "test"}
    assert (table.column, table.sha256) == ("uid", sha256(path))


def test_gzipped_and_parquet(tmp_path: Path) -> None:
    """Numbers too: a column with a blank elsewhere is one of fractions."""
    (tmp_path / "s.csv.gz").write_bytes(gzip.compress(ROWS.encode()))
    splits = {"uid": [1.0, 2.0, 3.0], "split": ["train", "val", "test"]}
    pq.write_table(pa.table(splits), tmp_path / "s.parquet")
    for name in ("s.csv.gz", "s.csv", "s.parquet"):  # s.csv lies there gzipped
        assert read_split_table(tmp_path / name).splits == {"1": "train", "2": "validate", "3": "test"}


@pytest.mark.parametrize(
    ("columns", "counts"),
    [("subject_id,study_id,uid", "uid"), ("subject_id,study_id", "study_id"), ("dicom_id,subject_id", "subject_id")],
)
def test_the_first_column_of_identifiers_counts(tmp_path: Path, columns: str, counts: str) -> None:
    names = columns.split(",")
    path = write(tmp_path / "s.csv", f"{columns},split\n{','.join(f'of {name}' for name in names)},train\n")
    table = read_split_table(path)
    assert (table.column, table.splits) == (counts, {f"of {counts}": "train"})
    study = Study(subject_id="patient", study_id="study", source="any")
    assert table.identifier(study) == ("patient" if counts == "subject_id" else "study")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("uid,split\n7,train\n8,test\n7,test\n", r"s\.csv has 7 in the splits train and test: take one of them out"),
        ("uid,split\n7,train\n8,\n", r"row 3 \(8\): the split is blank: write train, validate, test"),
        ("uid,split\n7,dev\n", r"row 2 \(7\): 'dev' is no split"),
        ("uid,split\n7,train\n,test\n", r"row 3: the column 'uid' is blank"),
        ("name,split\n7,train\n", r"call its column of identifiers uid, study_id or subject_id"),
        ("uid,fold\n7,train\n", r"lacks the column 'split'"),
        ("uid,split\n", r"has no rows"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        read_split_table(write(tmp_path / "s.csv", text))


def test_a_table_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"No such split table: .*none\.csv"):
        read_split_table(tmp_path / "none.csv")


def table_of(splits: dict[str, str], column: str = "study_id") -> SplitTable:
    return SplitTable(path=Path("where/s.csv"), column=column, splits=splits, sha256="")


def selected(table: SplitTable, studies: Sequence[tuple[str, str]], limit: int | None = None) -> Selector:
    """A selector that has seen (patient, study) pairs of a data set with a partition of its own."""
    selector = Selector(Selection(limit=limit), table)
    for patient, name in studies:
        study = Study(
            subject_id=patient, study_id=name, source="any", split="train", sections={"findings": "Clear lungs."}
        )
        if chosen := selector.select(study):
            assert chosen[0].split == table.splits[table.identifier(study)]
    selector.close()
    return selector


def test_every_study_is_kept_as_named_or_counted() -> None:
    studies = [("p1", "a"), ("p2", "b"), ("p3", "c")]
    account = selected(table_of({"a": "test", "b": "validate", "x": "train", "y": "train"}), studies).account
    assert (account.seen, account.kept, account.dropped) == (3, 2, {"not in the split table": 1})
    assert account.noticed == {"named in the split table, not in the data": 2}


def test_patients_named_have_all_their_studies() -> None:
    studies = [("p1", "a"), ("p1", "b"), ("p2", "c")]
    account = selected(table_of({"p1": "test"}, "subject_id"), studies).account
    assert (account.kept, account.dropped, account.noticed) == (2, {"not in the split table": 1}, {})


def test_a_patient_in_two_splits_is_refused_with_the_table() -> None:
    with pytest.raises(UserError, match=r"Patient p1 of any is in the splits train and test: mend where/s\.csv"):
        selected(table_of({"a": "train", "b": "test"}), [("p1", "a"), ("p1", "b")])


def test_a_table_of_other_identifiers_is_refused_with_one_of_each_side() -> None:
    with pytest.raises(UserError, match=r"names none of the 2 studies.*'uid' has identifiers like 'CXR1'.*like 'a'"):
        selected(table_of({"CXR1": "train", "CXR2": "test"}, "uid"), [("p1", "a"), ("p2", "b")])


def test_a_limit_says_nothing_of_what_was_not_read() -> None:
    account = selected(table_of({"a": "train", "b": "train"}), [("p1", "a")], limit=1).account
    assert account.noticed == {}


@pytest.mark.parametrize(("absent", "warned"), [(2, False), (3, True)])
def test_more_than_half_absent_is_a_warning(absent: int, warned: bool) -> None:
    """Of the table, not of the data."""
    table = table_of({"a": "train", "b": "train"} | {f"x{i}": "test" for i in range(absent)})
    said = selected(table, [("p1", "a"), ("p2", "b")]).warnings(missing=0)
    assert bool(said) == warned
    assert not warned or said[0].startswith("3 of 5 (60%) identifiers of the split table are not in the data")


def test_in_a_mixture_a_table_may_speak_of_one_data_set(tmp_path: Path) -> None:
    """The other one, which has the same identifiers, keeps its own partition."""
    table = read_split_table(write(tmp_path / "s.csv", "uid,source,split\n1,openi,test\n2,openi,validate\n"))
    selector = Selector(Selection(), table)
    studies = [
        Study(subject_id=name, study_id=name, source=source, split=split, sections={"findings": "Clear lungs."})
        for source, split in (("openi", ""), ("nih", "train"))
        for name in ("1", "2", "3")
    ]
    found = [selector.select(study) for study in studies]
    assert [kept[0].split if kept else None for kept in found] == ["test", "validate", None, "train", "train", "train"]
    selector.close()
    assert not selector.account.noticed
    with pytest.raises(UserError, match=r"row 2 \(1\): the column 'source' is blank"):
        read_split_table(write(tmp_path / "t.csv", "uid,source,split\n1,,test\n"))
