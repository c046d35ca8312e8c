"""What can be read and is still no chest film, or no report that a model understands: by default generated from, with a
notice and a mark; refused with `--strict`; taken as it is with `--raw`."""

from __future__ import annotations

import json
import random
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.robustness.api import called
from benchmarks.robustness.cases import Argv, Case, Expect, Folders
from benchmarks.robustness.films import SIDE, film, picture, plain, studies
from omnicxr.data.typed_json import from_json
from omnicxr.domain import Fit, Notes
from omnicxr.domain.notes import UNFIT
from omnicxr.models.noticing import InputWarning

Draw = Callable[[Folders], np.ndarray]
NOT_UNDERSTOOD = {
    "nonsense": "Grebbling of the left flombus with snorfles.",
    "keys": "asdf qwer jkl",
    "lorem ipsum": "Lorem ipsum dolor sit amet, consectetur adipiscing elit.",
    "emoji": "🫁🫁🫁",
    "numbers": "12 13.5 14/15",
    "spanish": "Pequeño derrame pleural izquierdo. Sin neumotórax.",
    "german": "Kleiner Pleuraerguss links. Kein Pneumothorax.",
    "french": "Petit épanchement pleural gauche sans pneumothorax.",
    "portuguese": "Pequeno derrame pleural à esquerda.",
    "chinese": "左侧少量胸腔积液。",
    "arabic": "انصباب جنبي صغير",
    "another subject": "The quick brown fox jumps over the lazy dog.",
    "code": "import torch; print(torch.__version__)",
}
IN_PART = {
    "a finding and nonsense": "Pulmonary edema. Grebbling of the flombus.",
    "a finding and an age": "Seventy-year-old plumber from Ohio. Pulmonary edema.",
}
DENIED = {
    "with size and side": "There is no large left pleural effusion.",
    "with a place": "No consolidation in the right upper lobe.",
    "without": "Heart size is normal without large right pneumothorax.",
}
ASKED = ("large", "left", "right upper lobe")
"""Words of what is denied: nothing of that kind is asked for."""


def cases(rng: random.Random) -> Iterator[Case]:
    """All of them."""
    yield from texts()
    yield from pictures(rng)
    yield from both()
    yield from in_python()


def generate(given: Callable[[Folders], Argv], *more: str) -> Callable[[Folders], Argv]:
    """The command line."""
    return lambda f: [
        "generate", *given(f), "--num", "1", "--steps", "1", "--model", str(f.model), "--out", "out", *more
    ]  # fmt: skip


def three_ways(name: str, given: Callable[[Folders], Argv], *, fits: tuple[Fit, ...], says: str) -> Iterator[Case]:
    """By default with a notice, refused with --strict where it is unfit, without a notice with --raw."""
    strict: Expect = "refused" if set(fits) <= set(UNFIT) else "handled"
    yield Case(name=name, run=generate(given), expect="handled", check=noted(fits))
    yield Case(
        name=f"{name} [--strict]",
        run=generate(given, "--strict"),
        expect=strict,
        says=says if strict == "refused" else "",
    )
    yield Case(name=f"{name} [--raw]", run=generate(given, "--raw"), expect="handled", check=not_noted)


def texts() -> Iterator[Case]:
    """Reports that are given."""
    for name, text in NOT_UNDERSTOOD.items():
        yield from three_ways(f"report: {name}", of_text(text), fits=(Fit.NOT_USABLE,), says="report")
    for name, text in IN_PART.items():
        yield from three_ways(f"report in part: {name}", of_text(text), fits=(Fit.UNLIKE,), says="report")
    for name, text in DENIED.items():
        run = generate(of_text(text))
        yield Case(name=f"denied: {name}", run=run, expect="handled", check=nothing_denied_is_asked)
    plain_text = of_text("No acute cardiopulmonary process.")
    yield from three_ways("report: plain", plain_text, fits=(Fit.AS_KNOWN,), says="")
    yield Case(name="--strict and --raw", run=generate(plain_text, "--strict", "--raw"), expect="refused", says="raw")


