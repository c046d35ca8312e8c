"""Shards as they were written, or one sentence that says what is wrong: bytes, columns, rows and pictures.

Once per process and file: the hash costs a fortieth of decoding the pictures once. Worker processes rely on the process
that started them.
"""

from __future__ import annotations

import json
import multiprocessing as mp
import zlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from omnicxr.data.files import sha256
from omnicxr.data.manifest import Manifest
from omnicxr.data.plain_files import plain_file
from omnicxr.data.shards import LABEL_COLUMNS, LATER, SCHEMA, read_shard
from omnicxr.domain import IMAGE_MODALITIES, Modality, UserError

PNG = b"\x89PNG\r\n\x1a\n"
NEEDED = ("study_id", "subject_id", *(f"{m}{column}" for m in IMAGE_MODALITIES for column in ("s", "_views")))
"""Columns that hold something in every row."""
_whole: set[tuple[str, str, int, int, int]] = set()
"""What this process has checked already: path and hash, size of pictures, bytes and time of the file."""


def checked_shard(root: Path, name: str, manifest: Manifest) -> pa.Table:
    """The rows of a shard of a data set. Raises UserError for a shard that is missing, is not the one that the manifest
    names, or holds what a data set cannot hold."""
    path, size = root / name, manifest.options["image_size"]
    try:
        if mp.parent_process() is not None:
            return read_shard(path)
        if path.exists():
            plain_file(path)
        about = path.stat()
        key = (str(path.resolve()), manifest.shards[name], size, about.st_size, about.st_mtime_ns)
        if key not in _whole and manifest.shards[name] not in ("", sha256(path)):
            raise ValueError("is damaged, or another data set's: its hash is not the one in the manifest")
        table = read_shard(path)
        if key not in _whole and (problem := next(_problems(table, name.split("-")[0], size), "")):
            raise ValueError(problem)
        _whole.add(key)
        return table
    except FileNotFoundError:
        raise UserError(
            f"The shard {path} is missing: run the `omnicxr {_command(manifest)}` that made it again."
        ) from None
    except (OSError, ValueError) as error:
        problem = f"cannot be read ({error.strerror})" if isinstance(error, OSError) else error
        raise UserError(
            f"The shard {path} {problem}: delete it and run the `omnicxr {_command(manifest)}` that made it again."
        ) from error


def _command(manifest: Manifest) -> str:
    return "synthesize" if manifest.synthetic else "prepare"


def check_shards(root: Path, manifest: Manifest) -> None:
    """Every shard of a data set, one in memory at a time. Raises as `checked_shard`."""
    for name in sorted(manifest.shards):
        checked_shard(root, name, manifest)


def _problems(table: pa.Table, split: str, size: int) -> Iterator[str]:
    """What is wrong with the rows of a shard, the most basic first."""
    if not table.num_rows:
        yield "has no rows"
    for wanted in SCHEMA:
        if wanted.name not in table.column_names:
            if wanted.name not in LATER:
                yield f"has no column '{wanted.name}'"
        elif (found := table.schema.field(wanted.name).type) != wanted.type:
            yield f"has the type {found} in the column '{wanted.name}', where {wanted.type} belongs"
    for column in NEEDED:
        if table.column(column).null_count:
            yield f"has a row without '{column}'"
    if found := set(table.column("split").to_pylist()) - {split}:
        yield f"has a study of the split {found.pop()!r}"
    for column in LABEL_COLUMNS.values():
        states = set(table.column(column).unique().to_pylist()) - {1, 0, -1, None}
        if states:
            yield f"has {states.pop()} in the column '{column}', where 1, 0, -1 and null belong"
    for batch in table.to_batches():
        ids = batch.column("study_id")
        for m in IMAGE_MODALITIES:
            for row, problem in _pictures(batch, m, size):
                yield f"has the study {ids[row].as_py()!r} whose {m} picture {problem}"
        for row, text in enumerate(batch.column("truth").to_pylist()):
            if text and not _is_truth(text):
                yield f"has the study {ids[row].as_py()!r} whose simulated truth is damaged"


def _pictures(batch: pa.RecordBatch, modality: Modality, size: int) -> Iterator[tuple[int, str]]:
    """Row and problem of pictures that are not as they must be."""
    pictures, views = batch.column(f"{modality}s"), batch.column(f"{modality}_views")
    lengths = zip(pictures.value_lengths().to_pylist(), views.value_lengths().to_pylist(), strict=True)
    for row, (shown, named) in enumerate(lengths):
        if shown != named:
            yield row, f"and view do not go together ({shown} pictures, {named} views)"
    owners = pc.list_parent_indices(pictures).to_pylist()  # pyright: ignore[reportAttributeAccessIssue]
    for row, png in zip(owners, pictures.flatten().field("bytes"), strict=True):
        if problem := _png_problem(memoryview(png.as_buffer() or b"").cast("B"), size):
            yield row, problem
    for row, view in zip(owners, views.flatten().to_pylist(), strict=False):
        if view is None:
            yield row, "has no view"


def _png_problem(png: memoryview, size: int) -> str:
    """What is wrong with a PNG file, by its header and the check sums of its chunks; "" for nothing."""
    if png[:8] != PNG:
        return "is no PNG file"
    start = 8
    while start + 12 <= len(png):
        end = start + 12 + int.from_bytes(png[start : start + 4])
        if zlib.crc32(png[start + 4 : end - 4]) != int.from_bytes(png[end - 4 : end]):
            break
        if png[start + 4 : start + 8] == b"IEND":
            width, height = (int.from_bytes(png[i : i + 4]) for i in (16, 20))
            wrong = (width, height) != (size, size)
            return f"has {width} x {height} pixels, not {size} x {size}" if wrong else ""
        start = end
    return "is damaged or incomplete"


def _is_truth(text: str) -> bool:
    try:
        return all(isinstance(v, int | float) for v in json.loads(text)["measures"].values())
    except (ValueError, KeyError, TypeError, AttributeError):
        return False
