"""Downstream studies: every value of their TOML file; and prompts of `synthesize`."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

from benchmarks.robustness.cases import SPECIAL, Case, Expect, Folders, special
from benchmarks.robustness.films import studies as prepared_studies

SMALL = {"regimes": '["real"]', "real_shares": "[1.0]", "seeds": "[0]"}
NETWORK = {"steps": "2", "finetune_steps": "1", "batch_size": "4"}
ODD = (
    '"x"',
    "-1",
    "nan",
    "inf",
    "[]",
    "{}",
    "1e99",
    "true",
    "[[]]",
    '""',
    "[nan]",
    '["x"]',
    "1979-05-27",
    "[-1]",
    "[1e99]",
)
KEYS = {"": ("views", "regimes", "real_shares", "seeds", "uncertain", "imbalance", "classifier", "more"),
        "classifier": ("network", "weights", "steps", "finetune_steps", "batch_size", "learning_rate",
        "weight_decay", "more"),
        "imbalance": ("findings", "keep", "more")}  # fmt: skip
RIGHT = {
    ("imbalance", "{}"),
    ("classifier", "{}"),
    ("findings", "[]"),
    ("weights", '""'),
    ("imbalance", "[]"),
    ("classifier", "[]"),
}
"""An empty table is a table with nothing but defaults."""


def cases(rng: random.Random) -> Iterator[Case]:
    """TOML files of `study`."""
    yield Case(name="as it should be", run=lambda f: study(f, toml()), expect="handled")
    for table, keys in KEYS.items():
        for key in keys:
            for value in ODD:
                expect: Expect = "either" if (key, value) in RIGHT else "refused"
                text = toml(table, key, value)
                yield Case(
                    name=f"toml {table}.{key}={value}".replace(" .", " "),
                    run=lambda f, t=text: study(f, t),
                    expect=expect,
                )
    texts = {"empty": "", "comment": "# nothing", "no toml": "seeds = [", "json": "{}", "latin-1": "# \xe9",
    "bom": "\ufeffseeds = [0]",
             "a key twice": "seeds = [0]\nseeds = [1]", "nul": "\0", "deep": "seeds = " + "[" * 5000,
             "another table": "[other]\nx = 1",
             "only views": 'views = ["report"]', "1e6 seeds": f"seeds = {list(range(10**5))}"}  # fmt: skip
    for name, text in texts.items():
        yield Case(name=f"toml {name}", run=lambda f, t=text: study(f, t), expect="refused")
    for kind in SPECIAL:
        yield Case(name=f"toml a {kind}", run=lambda f, k=kind: of_special(f, k), expect="refused", says="study.toml")
    for value in ("none.safetensors", "/dev/zero", "study.toml", ".", "\\u0000"):
        text = toml("classifier", "weights", f'"{value}"', network='"resnet18"')
        yield Case(name=f"toml weights of {value}", run=lambda f, t=text: study(f, t), expect="refused")


def toml(table: str = "", key: str = "", value: str = "", **more: str) -> str:
    """A small study with one value changed."""
    top, network, rare = dict(SMALL), NETWORK | more, {"findings": '["Edema"]', "keep": "[1]"}
    {"": top, "classifier": network, "imbalance": rare}[table][key or "seeds"] = value or "[0]"
    lines = [f"{k} = {v}" for k, v in top.items()]
    for name, values in (("classifier", network), ("imbalance", rare)):
        if name not in top and (name != "imbalance" or table == "imbalance"):
            lines += [f"[{name}]", *(f"{k} = {v}" for k, v in values.items())]
    return "\n".join(lines) + "\n"


def study(folders: Folders, text: str, path: str = "study.toml") -> list[str]:
    if text:
        Path(path).write_bytes(text.encode("latin-1" if text == "# \xe9" else "utf-8"))
    elif not Path(path).is_symlink() and not Path(path).exists():
        Path(path).touch()
    return ["study", path, "--real", str(folders.prepared), "--synthetic", str(folders.synthetic), "--out", "out"]


def of_special(folders: Folders, kind: str) -> list[str]:
    special(Path("study.toml"), kind)
    return [
        "study",
        "study.toml",
        "--real",
        str(folders.prepared),
        "--synthetic",
        str(folders.synthetic),
        "--out",
        "out",
    ]


LONG = "effusion " * 500


def prompts(rng: random.Random) -> Iterator[Case]:
    """Tables of sentences for `synthesize --prompts`."""
    good = {
        "one column": "report\nSmall left effusion.\nNormal heart.\n",
        "all columns": "study_id,report,age,sex,Edema\na,Edema.,63,F,1\nb,Normal.,,M,0\n",
        "utf-8 with a mark": "\ufeffreport\nEffusion.\n",
        "semicolon": "study_id;report\n1;Effusion.\n2;Normal.\n",
        "tab": "study_id\treport\n1\tEffusion.\n",
        "quoted": 'report\n"Effusion, ""small"".\nNormal heart."\n',
        "odd ages": "report,age,sex\nEffusion.,-5,x\nEffusion.,abc,\nEffusion.,1e400,?\n",
        "other letters": "report\nDerrame pleural. é 漢字\n",
        "odd names": "study_id,report\n../../x,Effusion.\n,Effusion.\n",
    }
    for name, text in good.items():
        yield Case(name=name, run=lambda f, t=text: synthesize(f, t.encode()), expect="handled")
    yield Case(name="latin-1", run=lambda f: synthesize(f, "report\nÉffusion.\n".encode("latin-1")), expect="handled")
    yield Case(name="utf-16", run=lambda f: synthesize(f, "report\nEffusion.\n".encode("utf-16")), expect="handled")
    bad = {
        "empty": b"", "header alone": b"report\n", "no report": b"text\nEffusion.\n",
        "an empty report": b"report,a\n,1\n",
        "a blank report": b"report,a\n  ,1\n", "nan as a report": b"report,a\nnan,1\n",
        "too long": f"report\n{LONG}\n".encode(),
        "label 2": b"report,Edema\nEffusion.,2\n", "label x": b"report,Edema\nEffusion.,x\n",
        "label 0.5": b"report,Edema\nE.,0.5\n",
        "label inf": b"report,Edema\nEffusion.,inf\n", "zeros": bytes(500), "png": b"\x89PNG\r\n\x1a\n" + bytes(99),
        "xlsx": b"PK\3\4" + bytes(99),
        "1 MB": b"report\n" + b"no " * 340_000,
    }  # fmt: skip
    for name, data in bad.items():
        yield Case(name=name, run=lambda f, d=data: synthesize(f, d), expect="refused", says="p.csv")
        parquet = lambda f, d=data: synthesize(f, d, path="p.parquet")  # noqa: E731
        yield Case(name=f"{name} as parquet", run=parquet, expect="refused", says="p.parquet")
    for kind in SPECIAL:
        yield Case(name=f"a {kind}", run=lambda f, k=kind: of_kind(f, k), expect="refused", says="p.csv")
    for more in (("--sex", "F"), ("--ages", "90-95"), ("--findings", "Fracture", "--per-finding", "1"), ("--balance",
    "--per-finding", "1"),
                 ("--task", "frontal->report"), ("--data", "p.csv"), ("--task", "nothing->frontal", "--sex", "F"),
                 ("--task", "nothing->frontal", "--gate-alignment", "0.5")):  # fmt: skip
        run = lambda f, m=more: [*synthesize(f, b"report\nNormal heart.\n"), *m]  # noqa: E731
        yield Case(name=f"{' '.join(more)} that no prompt has", run=run, expect="refused")
    yield from not_known()


def not_known() -> Iterator[Case]:
    """Prompts that no model understands: counted, left out with --gate-known, taken as they stand with --raw."""
    spanish, edema = "Pequeño derrame pleural.", "Pulmonary edema."
    some, none = (f"report\n{first}\n{spanish}\n".encode() for first in (edema, "asdf qwer"))
    runs = {
        "counted": (some, (), "handled", lambda: account(read=2, left_out=0, kept={edema, spanish})),
        "left out": (some, ("--gate-known",), "handled", lambda: account(read=2, left_out=1, kept={edema})),
        "all left out": (none, ("--gate-known",), "refused", None),
        "taken as they stand": (some, ("--raw",), "handled", None),
        "raw and known": (some, ("--raw", "--gate-known"), "refused", None),
    }
    for name, (table, more, expect, check) in runs.items():
        run = lambda f, t=table, m=more: [*synthesize(f, t), *m]  # noqa: E731
        yield Case(name=f"not understood, {name}", run=run, expect=expect, check=check)


def account(*, read: int, left_out: int, kept: set[str]) -> str:
    """What prompts.json says of the prompts, and which became studies."""
    found = json.loads(Path("out/prompts.json").read_text())
    if (found["read"], found["left_out"], len(found["listed"])) != (read, left_out, 1):
        return f"{found['read']} read, {found['left_out']} left out, {len(found['listed'])} listed"
    reports = {row["report"] for row in prepared_studies().values()}
    return "" if reports == kept else f"studies of {sorted(reports)}"


def synthesize(folders: Folders, data: bytes, path: str = "p.csv") -> list[str]:
    Path(path).write_bytes(data)
    small = ("--num", "2", "--steps", "1", "--workers", "1", "--model", str(folders.model))
    return ["synthesize", "--prompts", path, *small, "--out", "out"]


def of_kind(folders: Folders, kind: str) -> list[str]:
    command = synthesize(folders, b"")
    special(Path("p.csv"), kind)
    return command
