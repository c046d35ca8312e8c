"""Prepared and synthetic data sets with another manifest, damaged shards, and rows that no data set has."""

from __future__ import annotations

import hashlib
import io
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.robustness.cases import (
    SPECIAL,
    Case,
    Expect,
    Folders,
    change_json,
    draw_flips,
    flipped,
    linked_copy,
    rewrite,
    special,
)

MANIFEST = "manifest.json"
FORMATS = ("png", "jpeg", "dicom", "mimic-cxr-jpg", "chexgenbench")
SIZES = ("manifest size=65", "manifest size=128")
"""Pictures are exported whatever the manifest says of their size."""
Change = Callable[[Path], object]
Rows = list[dict[str, Any]]


def cases(rng: random.Random) -> Iterator[Case]:
    """Of the commands that read any data set."""
    readers = {
        "train": lambda f, d: ["train", "image-autoencoder", "--preset", "nano", "--steps", "1", "--data", str(d),
        "--out", "out"],
        "inspect": lambda f, d: ["inspect", str(d), "--out", "out"],
        "synthesize": lambda f, d: ["synthesize", "--data", str(d), "--num", "2", "--steps", "1", "--workers", "1",
        "--model",
                                    str(f.model), "--out", "out"],
    }  # fmt: skip
    for command, line in readers.items():
        yield Case(name=f"a copy [{command}]", run=of_copy(line, lambda d: None), expect="handled")
        for name, (change, expect) in {**damage(rng), **manifests(), **contents()}.items():
            yield Case(name=f"{name} [{command}]", run=of_copy(line, change), expect=expect)
    verify = lambda f, d: ["inspect", str(d), "--verify", "--out", "out"]  # noqa: E731
    for name, (change, expect) in damage(rng).items():
        yield Case(name=f"{name} [inspect --verify]", run=of_copy(verify, change), expect=expect)


def exports(rng: random.Random) -> Iterator[Case]:
    """Of `export`, in every format."""
    for kind in FORMATS:
        line = lambda f, d, k=kind: ["export", str(d), "--to", k, "--out", "out"]  # noqa: E731
        yield Case(
            name=f"as it should be [{kind}]", run=of_copy(line, lambda d: None, synthetic=True), expect="handled"
        )
        for name, (change, expect) in {**damage(rng), **manifests()}.items():
            if not name.startswith("flip") or kind in ("png", "mimic-cxr-jpg"):
                right: Expect = "either" if name in SIZES else expect
                yield Case(name=f"{name} [{kind}]", run=of_copy(line, change, synthetic=True), expect=right)
        for column in ("study_id", "subject_id"):
            for odd in ("../../x", "/escaped", "a/../../x", "..", ".", "", "a\0b", "x" * 3000, None):
                shown = str(odd)[:12].encode("unicode_escape").decode()
                expect: Expect = "refused" if column == "study_id" and odd != "x" * 3000 else "either"
                change = rows_changed(lambda rows, c=column, v=odd: rows[0].update({c: here(v)}))
                case = of_copy(line, change, synthetic=True)
                yield Case(name=f"{column} '{shown}' [{kind}]", run=case, expect=expect, check=nothing_outside)
        twice = rows_changed(lambda rows: rows[1].update(study_id=rows[0]["study_id"]))
        yield Case(name=f"a study twice [{kind}]", run=of_copy(line, twice, synthetic=True), expect="either")
        no_set = lambda f, k=kind: ["export", str(f.prepared), "--to", k, "--out", "out"]  # noqa: E731
        yield Case(name=f"of a set that is not synthetic [{kind}]", run=no_set, expect="refused")


def here(name: str | None) -> str | None:
    """An absolute path is one in the current folder, so that nothing is ever written beyond it."""
    return f"{Path().absolute()}{name}" if name and name.startswith("/") else name


def nothing_outside() -> str:
    """Only OUT and what was there before are there."""
    found = {path.name for path in Path().iterdir()} - {"out", "copy"}
    above = {path.name for path in Path("..").iterdir()} - {"here", "stdout", "stderr", "before"}
    return f"written outside of OUT: {sorted(found | above)}" if found | above else ""


