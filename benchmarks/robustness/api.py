"""The Python pipeline, with everything that a notebook may hand over as a picture, a report or a number."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.robustness.cases import Case, Folders
from benchmarks.robustness.films import film, plain
from omnicxr.pipeline import AnyToAnyPipeline

Given = Callable[[Folders], Any]
SCALED = 1.5
"""Mean difference of two drawn pictures, of 255, that counts as drawn from the same one: roundings of a scale."""


def cases(rng: random.Random) -> Iterator[Case]:
    """All of them."""
    for name, (given, tolerance) in same_pictures().items():
        yield Case(name=f"frontal={name}", run=drawn_as_file(given, tolerance), expect="handled")
    for name, (given, expect) in either_pictures().items():
        says = "" if name.startswith(("path", "str")) else "frontal"
        yield Case(name=f"frontal={name}", run=called(frontal=given), expect=expect, says=says)
    yield from batches()
    for name, value in reports().items():
        yield Case(name=f"report={name}", run=called(report=lambda f, v=value: v), expect="refused", says="report")
    yield from numbers()
    yield from parts()
    yield from from_folders()
    for _ in range(20):
        shape = tuple(rng.choice((0, 1, 2, 3, 16, 64)) for _ in range(rng.randrange(5)))
        kind = rng.choice(("uint8", "float32", "int64", "bool", "complex64", "float16"))
        array = np.zeros(shape, kind)
        name = f"frontal=zeros of {shape} {kind}"
        yield Case(name=name, run=called(frontal=lambda f, a=array: a), expect="refused", says="frontal")


def called(**given: Given) -> Callable[[Folders], Callable[[], object]]:
    """A call of the pipeline; a report or a frontal view is drawn, whichever is not given."""

    def run(folders: Folders) -> Callable[[], object]:
        values = {name: value(folders) for name, value in given.items()}
        settings: dict[str, Any] = {"generate": ["frontal" if "frontal" not in given else "report"]}
        settings |= {"num_inference_steps": 1}
        if not {"frontal", "lateral", "report"} & set(values):
            settings |= {"report": "Small left pleural effusion."}
        return lambda: AnyToAnyPipeline.from_pretrained(folders.model)(**(settings | values))

    return run


def drawn_as_file(given: Given, tolerance: float) -> Callable[[Folders], Callable[[], object]]:
    """The lateral view that is drawn from a picture is that drawn from the film's file."""

    def run(folders: Folders) -> Callable[[], object]:
        path, value = plain(folders), given(folders)

        def compare() -> None:
            pipe = AnyToAnyPipeline.from_pretrained(folders.model)
            known, found, black = (lateral_of(pipe, picture) for picture in (path, value, film(folders) // 8))
            assert np.abs(known - black).mean() > 3 * SCALED, "the model does not look at its picture"
            difference = float(np.abs(known - found).mean())
            assert difference <= tolerance, f"drawn otherwise than from the file: {difference:.2f} of 255"

        return compare

    return run


def lateral_of(pipe: AnyToAnyPipeline, picture: Any) -> np.ndarray:
    out = pipe(frontal=picture, generate=["lateral"], num_inference_steps=2)
    assert out.lateral is not None and len(out.lateral) == 1, "not one study"
    return np.asarray(out.lateral[0], np.float32)


def same_pictures() -> dict[str, tuple[Given, float]]:
    """Name => the film in that form, and how much what is drawn may differ."""
    out: dict[str, tuple[Given, float]] = {
        "path": (plain, 0),
        "str": (lambda f: str(plain(f)), 0),
        "list of one": (lambda f: [plain(f)], 0),
        "tuple of one": (lambda f: (film(f),), 0),
        "uint8": (film, 0),
        "uint8 transposed twice": (lambda f: np.asfortranarray(film(f)), 0),
        "uint8 read-only": (lambda f: locked(film(f)), 0),
        "uint8 [h, w, 1]": (lambda f: film(f)[..., None], 0),
        "uint8 [h, w, 3]": (lambda f: np.repeat(film(f)[..., None], 3, -1), 0),
        "uint16": (lambda f: film(f, bits=16), SCALED),
        "uint16 big endian": (lambda f: film(f, bits=16).astype(">u2"), SCALED),
        "uint16 of 12 bits": (lambda f: film(f, bits=12), SCALED),
        "float32 0..1": (lambda f: film(f).astype(np.float32) / 255, SCALED),
        "float64 0..1": (lambda f: film(f) / 255, SCALED),
        "float16 0..1": (lambda f: (film(f) / 255).astype(np.float16), SCALED),
        "int32 of 16 bits": (lambda f: film(f, bits=16).astype(np.int32), SCALED),
        "tensor uint8": (lambda f: torch.from_numpy(film(f)), 0),
        "tensor [1, h, w]": (lambda f: torch.from_numpy(film(f))[None], 0),
        "tensor float 0..1": (lambda f: torch.from_numpy(film(f)) / 255, SCALED),
        "tensor bfloat16 0..1": (lambda f: (torch.from_numpy(film(f)) / 255).bfloat16(), 2 * SCALED),
        "tensor that wants gradients": (lambda f: (torch.from_numpy(film(f)) / 255).requires_grad_(), SCALED),
        "PIL 16 bit": (lambda f: Image.fromarray(film(f, bits=16)), SCALED),
        "PIL float": (lambda f: Image.fromarray(film(f).astype(np.float32)), SCALED),
        "PIL int": (lambda f: Image.fromarray(film(f, bits=16).astype(np.int32)), SCALED),
    }
    for mode in ("L", "LA", "RGB", "RGBA", "P", "YCbCr"):
        out[f"PIL {mode}"] = (lambda f, m=mode: Image.fromarray(film(f)).convert(m), SCALED)
    return out


def locked(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)
    return array


def either_pictures() -> dict[str, tuple[Given, Any]]:
    """Name => what is no film, or may be one."""
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    bad: dict[str, Given] = {
        "empty array": lambda f: np.zeros((0, 0), np.uint8),
        "1 x 1": lambda f: np.full((1, 1), 7, np.uint8),
        "one row": lambda f: film(f)[:1],
        "4-D array": lambda f: film(f)[None, None, None],
        "colours": lambda f: noise,
        "PIL colours": lambda f: Image.fromarray(noise),
        "PIL 1 x 1": lambda f: Image.new("L", (1, 1)),
        "PIL blank": lambda f: Image.new("L", (200, 240), 9),
        "nan": lambda f: np.where(film(f) > 128, np.nan, film(f) / 255),
        "one nan": lambda f: with_one(film(f) / 255, np.nan),
        "one inf": lambda f: with_one(film(f) / 255, np.inf),
        "tensor nan": lambda f: torch.full((64, 64), torch.nan),
        "tensor on meta": lambda f: torch.zeros((64, 64), device="meta"),
        "complex": lambda f: film(f).astype(np.complex64),
        "object": lambda f: film(f).astype(object),
        "strings": lambda f: np.full((64, 64), "a"),
        "dates": lambda f: np.zeros((64, 64), "datetime64[s]"),
        "60000 x 16": lambda f: np.tile(film(f)[:16, :150], (1, 400)),
        "list of None": lambda f: [None],
        "list of lists": lambda f: [[1, 2], [3, 4]],
        "a number": lambda f: 3,
        "a float": lambda f: 0.5,
        "True": lambda f: True,
        "bytes": lambda f: plain(f).read_bytes(),
        "a dict": lambda f: {"frontal": film(f)},
        "a generator": lambda f: (x for x in [film(f)]),
        "an open file": lambda f: plain(f).open("rb"),
        "an object": lambda f: object(),
        "a set": lambda f: {1},
    }
    out: dict[str, tuple[Given, Any]] = {name: (given, "refused") for name, given in bad.items()}
    out |= {
        "path that is not there": (lambda f: Path("none.png"), "refused"),
        "path list of none": (lambda f: [], "refused"),
        "str of nothing": (lambda f: "", "refused"),
        "path of a folder": (lambda f: f.model, "refused"),
        "uint8 negative strides": (lambda f: film(f)[::-1, ::-1], "handled"),
        "int8": (lambda f: (film(f) // 2).astype(np.int8), "either"),
        "bool": (lambda f: film(f) > 128, "either"),
        "float 0..255": (lambda f: film(f).astype(np.float32), "handled"),
        "float -1..1": (lambda f: film(f) / 127.5 - 1, "either"),
        "float64 of 1e300": (lambda f: film(f) * 1e300, "either"),
        "PIL 1": (lambda f: Image.fromarray(film(f)).convert("1"), "either"),
        "PIL CMYK": (lambda f: Image.fromarray(film(f)).convert("CMYK"), "either"),
        "PIL HSV": (lambda f: Image.fromarray(film(f)).convert("RGB").convert("HSV"), "either"),
        "PIL of an open file": (lambda f: Image.open(plain(f)), "handled"),
        "PIL of a cut file": (lambda f: Image.open(cut(plain(f))), "refused"),
        "masked array": (lambda f: np.ma.masked_array(film(f), film(f) > 200), "either"),
        "memmap": (mapped, "handled"),
    }
    return out


def with_one(array: np.ndarray, value: float) -> np.ndarray:
    array[50, 50] = value
    return array


def cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:3000])
    return path


def mapped(folders: Folders) -> np.ndarray:
    film(folders).tofile("film.raw")
    return np.memmap("film.raw", np.uint8, "r", shape=(240, 200))


def batches() -> Iterator[Case]:
    """Several studies at once."""

    def two(folders: Folders) -> Callable[[], object]:
        given = {"array [2, h, w]": np.stack([film(folders)] * 2), "tensor [2, 1, h, w]": tensors(folders)}

        def draw() -> None:
            pipe = AnyToAnyPipeline.from_pretrained(folders.model)
            for name, value in given.items():
                found = pipe(frontal=value, generate=["report"], num_inference_steps=1).report
                assert found is not None and len(found) == 2, f"{name} is not two studies"

        return draw

    yield Case(name="frontal=batches of two", run=two, expect="handled")
    different = {"frontal": lambda f: [film(f)] * 2, "lateral": lambda f: [film(f)] * 3}
    yield Case(name="two frontals, three laterals", run=called(**different), expect="refused")
    of_both = {"frontal": lambda f: [film(f)] * 2, "lateral": lambda f: film(f)}
    yield Case(name="two frontals, one lateral", run=called(**of_both), expect="refused")


def tensors(folders: Folders) -> torch.Tensor:
    return torch.from_numpy(np.stack([film(folders)] * 2))[:, None] / 255


def reports() -> dict[str, Any]:
    """Name => what is no report."""
    return {
        "empty": "", "blank": " \n\t", "a number": 3, "a float nan": float("nan"), "bytes": b"effusion", "True": True,
        "a list of None": [None], "a list of numbers": [1, 2], "a dict": {"report": "effusion"},
        "a list with an empty one": ["effusion", ""], "an array": np.zeros(3), "a path": Path("x.txt"),
        "an object": object(),
        "nested lists": [["effusion"]], "a set": {"effusion"}, "a tensor": torch.zeros(3),
    }  # fmt: skip


def numbers() -> Iterator[Case]:
    """Seeds, steps, scales and counts."""
    bad: dict[str, tuple[Any, ...]] = {
        "seed": (-1, 1.5, "0", 2**64, 2**200, float("nan"), [0]),
        "num": (0, -1, 1.5, "2", None, float("nan"), True),
        "num_inference_steps": (0, -1, 1.5, "5", float("nan"), 10**9),
        "guidance_scale": (float("nan"), float("inf"), "3", [1]),
        "autoguidance_scale": (float("nan"), float("inf"), "3", [1]),
        "batch_size": (-1, 1.5, "4", float("nan")),
        "generator": (3, "x", [], [1]),
        "progress": (3, "x"),
    }
    for name, odd in bad.items():
        for value in odd:
            given = {name: lambda f, v=value: v}
            of_kind = isinstance(
                value, float if name.endswith("scale") else int
            )  # then the sentence may speak of studies
            says = "" if of_kind else name
            yield Case(name=f"{name}={value!r}", run=called(**given), expect="refused", says=says)
    good: dict[str, tuple[Any, ...]] = {
        "seed": (None, 0, 2**63 - 1, np.int64(3)), "num": (2, np.int64(2)), "num_inference_steps": (None, np.int32(2)),
        "guidance_scale": (1, 0.0, np.float32(2)), "batch_size": (None, 7),
    }  # fmt: skip
    for name, values in good.items():
        for value in values:
            yield Case(name=f"{name}={value!r}", run=called(**{name: lambda f, v=value: v}), expect="handled")


def parts() -> Iterator[Case]:
    """What is to be generated."""
    for value in ("frontal", ("frontal",), ["frontal", "lateral"], {"frontal"}):
        yield Case(name=f"generate={value!r}", run=called(generate=lambda f, v=value: v), expect="handled")
    for value in ([], "", "frontl", None, 3, ["report"], ["frontal", "frontal"], [None], [3], b"frontal", object):
        run = called(generate=lambda f, v=value: v)
        yield Case(
            name=f"generate={value!r}", run=run, expect="refused" if value != ["frontal", "frontal"] else "either"
        )


def from_folders() -> Iterator[Case]:
    """What a model is loaded from."""
    folders: tuple[Any, ...] = (
        "",
        "none",
        3,
        b"x",
        ["x"],
        "\0",
        "x" * 5000,
        float("nan"),
        "/dev/zero",
        "/proc/self/mem",
    )
    for value in folders:
        load = lambda f, v=value: lambda: AnyToAnyPipeline.from_pretrained(v)  # noqa: E731
        yield Case(name=f"from_pretrained({str(value)[:20]!r})", run=load, expect="refused")
    devices: tuple[Any, ...] = ("tpu", "cuda:99", "", None, [1])
    for device in devices:
        load = lambda f, d=device: lambda: AnyToAnyPipeline.from_pretrained(f.model, device=d)  # noqa: E731
        yield Case(name=f"device={device!r}", run=load, expect="refused" if device is not None else "either")
