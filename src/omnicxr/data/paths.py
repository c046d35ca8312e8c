"""From what a table or a layout names to a file that is there: in its folder, a regular file, however it is spelt."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PureWindowsPath


def spellings(root: Path) -> set[Path]:
    """The two names of a folder that absolute paths to what is in it may begin with."""
    return {root.absolute(), root.resolve()}


def inside(roots: Iterable[Path], path: Path) -> Path | None:
    """The path without its "..", where it lies under one of the folders (absolute, see `spellings`); else None.

    Names decide, not what they lead to: a link that the user put into the folder is followed, a table cannot name
    anything outside of it.
    """
    whole = Path(os.path.normpath(path.absolute()))
    return whole if any(whole.is_relative_to(root) for root in roots) else None


def is_file(path: Path) -> bool:
    """Whether there is a regular file; a pipe or a device would never end. No name is too long or odd to ask."""
    try:
        return path.is_file()
    except OSError:
        return False


def is_folder(path: Path) -> bool:
    """Whether there is a folder. No name is too long or odd to ask."""
    try:
        return path.is_dir()
    except OSError:
        return False


def regular_file(path: Path) -> Path | None:
    """The path, or that with its extension in the other case; None where there is no such file."""
    if is_file(path):
        return path
    suffixes = [path.suffix.lower(), path.suffix.upper()] if path.suffix else []
    return next(filter(is_file, map(path.with_suffix, suffixes)), None)


def named_file(root: Path, name: str) -> Path:
    """Where a file that a table names lies under `root`; backslashes separate folders where no file is named so."""
    path = root / name
    if "\\" not in name or is_file(path):
        return path
    windows = PureWindowsPath(name)
    return Path(windows.anchor or root, windows.as_posix())