def of_copy(
    line: Callable[[Folders, Path], list[str]], change: Change, *, synthetic: bool = False
) -> Callable[[Folders], list[str]]:
    def run(folders: Folders) -> list[str]:
        data = linked_copy(folders.synthetic if synthetic else folders.prepared)
        change(data)
        return line(folders, data)

    return run


def shard(data: Path) -> Path:
    """The first of training studies."""
    return sorted(data.glob("train-*.parquet"))[0]


def damage(rng: random.Random) -> dict[str, tuple[Change, Expect]]:
    """Shards whose bytes are not those that were written; the manifest is as it was."""
    out: dict[str, tuple[Change, Expect]] = {}
    for share in (0.0, 0.1, 0.3, 0.6, 0.98, 0.9999):
        out[f"flip at {share}"] = (
            lambda d, s=share: rewrite(shard(d), flipped(shard(d).read_bytes(), [(s, 4)])),
            "refused",
        )
    for i in range(4):
        flips = draw_flips(rng, 3)
        out[f"flip {i}"] = (lambda d, fl=flips: rewrite(shard(d), flipped(shard(d).read_bytes(), fl)), "refused")
    for share in (0.01, 0.5, 0.99):
        out[f"cut at {share}"] = (
            lambda d, s=share: rewrite(shard(d), shard(d).read_bytes()[: int(s * 40_000)]),
            "refused",
        )
    for kind in SPECIAL:
        out[f"shard a {kind}"] = (lambda d, k=kind: special(shard(d), k), "refused")
        out[f"manifest a {kind}"] = (lambda d, k=kind: special(d / MANIFEST, k), "refused")
    out["shard empty"] = (lambda d: rewrite(shard(d), b""), "refused")
    out["shard no parquet"] = (lambda d: rewrite(shard(d), b"PAR1" + bytes(500) + b"PAR1"), "refused")
    out["shard of another set"] = (lambda d: rewrite(shard(d), other_shard()), "refused")
    return out


def other_shard() -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(pa.table({"a": [1, 2]}), buffer)
    return buffer.getvalue()


def manifests() -> dict[str, tuple[Change, Expect]]:
    """Manifests that are something else."""
    out: dict[str, tuple[Change, Expect]] = {}
    texts = {
        "empty": "",
        "null": "null",
        "list": "[]",
        "object": "{}",
        "number": "3",
        "garbage": "\x00{",
        "half": '{"format": 3, "stu',
    }
    for name, text in texts.items():
        out[f"manifest {name}"] = (lambda d, t=text: rewrite(d / MANIFEST, t), "refused")
    for key in ("shards", "options", "studies", "splits"):
        out[f"manifest without {key}"] = (
            lambda d, k=key: manifest(d, lambda m: m.pop(k)),
            "refused" if key != "splits" else "either",
        )
        for wrong in (None, "x", [], 7):
            name = f"manifest {key}={json.dumps(wrong)}"
            expect: Expect = "either" if key == "splits" or (key, wrong) == ("studies", 7) else "refused"
            out[name] = (lambda d, k=key, v=wrong: manifest(d, lambda m: m.update({k: v})), expect)
    for wrong in (1, 99, "3", None, -1, 3.5, []):
        out[f"manifest format={json.dumps(wrong)}"] = (
            lambda d, v=wrong: manifest(d, lambda m: m.update(format=v)),
            "refused",
        )
    for wrong in (None, "64", 0, -64, 65, 128, 10**9, [64], 64.5):
        change = lambda d, v=wrong: manifest(d, lambda m: m["options"].update(image_size=v))  # noqa: E731
        out[f"manifest size={json.dumps(wrong)}"] = (change, "refused")
    for wrong in ("../x.parquet", "/etc/passwd", "train-99999.parquet", "", "\0", "x" * 3000, "train-00000.parquet/x"):
        change = lambda d, v=wrong: manifest(d, lambda m: m["shards"].update({v: "0" * 64}))  # noqa: E731
        out[f"manifest with the shard '{wrong[:20].encode('unicode_escape').decode()}'"] = (change, "refused")
    for wrong in (None, 7, "", "x", []):
        change = lambda d, v=wrong: manifest(d, lambda m: m["shards"].update({shard(d).name: v}))  # noqa: E731
        out[f"manifest hash={json.dumps(wrong)}"] = (change, "refused" if wrong else "either")
    return out


