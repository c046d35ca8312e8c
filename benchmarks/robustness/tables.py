"""Tables for `prepare table`: separators, encodings, blanks, identifiers, labels, views, splits, paths, sizes."""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.robustness.cases import SPECIAL, Case, Expect, Folders, draw_flips, flipped, special
from benchmarks.robustness.films import ROLES, prepare, studies
from benchmarks.robustness.sheets import (
    BOTH,
    HEADER,
    ROWS,
    file,
    kept,
    linked_folder,
    manifest,
    outside_link,
    pictures,
    table,
    text_of,
    typed_parquet,
    write_as,
)

FLIPS = 30


def cases(rng: random.Random) -> Iterator[Case]:
    """All of them."""
    yield from forms()
    yield from blanks()
    yield from identifiers()
    yield from labels_and_views()
    yield from splits_and_persons()
    yield from paths()
    yield from columns()
    yield from sizes()
    yield from damaged(rng)


def forms() -> Iterator[Case]:
    """Separators, encodings, line ends, quotes, containers."""
    plain = text_of(ROWS)
    texts: dict[str, bytes] = {
        "comma": plain.encode(),
        "semicolon": text_of(ROWS, separator=";").encode(),
        "tab": text_of(ROWS, separator="\t").encode(),
        "bom": plain.encode("utf-8-sig"),
        "utf-16": plain.encode("utf-16"),
        "utf-16 little endian": b"\xff\xfe" + plain.encode("utf-16-le"),
        "utf-16 big endian": b"\xfe\xff" + plain.encode("utf-16-be"),
        "windows": plain.replace("\n", "\r\n").encode(),
        "old macintosh": plain.replace("\n", "\r").encode(),
        "latin-1": plain.replace("Normal", "Normál").encode("latin-1"),
        "blank lines": plain.replace("\n", "\n\n").encode(),
        "no line at the end": plain.rstrip("\n").encode(),
        "quoted": text_of([[*r[:4], r[4] + ' He said "no",\nreally.', r[5]] for r in ROWS]).encode(),
        "all quoted": "\n".join(",".join(f'"{c}"' for c in r) for r in [HEADER, *ROWS]).encode(),
        "spaces around": "\n".join(" , ".join(r) for r in [HEADER, *ROWS]).encode(),
        "gzip inside": gzip.compress(plain.encode()),
    }
    for name, data in texts.items():
        expect: Expect | None = "either" if name in ("gzip inside", "spaces around", "old macintosh") else None
        yield file(f"form {name}", lambda d=data: Path("t.csv").write_bytes(d), BOTH, expect=expect)
    for suffix in ("csv.gz", "CSV", "tsv", "txt", "parquet", "PARQUET"):
        yield file(f"suffix {suffix}", lambda s=suffix: write_as(s), BOTH, path=f"t.{suffix}", expect="either")
    for suffix in ("csv.gz", "parquet"):
        yield file(f"plain {suffix}", lambda s=suffix: write_as(s), BOTH, path=f"t.{suffix}")
    bad = {"empty": b"", "header only": (",".join(HEADER) + "\n").encode(), "zeros": bytes(4000),
    "xlsx": b"PK\3\4" + bytes(900),
           "html": b"<html><body>Sign in</body></html>", "json": b'{"pid": 1}', "line ends": b"\n\n\n",
           "png": b"\x89PNG\r\n\x1a\n"}  # fmt: skip
    for name, data in bad.items():
        for suffix in ("csv", "csv.gz", "parquet"):
            path = f"t.{suffix}"
            yield file(f"{name} as {suffix}", lambda d=data, p=path: Path(p).write_bytes(d), None, path=path)
    for kind in SPECIAL:
        yield file(f"{kind} as the table", lambda k=kind: special(Path("t.csv"), k), None)


def blanks() -> Iterator[Case]:
    """What people write where there is nothing."""
    for word in ("", " ", "nan", "NaN", "N/A", "NA", "None", "null", "NULL", "-", "#N/A"):

        def no_report(word: str = word) -> str:
            row = next(iter(studies().values()))
            return f"the report is '{row['report']}'" if row["report"] else kept("s1", "s2")()

        rows = [["p1", "s1", "a.png", word, word, "train"], ["p2", "s2", "b.png", word, word, "test"]]
        yield table(f"blank cells '{word}'", rows, no_report)
        labelled = [[*ROWS[0], word], [*ROWS[1], "1"]]
        yield table(f"blank label '{word}'", labelled, BOTH, header=[*HEADER, "Edema"])
        of_one = [["p1", word, *ROWS[0][2:]], ["p2", "s2", *ROWS[1][2:]]]
        yield table(f"blank study '{word}'", of_one, None, expect="either")
        yield table(f"blank patient '{word}'", [[word, *ROWS[0][1:]], ROWS[1]], None, expect="either")
        yield table(f"nothing at all '{word}'", [["p1", "s1", word, word, word, "train"]], None)


