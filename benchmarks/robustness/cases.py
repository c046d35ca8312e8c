"""What an input is, what is right for it, and small helpers that make inputs."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Expect = Literal["refused", "handled", "either"]
"""refused: exit status 2, one sentence, nothing left behind. handled: exit status 0, nothing on stderr. either: one of
the two, for damage of which nobody can say what is right."""
Argv = list[str]
Flips = Sequence[tuple[float, int]]
"""Where a byte is changed, as a share of the file, and what it is xored with."""


@dataclass(frozen=True)
class Folders:
    """What inputs are made from: a small model, data sets, and the pictures of their studies."""

    root: Path

    @property
    def simulated(self) -> Path:
        return self.root / "simulated"

    @property
    def prepared(self) -> Path:
        return self.root / "prepared"

    @property
    def model(self) -> Path:
        return self.root / "model"

    @property
    def synthetic(self) -> Path:
        return self.root / "synthetic"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One input."""

    name: str
    run: Callable[[Folders], Argv | Callable[[], object]]
    """In an empty folder: makes the input; returns the command line, or what is to be called."""
    expect: Expect
    says: str = ""
    """What the sentence must name: a file, an argument, a setting."""
    check: Callable[[], str] | None = None
    """After success, in the same folder: "" or what is wrong with the result."""


def variants(name: str, values: Iterable[Any], make: Callable[[Any], Case]) -> Iterator[Case]:
    """A case for each value, called NAME=VALUE."""
    for value in values:
        case = make(value)
        shown = str(value) if len(str(value)) < 40 else f"{str(value)[:30]}... ({len(str(value))} long)"
        yield Case(name=f"{name}={shown}", run=case.run, expect=case.expect, says=case.says, check=case.check)


def linked_copy(folder: Path, name: str = "copy") -> Path:
    """A copy in the current folder that costs nothing; change its files with `rewrite` alone."""
    shutil.copytree(folder, name, copy_function=_link)
    return Path(name)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=True)
    except OSError:  # another disk
        shutil.copyfile(source, target)


def rewrite(path: Path, data: bytes | str) -> Path:
    """Put other bytes into the place of a file, which may be a link to one that others use."""
    path.unlink(missing_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def change_json(path: Path, change: Callable[[Any], Any]) -> None:
    """Replace what a JSON file holds by `change` of it; what that returns is written, NaN and all."""
    rewrite(path, json.dumps(change(json.loads(path.read_text()))))


def draw_flips(rng: random.Random, count: int) -> Flips:
    """`count` changes of a byte."""
    return [(rng.random(), rng.randrange(1, 256)) for _ in range(count)]


def flipped(data: bytes, flips: Flips) -> bytes:
    """The bytes with those changes."""
    out = bytearray(data)
    for share, bits in flips:
        out[min(int(share * len(out)), len(out) - 1)] ^= bits
    return bytes(out)


def special(path: Path, kind: str) -> Path:
    """Something at `path` that is no file: opening a FIFO would wait for ever, /dev/zero never ends."""
    path.unlink(missing_ok=True)
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "device":
            path.symlink_to("/dev/zero")
        case "dangling":
            path.symlink_to("nowhere")
    return path


SPECIAL = ("fifo", "folder", "device", "dangling", "missing")
