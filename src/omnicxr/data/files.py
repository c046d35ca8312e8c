"""Files that are either whole or not there."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from omnicxr.domain import UserError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it into place when the block ends well, else remove it.

    Raises UserError where the place cannot be written to or the disk is full.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise UserError(
            f"Cannot write {path}: {error.strerror or error}. Free some space or choose another folder."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write JSON whole or not at all; NaN is an error."""
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def write_once(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; one that is there already is kept."""
    if not path.exists():
        with whole_file(path) as temporary:
            temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sha256(*paths: Path) -> str:
    """Hash of the files' bytes, one after the other."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def check_writable(folder: Path) -> None:
    """Make the folder, or say in one sentence why it cannot be written to, before any work is done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe.{os.getpid()}"
        probe.write_bytes(b"\0" * 4096)
        probe.unlink()
    except OSError as error:
        raise UserError(
            f"Cannot write to {folder}: {error.strerror or error}. Choose another folder or free some space."
        ) from error


def claim(path: Path, settings: Mapping[str, Any], *, what: str, free: Collection[str] = ()) -> None:
    """Write `settings` to the JSON file `path`, or check that those found there are the same: one folder, one result.

    what: what the folder holds, for the error ("a simulation"). free: settings that may change when a command goes on.
    Raises UserError naming the first setting that differs.
    """
    wanted = json.loads(json.dumps(dict(settings), default=str))
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if found and (different := [k for k in wanted if k not in free and found.get(k) != wanted[k]]):
        raise UserError(
            f"{path.parent} holds {what} with another {different[0]} (see {path.name}): use the same settings or"
            " choose another folder."
        )
    if found != wanted:
        write_json(path, wanted)