def identifiers() -> Iterator[Case]:
    """A study belongs to its patient; rows of one need not stand together."""
    one = lambda p, s, a="a.png", fold="train": [p, s, a, "", "Effusion.", fold]  # noqa: E731

    def two_of_two() -> str:
        rows = list(studies().values())
        patients = sorted(str(row["subject_id"]) for row in rows)
        return "" if len(rows) == 2 and len(set(patients)) == 2 else f"studies of {patients}, right are two patients"

    yield table("one study number of two patients", [one("p1", "1"), one("p2", "1", "b.png", "test")], two_of_two)

    def two_frontals() -> str:
        first = next(row for name, row in studies().items() if name.endswith("s1"))
        count = len(first["frontals"])
        return (
            ""
            if len(studies()) == 2 and count == 2
            else f"{len(studies())} studies, {count} frontals of s1; right is 2, 2"
        )

    apart = [one("p1", "s1"), one("p2", "s2", "b.png"), one("p1", "s1", "c.png")]
    yield table("rows of a study apart", apart, two_frontals)
    yield table("a patient in two splits", [one("p1", "s1"), one("p1", "s2", "b.png", "test")], None)
    for odd in (
        "../../x",
        "/etc/x",
        "a/b",
        "a\\b",
        "..",
        "con",
        "x" * 3000,
        "é",
        "1.0",
        "1e5",
        "<script>",
        "a\nb",
        "'",
        "0",
    ):
        shown = odd if len(odd) < 20 else f"{len(odd)} characters"
        yield table(f"study called {shown!r}", [one("p1", odd), one("p2", "s2", "b.png")], None, expect="either")
        yield table(f"patient called {shown!r}", [one(odd, "s1"), one("p2", "s2", "b.png")], BOTH)
    yield file("parquet with float identifiers", lambda: typed_parquet(float), kept("1", "2"), path="t.parquet")
    yield file("parquet with int identifiers", lambda: typed_parquet(int), kept("1", "2"), path="t.parquet")
    yield file(
        "parquet with missing identifiers",
        lambda: typed_parquet(lambda i: None),
        None,
        path="t.parquet",
        expect="either",
    )


def labels_and_views() -> Iterator[Case]:
    """Labels beside 1, 0, -1; views beside the known codes."""
    for word in ("1", "0", "-1", "1.0", "-1.0", " 1 "):
        yield table(f"label '{word}'", [[*ROWS[0], word], [*ROWS[1], ""]], BOTH, header=[*HEADER, "Edema"])
    for word in ("True", "positive", "yes", "2", "9", "0.5", "1e99", "inf", "x", "1;0", "é"):

        def with_pictures() -> str:
            """Whatever becomes of the label, picture and report stay, or the study is counted."""
            found = studies()
            return "" if len(found) == 2 or sum(manifest()["dropped"].values()) == 1 else f"kept {sorted(found)}"

        labelled = [[*ROWS[0], word], [*ROWS[1], "1"]]
        yield table(f"label '{word}'", labelled, with_pictures, header=[*HEADER, "Edema"], expect="either")
        only = [[*ROWS[0][:3], "", "", "train", word]]
        yield table(f"label '{word}' of the only study", only, None, header=[*HEADER, "Edema"], expect="either")
    roles = "patient=pid,study=sid,image=front,view=view,report=text"
    header = ["pid", "sid", "front", "view", "text"]
    for word in ("PA", "pa", "AP", "frontal", "LATERAL", "ll", "", " PA "):
        rows = [["p1", "s1", "a.png", word, "Effusion."], ["p2", "s2", "b.png", "PA", "Effusion."]]
        yield table(f"view '{word}'", rows, BOTH, header=header, columns=roles)
    for word in ("AP AXIAL", "SWIMMERS", "LAO", "RPO", "XTABLE", "PA/LAT", "9", "é", "P" * 500):
        rows = [["p1", "s1", "a.png", word, ""], ["p2", "s2", "b.png", "PA", "Effusion."]]
        check = kept("s2", dropped=1, pictures_left_out=1)
        yield table(f"view '{word[:20]}'", rows, check, header=header, columns=roles)
        yield table(f"view '{word[:20]}' of all", rows[:1], None, header=header, columns=roles)


def splits_and_persons() -> Iterator[Case]:
    """Names of splits, ages, sexes."""
    for word in ("train", "TRAIN", "validate", "valid", "val", "test", "Test "):
        rows = [[*ROWS[0][:5], word], ROWS[1]]
        yield table(f"split '{word}'", rows, BOTH)
    for word in ("Training", "dev", "0", "holdout", "fold 3", "é", "train,test"):
        rows = [[*ROWS[0][:5], word]]
        yield table(
            f"split '{word}' of all", rows, None, expect="refused" if word not in ("Training", "dev") else "either"
        )
        yield table(f"split '{word}' of one", [*rows, ROWS[1]], None, expect="either")
    header, roles = [*HEADER, "age", "sex"], f"{ROLES},age=age,sex=sex"
    persons = [("63", "M"), ("063Y", "male"), ("63.0", "Female"), ("", ""), ("nan", "nan"), ("abc", "X"), ("-5", "0"),
               ("500", "f"), ("1e400", "?"), ("6 months", "O"), ("90+", "U")]  # fmt: skip
    for age, sex in persons:
        yield table(
            f"age '{age}', sex '{sex}'",
            [[*ROWS[0], age, sex], [*ROWS[1], "50", "F"]],
            BOTH,
            header=header,
            columns=roles,
        )