def of_text(text: str) -> Callable[[Folders], Argv]:
    return lambda f: ["--report", text, "--to", "frontal"]


def pictures(rng: random.Random) -> Iterator[Case]:
    """Pictures that are given as the frontal view."""
    seed = rng.randrange(2**32)
    drawings: dict[str, Draw] = {
        "upside down": lambda f: film(f)[::-1],
        "turned by 90 degrees": lambda f: np.rot90(film(f)),
        "turned by 270 degrees": lambda f: np.rot90(film(f), 3),
        "inverted": lambda f: 255 - film(f),
        "a lateral view": lateral,
        "a leg": lambda f: leg(),
        "a hand": lambda f: hand(),
        "a slice": lambda f: axial_slice(),
        "a photograph": lambda f: photograph(np.random.default_rng(seed)),
        "a page of text": lambda f: page(),
        "noise": lambda f: np.random.default_rng(seed).integers(0, 255, SIDE[::-1]).astype(np.uint8),
    }
    for name, draw in drawings.items():
        yield from three_ways(f"picture: {name}", of_picture(draw), fits=UNFIT, says="frontal")


def of_picture(draw: Draw) -> Callable[[Folders], Argv]:
    def given(folders: Folders) -> Argv:
        Image.fromarray(np.ascontiguousarray(draw(folders))).save("x.png")
        return ["--frontal", "x.png", "--to", "report"]

    return given


def lateral(folders: Folders) -> np.ndarray:
    row = next(row for row in studies(str(folders.prepared)).values() if row["laterals"])
    return picture(row, "lateral")


def canvas() -> tuple[np.ndarray, np.ndarray]:
    """x and y of every pixel, -1..1."""
    x, y = np.meshgrid(np.linspace(-1, 1, SIDE[0]), np.linspace(-1, 1, SIDE[1]))
    return x, y


def as_picture(values: np.ndarray) -> np.ndarray:
    """0..1 => uint8, with a little grain."""
    grain = np.random.default_rng(0).normal(0, 0.01, values.shape)
    return np.round(np.clip(values + grain, 0, 1) * 255).astype(np.uint8)


def bone(x: np.ndarray, centre: float, width: float) -> np.ndarray:
    """A shaft from top to bottom, brighter at its cortex."""
    across = np.abs(x - centre) / width
    return np.where(across < 1, 0.35 + 0.3 * across**4, 0)


def leg() -> np.ndarray:
    x, _ = canvas()
    flesh = np.sqrt(np.clip(1 - (x / 0.7) ** 2, 0, 1)) * 0.35
    return as_picture(flesh + bone(x, -0.1, 0.17) + bone(x, 0.3, 0.07))


def hand() -> np.ndarray:
    x, y = canvas()
    fingers = sum(bone(x, centre, 0.06) for centre in (-0.6, -0.3, 0.0, 0.3)) * (np.abs((y * 3) % 1 - 0.5) < 0.45)
    return as_picture(np.where(y < 0.4, fingers + 0.15, 0.5 * (np.abs(x) < 0.6)))


def axial_slice() -> np.ndarray:
    """A body with two lungs and a spine, as a CT shows it."""
    x, y = canvas()
    body = (x / 0.9) ** 2 + (y / 0.6) ** 2 < 1
    lungs = ((np.abs(x) - 0.42) / 0.32) ** 2 + (y / 0.42) ** 2 < 1
    spine = x**2 + ((y - 0.3) / 0.8) ** 2 < 0.02
    return as_picture(np.where(lungs, 0.08, 0.55 * body) + 0.4 * spine)


def photograph(rng: np.random.Generator) -> np.ndarray:
    """Sky, ground and what stands on it."""
    x, y = canvas()
    scene = np.where(y < 0.1, 0.8 - 0.2 * y, 0.35 + 0.1 * np.sin(25 * x / (y + 0.3)))
    for _ in range(12):
        left, top, width = rng.uniform(-1, 0.8), rng.uniform(-0.6, 0.2), rng.uniform(0.05, 0.3)
        scene = np.where((x > left) & (x < left + width) & (y > top) & (y < 0.4), rng.uniform(0.1, 0.9), scene)
    return as_picture(scene)


