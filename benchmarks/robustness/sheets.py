"""Tables for `prepare table`, written in code: their rows, their files, and what is kept of them."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.robustness.cases import Case, Expect, Folders
from benchmarks.robustness.films import ROLES, film, prepare, studies

HEADER = ["pid", "sid", "front", "side", "text", "fold"]
ROWS = [
    ["p1", "s1", "a.png", "b.png", "Small left effusion.", "train"],
    ["p2", "s2", "c.png", "", "Normal heart.", "test"],
]
Check = Callable[[], str]


def pictures(folders: Folders) -> None:
    """a.png, b.png and c.png: different films."""
    for i, name in enumerate("abc"):
        Image.fromarray(np.roll(film(folders), 11 * i, 1)).save(f"{name}.png")


def text_of(rows: Sequence[Sequence[str]], header: Sequence[str] = HEADER, separator: str = ",") -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=separator, lineterminator="\n").writerows([header, *rows])
    return out.getvalue()


def manifest() -> dict[str, Any]:
    return json.loads(Path("out/manifest.json").read_text())


def kept(*names: str, dropped: int = 0, pictures_left_out: int = 0) -> Check:
    """Just these studies are there, by the end of their names; so many others, and so many pictures, are counted."""

    def check() -> str:
        found, account = sorted(studies()), manifest()
        if len(found) != len(names) or not all(f.endswith(n) for f, n in zip(found, sorted(names), strict=True)):
            return f"kept {found}, right is {sorted(names)}"
        counted, left = sum(account["dropped"].values()), sum(account["images_left_out"].values())
        if counted != dropped:
            return f"{counted} studies counted as dropped, right is {dropped}"
        return "" if left >= pictures_left_out else f"{left} pictures counted as left out, right is {pictures_left_out}"

    return check


def table(
    name: str,
    rows: Sequence[Sequence[str]],
    check: Check | None,
    *,
    header: Sequence[str] = HEADER,
    columns: str = ROLES,
    more: Sequence[str] = (),
    expect: Expect | None = None,
) -> Case:
    """Rows of t.csv; without a check they must be refused."""

    def run(folders: Folders) -> list[str]:
        pictures(folders)
        Path("t.csv").write_text(text_of(rows, header))
        return prepare(columns, *more)

    return Case(name=name, run=run, expect=expect or ("handled" if check else "refused"), check=check)


def file(
    name: str, write: Callable[[], object], check: Check | None, path: str = "t.csv", expect: Expect | None = None
) -> Case:
    """A file of its own form."""

    def run(folders: Folders) -> list[str]:
        pictures(folders)
        write()
        return prepare(table=path)

    return Case(name=name, run=run, expect=expect or ("handled" if check else "refused"), check=check)


def write_as(suffix: str) -> None:
    path, text = Path(f"t.{suffix}"), text_of(ROWS, separator="\t" if suffix == "tsv" else ",")
    if suffix.lower() == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist([dict(zip(HEADER, row, strict=True)) for row in ROWS]), path)
    elif suffix.endswith("gz"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)


def typed_parquet(kind: Callable[[int], object]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [{"pid": kind(i + 1), "sid": kind(i + 1), "front": f"{'ab'[i]}.png", "side": None, "text": "Effusion.",
             "fold": "train"} for i in range(2)]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), "t.parquet")


def outside_link(folders: Folders) -> list[str]:
    pictures(folders)
    Path("data").mkdir()
    Path("data/a.png").symlink_to(Path("a.png").absolute())
    Path("data/b.png").write_bytes(Path("b.png").read_bytes())
    Path("data/t.csv").write_text(
        text_of([["p1", "s1", "a.png", "", "", "train"], ["p2", "s2", "b.png", "", "", "train"]])
    )
    return prepare(table="data/t.csv")


def linked_folder(folders: Folders) -> list[str]:
    pictures(folders)
    Path("data").mkdir()
    Path("data/files").symlink_to(Path().absolute())
    rows = [[f"p{i}", f"s{i}", f"files/{'ab'[i - 1]}.png", "", "", "train"] for i in (1, 2)]
    Path("data/t.csv").write_text(text_of(rows))
    return prepare(table="data/t.csv")


BOTH = kept("s1", "s2")
