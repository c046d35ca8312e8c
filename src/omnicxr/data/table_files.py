"""Tables of data sets: CSV, plain or gzipped, and Parquet, read by column name and row by row."""

from __future__ import annotations

import codecs
import csv
import gzip
import sys
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from omnicxr.domain import UserError

csv.field_size_limit(min(sys.maxsize, 2**31 - 1))

Row = dict[str, str]
"""Column => text; blanks are "", never None."""


def decode_text(data: bytes) -> str:
    """Bytes => text: UTF-8, and what is not valid there as Windows-1252. A byte-order mark is taken off."""
    return data.decode("utf-8-sig", errors=_FALLBACK)


def read_table(path: Path, columns: Sequence[str], optional: Sequence[str] = ()) -> Iterator[Row]:
    """The rows of a table, cut to `columns`, which it must have, and those of `optional` that it has.

    Raises UserError for a missing or damaged file and for a missing column, naming them.
    """
    if not path.is_file():
        raise UserError(f"{path} is missing: point at the folder of the data set as it was downloaded.")
    rows = _parquet(path) if path.suffix == ".parquet" else _csv(path)
    first = next(rows, None)
    if first is None:
        raise UserError(f"{path} has no rows: check that the download is whole.")
    if missing := [c for c in columns if c not in first]:
        raise UserError(f"{path} lacks the column '{missing[0]}': check that it is the table of the release.")
    kept = [*columns, *(c for c in optional if c in first)]
    for row in chain([first], rows):
        yield {c: row[c] for c in kept}


def _csv(path: Path) -> Iterator[Row]:
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as binary:
            reader = csv.DictReader(codecs.getreader("utf-8-sig")(binary, errors=_FALLBACK))  # type: ignore[arg-type]
            for row in reader:
                yield {k: v or "" for k, v in row.items() if k is not None}
    except (OSError, EOFError, csv.Error) as error:
        raise UserError(f"{path} is damaged ({error}): download it again.") from error


def _parquet(path: Path) -> Iterator[Row]:
    try:
        for batch in pq.ParquetFile(path).iter_batches(batch_size=1024):
            for row in batch.to_pylist():
                yield {k: "" if v is None else str(v) for k, v in row.items()}
    except (OSError, pa.ArrowInvalid) as error:
        raise UserError(f"{path} is damaged ({error}): download it again.") from error


def _windows_1252(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("cp1252", errors="replace"), error.end


_FALLBACK = "omnicxr-windows-1252"
codecs.register_error(_FALLBACK, _windows_1252)