def page() -> np.ndarray:
    image = Image.new("L", SIDE, 255)
    for line in range(20):
        ImageDraw.Draw(image).text((10, 8 + 11 * line), "FINDINGS: the lungs are clear, heart", fill=0)
    return np.asarray(image)


def both() -> Iterator[Case]:
    """A film and a report that cannot both be true: whether a small judge sees it, nobody can say."""

    def given(folders: Folders) -> Argv:
        text = "Large right pneumothorax. Large left pleural effusion."
        return ["--frontal", str(plain(folders)), "--report", text, "--to", "lateral"]

    yield Case(name="film and report contradict each other", run=generate(given), expect="handled", check=has_notes)
    yield Case(
        name="film and report contradict each other [--strict]", run=generate(given, "--strict"), expect="either"
    )
    raw = generate(given, "--raw")
    yield Case(name="film and report contradict each other [--raw]", run=raw, expect="handled", check=not_noted)


def in_python() -> Iterator[Case]:
    """The same of the pipeline."""
    yes: Callable[[Folders], Any] = lambda f: True  # noqa: E731
    odd: dict[str, dict[str, Callable[[Folders], Any]]] = {
        "report": {"report": lambda f: NOT_UNDERSTOOD["spanish"]},
        "frontal": {"frontal": lambda f: axial_slice()},
    }
    for name, given in odd.items():
        yield Case(name=f"Python: odd {name}", run=with_warning(**given), expect="handled")
        yield Case(name=f"Python: odd {name}, raw", run=called(**given, raw=yes), expect="handled")
        yield Case(name=f"Python: odd {name}, strict", run=called(**given, strict=yes), expect="refused", says=name)
    yield Case(name="Python: strict and raw", run=called(strict=yes, raw=yes), expect="refused", says="raw")


def with_warning(**given: Callable[[Folders], Any]) -> Callable[[Folders], Callable[[], object]]:
    """A call of the pipeline that has to warn."""

    def run(folders: Folders) -> Callable[[], object]:
        call = called(**given)(folders)

        def warned() -> None:
            with warnings.catch_warnings(record=True) as found:
                warnings.simplefilter("always")
                call()
            assert any(w.category is InputWarning for w in found), "nothing is said of what is odd"

        return warned

    return run


def stored_notes() -> list[Notes]:
    """Of every result in out/generation.json, wherever they stand there."""
    found: list[Notes] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict) and {"pictures", "prompt", "disagreement"} <= set(value):
            found.append(from_json(Notes, value))
        elif isinstance(value, dict | list):
            for inner in value.values() if isinstance(value, dict) else value:
                walk(inner)

    walk(json.loads(Path("out/generation.json").read_text()))
    return found


def has_notes() -> str:
    return "" if stored_notes() else "no notes in generation.json"


def noted(fits: tuple[Fit, ...]) -> Callable[[], str]:
    """The stored notes say one of these, with a sentence where something is wrong."""

    def check() -> str:
        if problem := has_notes():
            return problem
        notes = stored_notes()[0]
        if notes.fit not in fits:
            return f"noted as '{notes.fit}', right is '{fits[0]}'"
        return "" if notes.fit not in UNFIT or notes.sentences() else "no sentence says what is wrong"

    return check


def not_noted() -> str:
    """Nothing was looked at."""
    said = [sentence for notes in stored_notes() for sentence in notes.sentences()]
    return f"noticed in spite of --raw: {said[0]}" if said else ""


def nothing_denied_is_asked() -> str:
    """What the model was given speaks of no size, side or place of what is denied."""
    if problem := has_notes():
        return problem
    prompt = stored_notes()[0].prompt
    if prompt is None or prompt.asked:
        return "a finding that is denied is asked for" if prompt else "no note of the report"
    left = [word for word in ASKED if word in prompt.understood_as.lower()]
    return f"understood as '{prompt.understood_as}', which has '{left[0]}'" if left else ""
