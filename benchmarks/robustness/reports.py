"""Report texts: bytes, lengths, languages, HTML; read by `label`, `generate` and `prepare`, and shown on pages."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.robustness.cases import SPECIAL, Case, Folders, special
from benchmarks.robustness.films import plain, prepare, studies, write_table
from omnicxr.app.cli import main
from omnicxr.domain import Finding

USUAL = "FINDINGS: Small left pleural effusion. No pneumothorax.\n\nIMPRESSION: Small left effusion.\n"
SCRIPT = "<!--<script>alert(1)</script> Small effusion. </script><script>alert(2)</script> & <b>bold</b> \u2028 ]]>"
RANDOM = 24


def texts() -> dict[str, bytes]:
    """Name => bytes of a report that can be read."""
    encodings = {"utf-8": "utf-8", "bom": "utf-8-sig", "utf-16": "utf-16", "latin-1": "latin-1", "cp1252": "cp1252"}
    out = {name: (USUAL + "Naïve – déjà vu.").encode(code, errors="replace") for name, code in encodings.items()}
    out |= {
        "windows": USUAL.replace("\n", "\r\n").encode(),
        "old macintosh": USUAL.replace("\n", "\r").encode(),
        "nul": USUAL.encode().replace(b" ", b"\0"),
        "control characters": bytes(range(1, 32)) + USUAL.encode(),
        "high bytes": bytes(range(128, 256)) + USUAL.encode(),
        "surrogates": b"\xed\xa0\x80 effusion " + USUAL.encode(),
        "html": SCRIPT.encode(),
        "json": b'{"report": "effusion"}',
        "emoji": ("🫁 effusion 👩‍⚕️ " * 20).encode(),
        "right to left": "انصباب جنبي صغير".encode(),
        "chinese": "左侧少量胸腔积液。".encode(),
        "spanish": "Pequeño derrame pleural izquierdo. Sin neumotórax.".encode(),
        "german": b"Kleiner Pleuraerguss links. Kein Pneumothorax.",
        "one letter": b"x",
        "headings only": b"FINDINGS:\n\nIMPRESSION:\n",
        "no heading": b"Small effusion",
        "tabs": USUAL.replace(" ", "\t").encode(),
        "deep indent": b"\n".join(b" " * 60 + line for line in USUAL.encode().splitlines()),
        "markup": b"{curly} [[square]] %s {0} $x \\n \\x00 [bold red]effusion[/bold red] [/] [",
        "numbers": b"1. 2. 3.4 5/6 7,8 9%" * 50,
        "dashes": b"-" * 5000,
        "brackets": b"(" * 3000 + b")" * 3000,
        "1 MB": USUAL.encode() * 11_000,
        "1 MB in one line": USUAL.replace("\n", " ").encode() * 11_000,
        "1 MB of no": b"no " * 340_000,
        "1 MB of one word": b"effusion" * 125_000,
        "1 MB of commas": b"effusion, " * 100_000,
        "1 MB of headings": b"FINDINGS: \n" * 90_000,
        "1 MB of blanks": b" " * 500_000 + b"effusion" + b"\n" * 500_000,
        "1 MB of underscores": b"_" * 1_000_000,
        "1 MB of numbers": b"1. " * 340_000,
    }
    return out


def cases(rng: random.Random) -> Iterator[Case]:
    """All of them."""
    whole = texts()
    for i in range(RANDOM):
        alphabet = (bytes(range(256)), USUAL.encode(), b" \n.,:;()-_/0123456789no or and with")[i % 3]
        whole[f"random {i}"] = bytes(rng.choices(alphabet, k=rng.choice((30, 3000, 60_000)))) + b" effusion"
    for name, data in whole.items():
        yield Case(
            name=f"{name} [label]", run=labelled(data), expect="handled" if name.split()[0] not in ODD else "either"
        )
        yield Case(name=f"{name} [prepare]", run=prepared(data), expect="handled", check=both_kept)
        if len(data) < 100_000:
            yield Case(name=f"{name} [generate]", run=generated(data), expect="either")
    for name, data in {"empty": b"", "blank": b" \n\t\r\n", "bom alone": b"\xef\xbb\xbf"}.items():
        yield Case(name=f"{name} [label]", run=labelled(data), expect="refused", says="report.txt")
        yield Case(name=f"{name} [generate]", run=generated(data), expect="refused", says="report.txt")
    for kind in SPECIAL:
        for command in ("label", "generate"):
            yield Case(name=f"a {kind} [{command}]", run=of_special(kind, command), expect="refused", says="report.txt")
    for text in ("@", "@none.txt", "@" + "x" * 5000, "@\0", "@."):
        shown = text[:20].encode("unicode_escape").decode()
        yield Case(name=f"'{shown}' [label]", run=lambda f, t=text: ["label", t], expect="refused")
        yield Case(name=f"'{shown}' [generate]", run=lambda f, t=text: by_text(f, t), expect="refused")
    for text in ("", " ", "\n"):
        yield Case(name=f"{text!r} [label]", run=lambda f, t=text: ["label", t], expect="either")
        yield Case(name=f"{text!r} [generate]", run=lambda f, t=text: by_text(f, t), expect="refused")
    yield Case(name="spanish, labels [prepare]", run=prepared(whole["spanish"]), expect="handled", check=no_labels)
    for page in ("inspect", "reader-study"):
        yield Case(name=f"html on the page of {page}", run=shown_on_page(page), expect="handled", check=page_is_whole)


ODD = ("nul", "high", "surrogates", "random", "control", "numbers", "dashes", "brackets")
"""Whether these are text may be doubted."""


def labelled(data: bytes) -> Callable[[Folders], list[str]]:
    return lambda f: [str(Path("report.txt").write_bytes(data)) and "label", "@report.txt"]


def generated(data: bytes) -> Callable[[Folders], list[str]]:
    def run(folders: Folders) -> list[str]:
        Path("report.txt").write_bytes(data)
        return by_text(folders, "@report.txt")

    return run


def by_text(folders: Folders, text: str) -> list[str]:
    given = ("--report", text, "--to", "frontal", "--model", str(folders.model))
    return ["generate", *given, "--num", "1", "--steps", "1", "--out", "out"]


def of_special(kind: str, command: str) -> Callable[[Folders], list[str]]:
    def run(folders: Folders) -> list[str]:
        special(Path("report.txt"), kind)
        return ["label", "@report.txt"] if command == "label" else by_text(folders, "@report.txt")

    return run


def prepared(data: bytes) -> Callable[[Folders], list[str]]:
    """As the report file of a study of MIMIC-CXR-JPG, beside another study."""

    def run(folders: Folders) -> list[str]:
        import gzip

        plain(folders, "film.jpg")
        for i in (1, 2):
            folder = Path(f"root/files/p10/p1000000{i}/s5000000{i}")
            folder.mkdir(parents=True)
            (folder / f"d{i}.jpg").write_bytes(Path("film.jpg").read_bytes())
            folder.with_suffix(".txt").write_bytes(data if i == 1 else USUAL.encode())
        rows = "".join(f"d{i},1000000{i},5000000{i},PA\n" for i in (1, 2))
        splits = "".join(f"d{i},5000000{i},1000000{i},train\n" for i in (1, 2))
        labels = f"subject_id,study_id,{','.join(Finding)}\n"
        labels += "".join(f"1000000{i},5000000{i}{',' * len(Finding)}\n" for i in (1, 2))
        tables = {
            "metadata": f"dicom_id,subject_id,study_id,ViewPosition\n{rows}",
            "split": f"dicom_id,study_id,subject_id,split\n{splits}",
            "chexpert": labels,
        }
        for name, text in tables.items():
            Path(f"root/mimic-cxr-2.0.0-{name}.csv.gz").write_bytes(gzip.compress(text.encode()))
        return ["prepare", "mimic-cxr-jpg", "root", "--image-size", "64", "--workers", "1", "--out", "out"]

    return run


def both_kept() -> str:
    found = sorted(studies())
    return "" if len(found) == 2 else f"kept {found}, right are two"


def no_labels() -> str:
    """What is not English is not labelled."""
    row = next(row for name, row in studies().items() if name.endswith("1"))
    stated = {k: v for k, v in row.items() if k.startswith("label_") and v is not None}
    return f"labels of a Spanish text: {stated}" if stated else ""


def shown_on_page(page: str) -> Callable[[Folders], Callable[[], object]]:
    """Prepare such reports, then write the page that shows them."""

    def run(folders: Folders) -> Callable[[], object]:
        plain(folders)
        write_table([(f"p{i}", f"s{i}", "plain.png", "plain.png", SCRIPT, "test") for i in range(4)])

        def both() -> None:
            main(prepare())
            if page == "inspect":
                main(["inspect", "out", "--out", "page"])
            else:
                parts = ("--parts", "frontal,report", "--num", "2")
                main(["reader-study", "--real", "out", "--generated", str(folders.synthetic), *parts, "--out", "page"])

        return both

    return run


def page_is_whole() -> str:
    """No markup of a report is markup of the page."""
    for path in Path("page").glob("*.html"):
        text = path.read_text()
        for markup in ("<script>alert", "<!--<script>", "</script><script>alert", "<b>bold"):
            if markup in text:
                return f"{path} has {markup} of a report as markup"
    return "" if list(Path("page").glob("*.html")) else "no page"
