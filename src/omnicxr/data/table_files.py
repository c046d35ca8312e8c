"""Tables of data sets, read by column name and row by row: CSV as spreadsheets and notebooks write it, plain or
gzipped, and Parquet. What a file is says its content, not its name."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import sys
import zlib
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.parquet as pq

from omnicxr.data.paths import is_file
from omnicxr.domain import UserError

csv.field_size_limit(min(sys.maxsize, 2**31 - 1))

Row = dict[str, str]
"""Column => text; blanks are "", never None."""
BLANKS = {"", "nan", "na", "n/a", "#n/a", "<na>", "nat", "none", "null", "-", "--"}
"""Cells that say nothing, in lower case."""
DELIMITERS = ",;\t|"
_HEAD = 1 << 16
_MARKS = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32"} | {
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_OFFICE = {b"PK\x03\x04": "an Excel, OpenDocument or zip file", b"\xd0\xcf\x11\xe0": "an Excel file"}


def decode_text(data: bytes) -> str:
    """Bytes => text: UTF-16 where it looks so, else UTF-8, and what is not valid there as Windows-1252. A byte-order
    mark is taken off."""
    return data.decode(_encoding(data[:_HEAD]), errors=_FALLBACK)


def table_path(path: Path) -> Path:
    """The path, or where nothing lies there the same table gzipped or unzipped."""
    other = path.with_suffix("") if path.suffix.lower() == ".gz" else path.with_name(f"{path.name}.gz")
    return other if not is_file(path) and is_file(other) else path


def read_table(path: Path, columns: Sequence[str], optional: Sequence[str] = ()) -> Iterator[Row]:
    """The rows of a table, cut to `columns`, which it must have, and those of `optional` that it has.

    Raises UserError for a missing or damaged file, another kind of file, a missing column, a column that is there
    twice, and a row with more cells than the header, naming them.
    """
    path = table_path(path)
    if path.is_dir():
        raise UserError(f"{path} is a folder, not a table: name the file.")
    if not is_file(path):
        raise UserError(f"{path} is missing: point at the folder of the data set as it was downloaded.")
    empty = True
    try:
        for row in _parquet(path, columns, optional) if _begin(path) == b"PAR1" else _csv(path, columns, optional):
            empty = False
            yield row
    except (OSError, EOFError, zlib.error, csv.Error, pa.ArrowException, ValueError, OverflowError) as error:
        raise UserError(f"{path} is damaged ({' '.join(str(error).split())}): get the file again.") from error
    if empty:
        raise UserError(f"{path} has no rows: check that the file is whole.")


def identifier(cell: str) -> str:
    """Of a patient or a study; "10000032.0", as a column with blanks has it, is 10000032."""
    return cell.strip().removesuffix(".0")


def _begin(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4)


def _kept(path: Path, header: Sequence[str], *, columns: Sequence[str], optional: Sequence[str]) -> list[str]:
    """The columns to read."""
    if missing := [c for c in columns if c not in header]:
        wanted, known = missing[0].lower(), {h.lower(): h for h in header if h}
        near = get_close_matches(wanted, known, n=1) or [h for h in known if wanted in h or h in wanted]
        hint = f"is '{known[near[0]]}' meant?" if near else f"it has {_listed(header)}."
        raise UserError(f"{path} lacks the column '{missing[0]}': {hint}")
    kept = list(dict.fromkeys([*columns, *(c for c in optional if c in header)]))
    if twice := [c for c in kept if header.count(c) > 1]:
        raise UserError(f"{path} has the column '{twice[0]}' twice: rename one of them.")
    return kept


def _listed(header: Sequence[str]) -> str:
    names = [h[:40] for h in header if h][:20]
    return f"{', '.join(names)}{', ...' if len(header) > len(names) else ''}"


def _csv(path: Path, columns: Sequence[str], optional: Sequence[str]) -> Iterator[Row]:
    with gzip.open(path, "rb") if _begin(path).startswith(b"\x1f\x8b") else path.open("rb") as file:
        binary = cast(BinaryIO, file)
        head = binary.read(_HEAD)
        binary.seek(0)
        encoding = _checked_encoding(path, head)
        lines = _Lines(io.TextIOWrapper(binary, encoding, errors=_FALLBACK, newline=""))
        start, delimiter = _delimiter(head.decode(encoding, errors=_FALLBACK), columns)
        for _ in range(start):
            next(lines)
        reader = csv.reader(lines, delimiter=delimiter)
        header = [name.strip() for name in next(reader, [])]
        kept = _kept(path, header, columns=columns, optional=optional)
        places = [(c, header.index(c)) for c in kept]
        lines.quotes, first = 0, reader.line_num + 1
        for cells in reader:
            if lines.ended and lines.quotes % 2 and reader.line_num > first:
                raise UserError(f"{path}, line {start + first}: a quotation mark is opened and never closed: close it.")
            if any(cells[len(header) :]):
                raise UserError(
                    f"{path}, line {start + first}, has {len(cells)} cells and the header {len(header)}: put text with"
                    f" '{delimiter}' in it between quotation marks."
                )
            if any(cells):
                yield {c: _text(cells[i]) if i < len(cells) else "" for c, i in places}
            lines.quotes, first = 0, reader.line_num + 1


class _Lines:
    """The lines of a file, counting quotation marks."""

    def __init__(self, file: io.TextIOWrapper) -> None:
        self.file, self.quotes, self.ended = file, 0, False

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self.file.readline()
        if not line:
            self.ended = True
            raise StopIteration
        self.quotes += line.count('"')
        return line


def _delimiter(head: str, columns: Sequence[str]) -> tuple[int, str]:
    """Lines before the header, and what separates its cells: what finds most of the wanted columns, else most cells."""
    lines = head.splitlines()
    start = next((i for i, line in enumerate(lines) if line.strip()), 0)
    if lines and (line := lines[start].strip().lower()).startswith("sep=") and len(line) == 5:  # as Excel writes it
        return start + 1, line[4]

    def fits(delimiter: str) -> tuple[int, int]:
        cells = [c.strip() for c in next(csv.reader(lines[start : start + 1], delimiter=delimiter), [])]
        return sum(c in cells for c in columns), len(cells)

    return start, max(DELIMITERS, key=fits)


def _checked_encoding(path: Path, head: bytes) -> str:
    """That of a table's text; raises UserError for what is no text."""
    if not head.strip():
        raise UserError(f"{path} is empty: check that the file is whole.")
    for begin, kind in _OFFICE.items():
        if head.startswith(begin):
            raise UserError(f"{path} is {kind}: save the sheet as CSV (UTF-8) and give that.")
    encoding = _encoding(head)
    control = sum(c < 32 and c not in b"\t\n\r\f" for c in head) / len(head)
    if encoding == "utf-8-sig" and control > 0.05:
        raise UserError(f"{path} is not a table: give CSV, plain or gzipped, or Parquet.")
    return encoding