def paths() -> Iterator[Case]:
    """Where pictures are said to lie."""
    other = ["p2", "s2", "b.png", "", "Normal heart.", "train"]
    for where in ("sub/a.png", "./a.png", "sub\\a.png", "sub/../a.png", "sub//a.png"):

        def run(folders: Folders, where: str = where) -> list[str]:
            pictures(folders)
            Path("sub").mkdir()
            Path("sub/a.png").write_bytes(Path("a.png").read_bytes())
            Path("t.csv").write_text(text_of([["p1", "s1", where, "", "", "train"], other]))
            return prepare()

        yield Case(name=f"path {where}", run=run, expect="handled", check=BOTH)
    out = kept("s2", dropped=1, pictures_left_out=1)
    for where in ("none.png", "../a.png", "/etc/passwd", "/dev/zero", "a.png\0", "\0", "x" * 5000, "a" + "/b" * 3000,
    ".", "t.csv",
                  "https://x.org/a.png", "~/a.png", "a.png;b.png", "$HOME/a.png", "*.png", "é.png"):  # fmt: skip
        shown = where if len(where) < 40 else f"of {len(where)} characters"
        yield table(f"path {shown!r}", [["p1", "s1", where, "", "", "train"], other], out)
        yield table(f"path {shown!r} of all", [["p1", "s1", where, "", "", "train"]], None)
    for kind in SPECIAL:

        def special_picture(folders: Folders, kind: str = kind) -> list[str]:
            pictures(folders)
            special(Path("odd.png"), kind)
            Path("t.csv").write_text(text_of([["p1", "s1", "odd.png", "", "", "train"], other]))
            return prepare()

        yield Case(name=f"a {kind} as a picture", run=special_picture, expect="handled", check=out)
    yield Case(name="a link to another folder", run=outside_link, expect="handled", check=BOTH)
    yield Case(name="a folder behind a link", run=linked_folder, expect="handled", check=BOTH)


def columns() -> Iterator[Case]:
    """What --columns says, and what the header does."""
    for text in ("", "x=y", "patient=pid", "frontal=none", "frontal", "frontal=", "=front",
    "frontal=front,frontal=side",
                 "patient=pid,study=sid", "report=Text", "FRONTAL=front", "frontal=front;report=text"):  # fmt: skip
        expect: Expect = "either" if text in ("frontal=front,frontal=side", "FRONTAL=front") else "refused"
        yield table(f"--columns '{text}'", ROWS, None, columns=text, expect=expect)
    twice = [*HEADER, "text"]
    yield table("a column twice", [[*row, "Other."] for row in ROWS], None, header=twice)
    yield table("a column without a name", [[*row, "x"] for row in ROWS], BOTH, header=[*HEADER, ""])
    yield table("short rows", [ROWS[0][:4], ROWS[1]], None, expect="either")
    yield table("long rows", [[*ROWS[0], "x", "y"], ROWS[1]], None, expect="either")
    yield table("header in capitals", ROWS, None, header=[h.upper() for h in HEADER], expect="either")
    yield table("header with spaces", ROWS, None, header=[f" {h} " for h in HEADER], expect="either")


def sizes() -> Iterator[Case]:
    """Large cells and many rows."""
    big = "The lungs are clear. Small left effusion. " * 25_000
    other = ["p2", "s2", "b.png", "", "Normal heart.", "train"]
    for name, text in {"1 MB": big, "1 MB of one word": "x" * 1_000_000, "1 MB of no": "no " * 330_000,
                       "100,000 lines": "a\n" * 100_000, "1 MB of spaces": " " * 10**6 + "x"}.items():  # fmt: skip
        yield table(f"a report of {name}", [["p1", "s1", "a.png", "", text, "train"], other], BOTH)
    many = [[f"p{i}", f"s{i}", "", "", "Small left effusion.", ""] for i in range(3000)]
    yield table(
        "3,000 rows", many, lambda: "" if len(studies()) == 3000 else f"{len(studies())} studies, right is 3000"
    )
    wide = [[*row, *("x" for _ in range(5000))] for row in ROWS]
    yield table("5,000 columns", wide, BOTH, header=[*HEADER, *(f"c{i}" for i in range(5000))])


def damaged(rng: random.Random) -> Iterator[Case]:
    """Bytes changed at random."""
    for i in range(FLIPS):
        suffix, flips = ("csv", "csv.gz", "parquet")[i % 3], draw_flips(rng, 1 + i % 4)

        def write(suffix: str = suffix, flips: Any = flips) -> None:
            write_as(suffix)
            path = Path(f"t.{suffix}")
            path.write_bytes(flipped(path.read_bytes(), flips))

        yield file(f"{suffix} flip {i}", write, None, path=f"t.{suffix}", expect="either")
