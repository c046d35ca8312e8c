"""Files that are either whole or not there, and folders that one command at a time writes to."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from omnicxr.domain import UserError

P = ParamSpec("P")
R = TypeVar("R")
LOCK = ".lock"
"""In a folder that a command writes to."""


def cannot_write(path: Path, error: OSError) -> UserError:
    """The sentence about a full disk, or a place where nothing can be written."""
    return UserError(f"Cannot write {path}: {error.strerror or error}. Free some space or choose another folder.")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it into place when the block ends well, else remove it. What is in
    place is on the disk: it outlives a power failure.

    Raises UserError where the place cannot be written to or the disk is full.
    """
    temporary = part_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        put_in_place(temporary, path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def part_of(path: Path) -> Path:
    """Where a file or folder is written until it is whole; `output_folder` clears what dead processes left."""
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def put_in_place(temporary: Path, path: Path) -> None:
    """Rename a file, or a folder of files, once its bytes are on the disk."""
    for file in sorted(temporary.iterdir()) if temporary.is_dir() else ():
        _sync(file)
    _sync(temporary)
    temporary.replace(path)
    with suppress(OSError):  # some file systems sync files alone
        _sync(path.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, value: Any) -> None:
    """Write JSON whole or not at all; NaN is an error."""
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def read_state(path: Path) -> Any:
    """What `write_json` wrote; None where there is no file or it cannot be read, as after damage to the disk: what it
    stands for is done again."""
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    except (OSError, ValueError):
        return None


def write_once(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; one that is there already is kept."""
    if not path.exists():
        with whole_file(path) as temporary:
            temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def append_line(path: Path, line: str) -> None:
    """Add a line to a log. Raises UserError where the disk is full."""
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    except OSError as error:
        raise cannot_write(path, error) from error


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
        probe = part_of(folder / "probe")
        try:
            probe.write_bytes(b"\0" * 4096)
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"Cannot write to {folder}: {error.strerror or error}. Choose another folder or free some space."
        ) from error


def is_empty(folder: Path) -> bool:
    """Whether a folder holds nothing, or nothing but the lock of a command."""
    return all(path.name == LOCK for path in folder.iterdir())


@contextmanager
def output_folder(folder: Path, *, results: Sequence[str]) -> Iterator[None]:
    """Make the folder, and keep it for this command until the block ends; what dead processes left half-written there
    goes.

    results: patterns of what is worth keeping after an error, such as "*.parquet". Where the error comes before any of
    them is there, what came since the beginning goes too, and the folder if it is new.
    Raises UserError for a folder that another command writes to, or that cannot be written to.
    """
    missing = [path for path in (folder, *folder.parents) if not os.path.exists(path)]  # noqa: PTH110 - never raises
    ended_well = False
    try:
        check_writable(folder)
        with _locked(folder):
            _clear_parts(folder)
            before = set(folder.iterdir())
            try:
                yield
                ended_well = True
            finally:
                _clear_parts(folder)
                if not ended_well and not any(any(folder.glob(pattern)) for pattern in results):
                    for path in set(folder.iterdir()) - before:
                        _remove(path)
    finally:
        for path in missing:
            with suppress(OSError):  # of a folder that is not empty, or was never made
                path.rmdir()


def writes_out(*results: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorator of a function that writes to its argument `out` alone: `output_folder` around it."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def inside(*args: P.args, **kwargs: P.kwargs) -> R:
            out = signature(function).bind(*args, **kwargs).arguments["out"]
            with output_folder(out, results=results):
                return function(*args, **kwargs)

        return inside

    return decorate


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """The lock goes with the process that holds it, however that ends."""
    path = folder / LOCK
    while True:
        try:
            file = path.open("a")
        except OSError as error:
            raise cannot_write(path, error) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise UserError(
                f"Another command is writing to {folder}: wait until it is done, or choose another folder."
            ) from None
        except OSError:
            pass  # a file system without locks
        if path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno())):
            break
        file.close()  # the last holder removed it in between
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        file.close()


def _clear_parts(folder: Path) -> None:
    """Remove what was not written to its end."""
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            if name.startswith(".") and name.endswith(".part"):
                _remove(Path(root, name))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def claim(path: Path, settings: Mapping[str, Any], *, what: str, free: Collection[str] = ()) -> None:
    """Write `settings` to the JSON file `path`, or check that those found there are the same: one folder, one result.

    what: what the folder holds, for the error ("a simulation"). free: settings that may change when a command goes on.
    Raises UserError naming the first setting that differs, and for a file that cannot be read.
    """
    wanted = json.loads(json.dumps(dict(settings), default=str))
    found = read_state(path) if path.exists() else {}
    if not isinstance(found, dict):
        raise UserError(
            f"{path} is damaged, so that nobody knows what {path.parent} holds: remove that folder or choose another."
        )
    if found and (different := [k for k in wanted if k not in free and found.get(k) != wanted[k]]):
        raise UserError(
            f"{path.parent} holds {what} with another {different[0]} (see {path.name}): use the same settings or"
            " choose another folder."
        )
    if found != wanted:
        write_json(path, wanted)
