"""The Parquet files of a prepared data set: their columns, writing and reading them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from omnicxr.data.files import whole_file
from omnicxr.data.images import decode_image
from omnicxr.domain import Finding, UserError

LABEL_COLUMNS = {f: f"label_{f}" for f in Finding}
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
SCHEMA = pa.schema(
    [
        ("subject_id", pa.string()),
        ("study_id", pa.string()),
        ("split", pa.string()),
        ("source", pa.string()),
        ("frontals", pa.list_(IMAGE)),
        ("frontal_views", pa.list_(pa.string())),
        ("frontal_hashes", pa.list_(pa.binary())),
        ("laterals", pa.list_(IMAGE)),
        ("lateral_views", pa.list_(pa.string())),
        ("lateral_hashes", pa.list_(pa.binary())),
        ("findings", pa.string()),
        ("impression", pa.string()),
        ("report", pa.string()),
        ("language", pa.string()),
        *((column, pa.int8()) for column in LABEL_COLUMNS.values()),
        ("age", pa.float32()),
        ("sex", pa.string()),
        ("truth", pa.string()),
        ("notes", pa.string()),
    ]
)
"""One row is one study. `bytes` are PNG, square, 8-bit grey; a view ends in "(predicted)" where the classifier decided
it; hashes are those of `omnicxr.data.duplicates`; labels are 1, 0, -1 or null; notes are `Notes` as JSON, of synthetic
studies."""

LATER = ("language", "notes")
"""Columns that older shards do not have."""


def label_columns(labels: Mapping[Finding, float | None]) -> dict[str, int | None]:
    """The label columns of a row: None and NaN are null."""
    states = {column: labels.get(f) for f, column in LABEL_COLUMNS.items()}
    return {column: None if s is None or s != s else int(s) for column, s in states.items()}


def write_rows(rows: Sequence[Mapping[str, Any]], notes: Mapping[str, Any], path: Path) -> None:
    """Write a shard whole or not at all; `notes` go to its metadata."""
    table = pa.Table.from_pylist(list(rows), SCHEMA.with_metadata({"notes": json.dumps(notes)}))
    with whole_file(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", row_group_size=64)


def read_shard(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Its rows. Raises UserError for a shard that is missing or damaged."""
    try:
        return pq.read_table(path, columns=columns and list(columns), memory_map=True).replace_schema_metadata(None)
    except (OSError, pa.ArrowException) as error:
        raise _damaged(path, error) from error


def read_notes(path: Path) -> dict[str, Any]:
    """What was noted when the shard was written: dropped studies with reasons, pictures left out. Raises as
    `read_shard`."""
    try:
        return json.loads((pq.read_schema(path).metadata or {})[b"notes"])
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise _damaged(path, error) from error


def is_shard(path: Path) -> bool:
    """Whether a shard is there with its end, which is written last; one that is not is made anew."""
    try:
        return b"notes" in (pq.read_schema(path).metadata or {})
    except (OSError, pa.ArrowException):
        return False


def _damaged(path: Path, error: Exception) -> UserError:
    why = " ".join(str(error).split())  # Arrow's are of several lines
    return UserError(
        f"The shard {path} is missing or damaged ({why}): delete it and run the command that made it again."
    )


def decode_picture(data: bytes, size: int, *, where: str) -> np.ndarray:
    """A picture of a shard => uint8 [size, size]. Raises UserError naming the study, `where`, for any other."""
    try:
        pixels = decode_image(data)
    except Exception as error:  # whatever a decoder raises means that this picture cannot be read
        raise UserError(f"{where}: the picture is damaged ({error}): make the data set again.") from error
    if pixels.shape != (size, size):
        found = " x ".join(map(str, pixels.shape[::-1]))
        raise UserError(f"{where}: the picture has {found} pixels, not {size} x {size}: make the data set again.")
    return pixels