def _encoding(head: bytes) -> str:
    """By the byte-order mark; without one UTF-16 is known by its zeros."""
    for mark, encoding in _MARKS.items():
        if head.startswith(mark):
            return encoding
    even, odd = (part.count(0) / max(1, len(part)) for part in (head[::2], head[1::2]))
    return "utf-16-le" if odd > 0.4 > 10 * even else "utf-16-be" if even > 0.4 > 10 * odd else "utf-8-sig"


def _text(cell: str) -> str:
    return "" if len(cell) < 9 and cell.strip().lower() in BLANKS else cell


def _parquet(path: Path, columns: Sequence[str], optional: Sequence[str]) -> Iterator[Row]:
    with pq.ParquetFile(path) as file:
        kept = _kept(path, file.schema_arrow.names, columns=columns, optional=optional)
        for batch in file.iter_batches(batch_size=1024, columns=kept):
            for row in batch.to_pylist():
                yield {c: _text(_written(row[c])) for c in kept}


def _written(value: Any) -> str:
    """A value as a table of text has it: whole numbers without a point, since blanks turn a column into one of
    fractions."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, bytes):
        return decode_text(value)
    return "" if value is None else str(value)


def _windows_1252(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("cp1252", errors="replace"), error.end


_FALLBACK = "omnicxr-windows-1252"
codecs.register_error(_FALLBACK, _windows_1252)
