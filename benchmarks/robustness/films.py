"""Films that pictures are made from, and the two ways in which a picture is tried."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.robustness.cases import Argv, Case, Expect, Folders

SIDE = (200, 240)
"""Width and height of the films."""
TOLERANCE = 6.0
"""Mean difference of two pictures, of 255, that counts as the same: compression, other roundings."""
ROLES = "patient=pid,study=sid,frontal=front,lateral=side,report=text,split=fold"
Make = Callable[[Folders], Path]


def film(folders: Folders, *, bits: int = 8) -> np.ndarray:
    """A simulated frontal picture [240, 200], with black margins above and below: uint8, or uint16 for more bits."""
    path = sorted(folders.simulated.glob("files/*/*/*/*.jpg"))[0]
    grey = np.asarray(Image.open(path).convert("L").resize((SIDE[0], 200), Image.Resampling.BICUBIC), np.float32)
    grey = (grey - grey.min()) / (grey.max() - grey.min())
    framed = np.pad(grey, ((20, 20), (0, 0)))
    return np.round(framed * (2**bits - 1)).astype(np.uint8 if bits <= 8 else np.uint16)


def plain(folders: Folders, path: str = "plain.png") -> Path:
    """The film as any program writes it."""
    Image.fromarray(film(folders)).save(path)
    return Path(path)


def generate(folders: Folders, picture: Path | str, *more: str) -> Argv:
    """A report from the picture."""
    given = ("--frontal", str(picture), "--to", "report", "--model", str(folders.model))
    return ["generate", *given, "--num", "1", "--steps", "1", "--out", "out", *more]


def prepare(columns: str = ROLES, *more: str, table: str = "t.csv") -> Argv:
    """The table in the current folder."""
    size = ("--image-size", "64", "--workers", "1", "--out", "out")
    return ["prepare", "table", table, "--columns", columns, *size, *more]


def write_table(rows: list[tuple[str, ...]], header: str = "pid,sid,front,side,text,fold") -> None:
    """t.csv in the current folder."""
    with Path("t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([header.split(","), *rows])


def pair(folders: Folders, odd: Path, reference: Path | None = None) -> Argv:
    """Two studies without reports: s1 with the reference (or the plain film), s2 with the odd picture."""
    known = reference or plain(folders)
    write_table([("p1", "s1", str(known), "", "", "train"), ("p2", "s2", str(odd), "", "", "train")])
    return prepare()


def studies(out: str = "out") -> dict[str, dict]:
    """study_id => row of what was prepared, in order."""
    import pyarrow.parquet as pq  # never in the process that is forked

    rows = (row for path in sorted(Path(out).glob("*.parquet")) for row in pq.read_table(path).to_pylist())
    return {row["study_id"]: row for row in rows}


def picture(row: dict, view: str = "frontal") -> np.ndarray:
    """The first picture of a view, uint8."""
    return np.asarray(Image.open(io.BytesIO(row[f"{view}s"][0]["bytes"])).convert("L"))


def same_picture(tolerance: float = TOLERANCE) -> Callable[[], str]:
    """The odd picture was read as the reference."""

    def check() -> str:
        found = studies()
        if len(found) != 2:
            return f"kept {sorted(found)}: the odd picture was left out"
        a, b = (picture(row).astype(np.float32) for row in found.values())
        difference = float(np.abs(a - b).mean())
        return "" if difference <= tolerance else f"differs from the plain film by {difference:.1f} of 255"

    return check


def left_out() -> str:
    """The odd picture was left out and counted, the other study kept."""
    import json

    manifest = json.loads(Path("out/manifest.json").read_text())
    if manifest["studies"] != 1:
        return f"{manifest['studies']} studies kept, right is 1"
    counted = sum(manifest["images_left_out"].values()) + sum(manifest["dropped"].values())
    return "" if counted else "what was left out is not counted"


def not_blank() -> str:
    """The odd picture was left out, or is one with contrast."""
    found = studies()
    if "s2" not in found:
        return left_out()
    pixels = picture(found["s2"])
    return "" if pixels.std() > 8 else f"a picture without contrast (deviation {pixels.std():.1f} of 255)"


def same(name: str, make: Make, *, tolerance: float = TOLERANCE, reference: Make | None = None) -> Case:
    """A picture that must be read as the reference."""
    return Case(
        name=f"{name} [prepare]",
        run=lambda f: pair(f, make(f), reference(f) if reference else None),
        expect="handled",
        check=same_picture(tolerance),
    )


def refused(name: str, make: Make, *, says: str = "") -> list[Case]:
    """A picture that `generate` must refuse and `prepare` must leave out and count."""
    return [
        Case(name=f"{name} [generate]", run=lambda f: generate(f, make(f)), expect="refused", says=says),
        Case(name=f"{name} [prepare]", run=lambda f: pair(f, make(f)), expect="handled", check=left_out),
    ]


def whichever(name: str, make: Make, *, by_prepare: bool) -> Case:
    """Damage: refused or read, but with one sentence, and never as a black picture."""
    if by_prepare:
        return Case(name=f"{name} [prepare]", run=lambda f: pair(f, make(f)), expect="handled", check=not_blank)
    expect: Expect = "either"
    return Case(name=f"{name} [generate]", run=lambda f: generate(f, make(f)), expect=expect)