def manifest(data: Path, change: Callable[[dict[str, Any]], object]) -> None:
    def whole(found: dict[str, Any]) -> dict[str, Any]:
        change(found)
        return found

    change_json(data / MANIFEST, whole)


def contents() -> dict[str, tuple[Change, Expect]]:
    """Shards that are whole, with the right hash, and hold what no data set does."""
    first: dict[str, Callable[[dict[str, Any]], object]] = {
        "label 9": lambda row: row.update(label_Edema=9),
        "label -3": lambda row: row.update(label_Edema=-3),
        "truth no JSON": lambda row: row.update(truth="{x"),
        "truth a list": lambda row: row.update(truth="[1]"),
        "picture broken": lambda row: row["frontals"][0].update(bytes=b"\x89PNG\r\n\x1a\nxx"),
        "picture empty": lambda row: row["frontals"][0].update(bytes=b""),
        "picture missing": lambda row: row["frontals"][0].update(bytes=None),
        "picture cut": lambda row: row["frontals"][0].update(bytes=row["frontals"][0]["bytes"][:500]),
        "picture of 32 px": lambda row: row["frontals"][0].update(bytes=png(32, 32)),
        "picture of 64 x 48": lambda row: row["frontals"][0].update(bytes=png(64, 48)),
        "picture of 9000 px": lambda row: row["frontals"][0].update(bytes=png(9000, 9000)),
        "another split": lambda row: row.update(split="test"),
    }
    out: dict[str, tuple[Change, Expect]] = {}
    for name, change in first.items():
        expect: Expect = "either" if name in ("another split", "label -3", "truth a list") else "refused"
        out[name] = (rows_changed(lambda rows, c=change: c(rows[0])), expect)
    out["label of no type"] = (columns_changed(lambda t, pa: retyped(t, "label_Edema", pa.string())), "refused")
    out["identifiers of no type"] = (columns_changed(lambda t, pa: retyped(t, "study_id", pa.binary())), "either")
    for column in ("study_id", "frontals", "report", "label_Edema", "split"):
        out[f"no column {column}"] = (columns_changed(lambda t, pa, c=column: t.drop_columns([c])), "refused")
    out["another column"] = (columns_changed(lambda t, pa: t.append_column("more", pa.array([1] * len(t)))), "either")
    out["no rows"] = (columns_changed(lambda t, pa: t.slice(0, 0)), "refused")
    return out


def png(width: int, height: int) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).save(buffer, format="PNG")
    return buffer.getvalue()


def retyped(table: Any, column: str, kind: Any) -> Any:
    return table.set_column(table.column_names.index(column), column, table.column(column).cast("string").cast(kind))


def rows_changed(change: Callable[[Rows], object]) -> Change:
    """Change rows of the first shard, in place; its hash in the manifest is the new one."""

    def of_table(table: Any, pa: Any) -> Any:
        rows = table.to_pylist()
        change(rows)
        return pa.Table.from_pylist(rows, table.schema)

    return columns_changed(of_table)


def columns_changed(change: Callable[[Any, Any], Any]) -> Change:
    def whole(data: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        path, buffer = shard(data), io.BytesIO()
        pq.write_table(change(pq.read_table(path), pa), buffer)
        rewrite(path, buffer.getvalue())
        digest = hashlib.sha256(buffer.getvalue()).hexdigest()
        manifest(data, lambda m: m["shards"].update({path.name: digest}))

    return whole
