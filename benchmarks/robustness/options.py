"""Every option of every command: ranges, words, devices, seeds, paths."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.robustness.cases import SPECIAL, Case, Expect, Folders, special

Base = Callable[[Folders], list[str]]
COUNT = ("-1", "0", "abc", "1.5", "", "nan", "inf", "1" + "0" * 30)
SEED = ("-1", "abc", "1.5", "", "18446744073709551616", "1180591620717411303424", "nan", "0x10")
SCALE = ("nan", "inf", "-inf", "abc", "", "1e30", "-1")
SIZE = ("-1", "0", "1", "31", "1025", "100000000", "abc", "64.5", "")
DEVICE = ("tpu", "", "gpu0", "cpu:x", "cuda:99", "meta", "/dev/nvidia0")
WORKERS = ("-1", "0", "abc", "1.5", "")
WORD = ("x", "", "\u00e9", "A" * 300)


def small(folders: Folders) -> tuple[str, ...]:
    return ("--model", str(folders.model), "--steps", "1")


BASES: dict[str, Base] = {
    "simulate": lambda f: ["simulate", "--studies", "4", "--image-size", "64", "--workers", "1", "--out", "out"],
    "prepare": lambda f: ["prepare", "mimic-cxr-jpg", str(f.simulated), "--image-size", "64", "--limit", "3",
    "--workers",
                          "1", "--out", "out"],
    "inspect": lambda f: ["inspect", str(f.prepared), "--out", "out"],
    "label": lambda f: ["label", "Small left effusion."],
    "train": lambda f: ["train", "image-autoencoder", "--preset", "nano", "--steps", "1", "--data", str(f.prepared),
                        "--out", "out"],
    "generate": lambda f: ["generate", "--report", "Effusion.", "--to", "frontal", "--num", "1", *small(f), "--out",
    "out"],
    "evaluate": lambda f: ["evaluate", "--data", str(f.prepared), "--num", "2", "--workers", "1", *small(f), "--out",
    "out"],
    "synthesize": lambda f: ["synthesize", "--num", "2", "--workers", "1", *small(f), "--out", "out"],
    "export": lambda f: ["export", str(f.synthetic), "--to", "png", "--out", "out"],
    "reader-study": lambda f: ["reader-study", "--real", str(f.prepared), "--generated", str(f.synthetic), "--num", "2",
                               "--out", "out"],
    "demo": lambda f: ["demo", "--model", str(f.model), "--out", "out"],
}  # fmt: skip
ODD: dict[str, dict[str, tuple[str, ...]]] = {
    "simulate": {"--studies": (*COUNT, "1000000000"), "--seed": SEED, "--image-size": SIZE, "--workers": WORKERS,
                 "--device": DEVICE},
    "prepare": {"--image-size": SIZE, "--workers": WORKERS, "--limit": COUNT, "--min-words": COUNT,
    "--max-words": COUNT,
                "--text": WORD, "--views": ("x", "PA,x"), "--require": ("x", "frontal,x"), "--columns": ("x", "x=y,z")},
    "train": {"--preset": WORD, "--steps": COUNT, "--seed": SEED, "--checkpoint-minutes": ("nan", "abc", "-1", ""),
              "--budget-minutes": ("-1", "0", "nan", "abc", ""), "--mixed-precision": WORD, "--from": ("x",
              "/dev/null"),
              "--measure": ("-1", "abc", "1.5"), "--set": ("x", "=", "x=1", "generator.x=1", "generator=1",
              "generator.depth")},
    "generate": {"--num": COUNT, "--steps": (*COUNT, "1001"), "--seed": SEED, "--guidance": SCALE, "--device": DEVICE,
                 "--to": ("x", "", "report", "frontal,x", "->"), "--frontal": ("", "none.png"),
                 "--lateral": ("none.png",)},
    "evaluate": {"--num": COUNT, "--steps": (*COUNT, "1001"), "--seed": SEED, "--guidance": SCALE,
    "--autoguidance": SCALE,
                 "--workers": WORKERS, "--device": DEVICE, "--suite": WORD, "--split": WORD, "--classifier": WORD,
                 "--labeler": WORD, "--extractors": ("x", "efficientnet-lite0,x"),
                 "--tasks": ("x", "", "report", "frontal->frontal", "->", "report->x"), "--generated": ("none",
                 "/dev/null")},
    "synthesize": {"--num": COUNT, "--samples": COUNT, "--seed": SEED, "--steps": COUNT, "--guidance": SCALE,
                   "--gate-alignment": ("nan", "5", "abc", "-2", "inf"), "--gate-agreement": ("nan", "5", "abc",
                   "-2", "inf"),
                   "--gate-known": ("x", ""), "--raw": ("x", ""),
                   "--tries": COUNT, "--shard-size": COUNT, "--workers": WORKERS, "--device": (*DEVICE, ",", "cpu,tpu"),
                   "--per-finding": ("-2", "abc", "1.5", "1" + "0" * 30), "--findings": WORD[:1], "--sex": WORD,
                   "--ages": ("x", "80-20", "-5", "nan-nan", "500-600", "-"), "--formats": ("x", "png,x"),
                   "--task": ("x", "", "frontal->frontal", "frontal->lateral"), "--split": WORD, "--data": ("none",
                   "/dev/null"),
                   "--prompts": ("none", "/dev/null", "/dev/zero")},
    "export": {"--to": (*WORD, "png,jpeg", "../png", "PNG ")},
    "reader-study": {"--num": COUNT, "--seed": SEED, "--split": WORD, "--parts": ("x", "frontal,x"),
                     "--results": ("none.csv", "/dev/null")},
    "demo": {"--seed": SEED, "--model": ("none", "/dev/null", "")},
}  # fmt: skip
EITHER = {("train", "--checkpoint-minutes", "-1"), ("demo", "--model", ""), ("generate", "--guidance", "-1"),
          ("synthesize", "--findings", ""), ("evaluate", "--tasks", ""), ("export", "--to", "PNG ")}  # fmt: skip
"""Of these one may think this way or that."""
DATA = {"inspect": 1, "train": "--data", "evaluate": "--data", "export": 1, "reader-study": "--real", "prepare": 2}
"""Where a command takes a data set: position, or option."""


def cases(rng: random.Random) -> Iterator[Case]:
    """All of them."""
    for name, base in BASES.items():
        if name not in ("evaluate", "demo"):  # take long
            yield Case(name=f"{name} as it should be", run=base, expect="handled")
    yield from numbers()
    yield from folders_to_read()
    yield from folders_to_write()
    yield from usage()


def changed(base: Base, option: str | int, value: str) -> Base:
    """The command line with another value of an option."""

    def run(folders: Folders) -> list[str]:
        arguments = base(folders)
        if isinstance(option, int):
            arguments[option] = value
        elif option in arguments:
            arguments[arguments.index(option) + 1] = value
        else:
            arguments += [option, value]
        return arguments

    return run


def numbers() -> Iterator[Case]:
    """Options with values out of their range, and words."""
    for command, odd in ODD.items():
        for option, values in odd.items():
            for value in values:
                expect: Expect = "either" if (command, option, value) in EITHER else "refused"
                run = changed(BASES[command], option, value)
                yield Case(name=f"{command} {option} '{value[:24]}'", run=run, expect=expect)
            if option == "--device":
                for value in ("cuda", "cuda:0", "mps"):
                    yield Case(
                        name=f"{command} {option} '{value}'",
                        run=changed(BASES[command], option, value),
                        expect="refused",
                    )
            if option == "--seed":
                for value in ("0", "4294967296", "9223372036854775807"):
                    if command not in ("evaluate", "demo"):
                        run = changed(BASES[command], option, value)
                        yield Case(name=f"{command} {option} {value}", run=run, expect="handled")


def folders_to_read() -> Iterator[Case]:
    """Data sets and models that are none."""
    for command, option in DATA.items():
        for name in ("none", "", "/dev/null", "/dev/zero", "\0", "x" * 5000, "."):
            run = changed(BASES[command], option, name)
            shown = name.encode("unicode_escape").decode()[:20]
            yield Case(name=f"{command} of the data '{shown}'", run=run, expect="refused")
        for kind in (*SPECIAL, "file", "empty folder", "model"):
            yield Case(name=f"{command} of a {kind} as data", run=of_kind(command, option, kind), expect="refused")
    for command in ("generate", "evaluate", "synthesize", "demo"):
        for kind in (*SPECIAL, "file", "empty folder", "data"):
            yield Case(name=f"{command} of a {kind} as model", run=of_kind(command, "--model", kind), expect="refused")


def of_kind(command: str, option: str | int, kind: str) -> Base:
    def run(folders: Folders) -> list[str]:
        path = Path("odd")
        if kind == "file":
            path.write_text("x")
        elif kind == "empty folder":
            path.mkdir()
        elif kind in ("model", "data"):
            path.symlink_to(folders.model if kind == "model" else folders.prepared)
        else:
            special(path, kind)
        return changed(BASES[command], option, "odd")(folders)

    return run


def folders_to_write() -> Iterator[Case]:
    """OUT that cannot be, or holds something else."""
    for command, base in BASES.items():
        if command == "label":
            continue
        for name in ("/proc/none/out", "/dev/null/out", "file/out", "file", "x" * 300, "\0", "y/" * 3000):
            shown = name.encode("unicode_escape").decode()[:20]
            yield Case(name=f"{command} to '{shown}'", run=beside_file(changed(base, "--out", name)), expect="refused")
        for kind in ("fifo", "device", "dangling"):
            yield Case(name=f"{command} to a {kind}", run=to_special(base, kind), expect="refused")


def beside_file(base: Base) -> Base:
    def run(folders: Folders) -> list[str]:
        Path("file").write_text("mine")
        return base(folders)

    return run


def to_special(base: Base, kind: str) -> Base:
    def run(folders: Folders) -> list[str]:
        special(Path("out"), kind)
        return base(folders)

    return run


def usage() -> Iterator[Case]:
    """Command lines that say nothing, or too much."""
    lines = ([""], ["x"], ["--x"], ["generate"], ["train"], ["prepare", "x"], ["label"], ["label", "a", "b"], ["\0"],
             ["generate", "--to", "frontal"], ["study", "none.toml"], ["evaluate", "--out", "out"], ["reader-study",
             "--out", "out"],
             ["prepare", "none", ".", "--out", "out"], ["train", "none", "--data", ".", "--out", "out"], ["é"], ["-"],
             ["prepare", "mix", "x", "--out", "out"], ["prepare", "mix", "nih=none,table=x", "--out", "out"],
             ["evaluate", "--compare", "a", "b", "--out", "out"], ["prepare", "mix", "mix=.", "--out",
             "out"])  # fmt: skip
    for line in lines:
        yield Case(name=f"omnicxr {' '.join(line)}", run=lambda f, a=line: list(a), expect="refused")
    for command in BASES:
        yield Case(name=f"{command} --help", run=lambda f, c=command: [c, "--help"], expect="handled")
        yield Case(name=f"{command} --x", run=lambda f, c=command: [*BASES[c](f), "--x", "1"], expect="refused")
        twice = lambda f, c=command: [*BASES[c](f), *BASES[c](f)[1:]]  # noqa: E731
        yield Case(name=f"{command} twice over", run=twice, expect="refused" if command == "label" else "either")
