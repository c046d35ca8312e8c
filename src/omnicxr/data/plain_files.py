"""Files that somebody else wrote: opened only if they are plain files of a size that makes sense."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

from omnicxr.domain import UserError

TEXT_LIMIT = 32 << 20
"""Bytes of JSON, TOML or a report: more is another kind of file."""


def plain_file(path: Path, *, limit: int | None = None, remedy: str = "check the path") -> Path:
    """The path, if it leads to a plain file: reading a pipe or a device would wait or go on for ever.

    limit: bytes at most. remedy: what to do, for the error. Raises UserError for anything else, and for what is
    missing.
    """
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is missing or damaged ({_reason(error)}): {remedy}.") from error
    if not stat.S_ISREG(found.st_mode):
        raise UserError(f"{path} is no plain file but a folder, a pipe or a device: {remedy}.")
    if limit is not None and found.st_size > limit:
        raise UserError(f"{path} has {found.st_size} bytes, at most {limit} are read: {remedy}.")
    return path


def read_limited(path: Path, *, remedy: str = "check the path") -> bytes:
    """A plain file of at most `TEXT_LIMIT` bytes. Raises UserError as `plain_file`, and where reading fails."""
    try:
        return plain_file(path, limit=TEXT_LIMIT, remedy=remedy).read_bytes()
    except OSError as error:
        raise UserError(f"{path} is missing or damaged ({_reason(error)}): {remedy}.") from error


def read_json_object(path: Path, *, remedy: str = "get the file again") -> dict[str, Any]:
    """A JSON object. Raises UserError for a file that cannot be read or holds anything else, such as NaN."""
    try:
        found = json.loads(read_limited(path, remedy=remedy).decode("utf-8"), parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is missing or damaged ({error}): {remedy}.") from error
    if not isinstance(found, dict):
        raise UserError(f"{path} holds no JSON object: {remedy}.")
    return found


def _refused(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
