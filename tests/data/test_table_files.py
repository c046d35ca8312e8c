import gzip
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from omnicxr.data.table_files import decode_text, read_table
from omnicxr.domain import UserError

PLAIN = "pid,text\np1,Größe normal.\np2,\n"
RIGHT = [{"pid": "p1", "text": "Größe normal."}, {"pid": "p2", "text": ""}]
FORMS = {
    "comma": PLAIN.encode(),
    "semicolon": PLAIN.replace(",", ";").encode(),
    "tab": PLAIN.replace(",", "\t").encode(),
    "as Excel says it": b"sep=;\r\n" + PLAIN.replace(",", ";").encode(),
    "byte-order mark": PLAIN.encode("utf-8-sig"),
    "UTF-16": PLAIN.encode("utf-16"),
    "UTF-16, big endian": b"\xfe\xff" + PLAIN.encode("utf-16-be"),
    "UTF-16 without a mark": PLAIN.encode("utf-16-le"),
    "Windows-1252": PLAIN.encode("cp1252"),
    "gzip": gzip.compress(PLAIN.encode()),
    "Windows' line ends": PLAIN.replace("\n", "\r\n").encode(),
    "old line ends": PLAIN.replace("\n", "\r").encode(),
    "blank lines": PLAIN.replace("\n", "\n\n,\n").encode(),
    "spaces in the header": PLAIN.replace("pid,text", " pid , text ").encode(),
    "short row": PLAIN.replace("p2,", "p2").encode(),
    "blanks beyond the header": PLAIN.replace("p2,", "p2,,,").encode(),
}


def rows(path: Path, data: bytes) -> list[dict[str, str]]:
    path.write_bytes(data)
    return list(read_table(path, ("pid", "text")))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_what_a_table_is_says_its_content(tmp_path: Path, form: str, suffix: str) -> None:
    assert rows(tmp_path / f"t{suffix}", FORMS[form]) == RIGHT


@pytest.mark.parametrize("blank", ["", "  ", "nan", "NaN", "N/A", "None", "-", "#N/A", "null"])
def test_cells_that_say_nothing(tmp_path: Path, blank: str) -> None:
    assert rows(tmp_path / "t.csv", f"pid,text\np1,{blank}\n".encode()) == [{"pid": "p1", "text": ""}]


def test_quotes_and_line_ends_in_cells(tmp_path: Path) -> None:
    data = 'pid,text\np1,"He said ""no"",\n\x0breally."\np2,5" tube\n'
    assert [r["text"] for r in rows(tmp_path / "t.csv", data.encode())] == ['He said "no",\n\x0breally.', '5" tube']


def test_parquet_types(tmp_path: Path) -> None:
    columns = {
        "pid": pa.array([10000032.0, None, 2.5]),
        "text": pa.array(["a", "b", None]).dictionary_encode(),
        "label": pa.array([float("nan"), 1.0, -1.0]),
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    found = list(read_table(tmp_path / "t.parquet", ("pid", "text", "label")))
    assert [tuple(row.values()) for row in found] == [("10000032", "a", ""), ("", "b", "1"), ("2.5", "", "-1")]


REFUSED = {
    "is empty": b"",
    "has no rows": b"pid,text\n",
    "Excel": b"PK\x03\x04" + bytes(90),
    "is not a table": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "'text' twice": b"pid,text,text\np1,a,b\n",
    "lacks the column 'text': is 'Text' meant": b"pid,Text\np1,a\n",
    "lacks the column 'pid': it has a, b": b"a,b\n1,2\n",
    r"line 3, has 3 cells and the header 2": b"pid,text\np1,a\np2,b,c\n",
    r"line 2: a quotation mark is opened and never closed": b'pid,text\np1,"a\np2,b\np3,c\n',
    "is damaged .*end-of-stream": gzip.compress(PLAIN.encode())[:-9],
    "is damaged": b"PAR1" + bytes(90),
}


@pytest.mark.parametrize("said", REFUSED)
def test_refused(tmp_path: Path, said: str) -> None:
    with pytest.raises(UserError, match=said) as error:
        rows(tmp_path / "t.csv", REFUSED[said])
    assert "\n" not in str(error.value)


def test_only_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    for name, said in (
        ("pipe.csv", "is missing"),
        (".", "is a folder"),
        ("none.csv", "is missing"),
        ("a\0", "missing"),
    ):
        with pytest.raises(UserError, match=said):
            next(read_table(tmp_path / name, ("pid",)))


def test_zipped_or_not(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(PLAIN)
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(PLAIN.encode()))
    for name in ("a.csv.gz", "b.csv"):
        assert list(read_table(tmp_path / name, ("pid", "text"))) == RIGHT


def test_text_files() -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "cp1252"):
        assert decode_text("Größe".encode(encoding)) == "Größe"
    assert decode_text(b"") == ""
