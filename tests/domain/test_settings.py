"""Declared types and ranges: what fits, what is said of what does not, and that every number of a config has ends."""

import math
import re
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import numpy as np
import pytest

from omnicxr.app.cli import COMMANDS
from omnicxr.domain import UserError
from omnicxr.domain.settings import Between, Items, Settings, Verified, build, check
from omnicxr.downstream.spec import StudySpec
from omnicxr.models.generator.config import GeneratorConfig
from omnicxr.simulation.simulate import SimulationConfig


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


def not_seven(value: int) -> None:
    if value == 7:
        raise UserError("Seven is taken: choose another.")


@dataclass(frozen=True, kw_only=True)
class Inner(Settings):
    share: Annotated[float, Between(0, 1)] = 0.5


@dataclass(frozen=True, kw_only=True)
class Config(Settings):
    count: Annotated[int, Between(1, 9), Verified(not_seven)]
    width: Annotated[int, Between(8, 64, multiple=8)] = 8
    widths: Annotated[tuple[int, ...], Between(1, 9), Items(1, 2)] = (1,)
    ends: Annotated[tuple[float, float] | None, Between(0, 150)] = None
    kind: Literal["a", "b"] = "a"
    colours: tuple[Colour, ...] = ()
    flag: bool = False
    text: str = ""
    file: Path | None = None
    inner: Inner = field(default_factory=Inner)


@dataclass(frozen=True, kw_only=True)
class Narrower(Config):
    count: Annotated[int, "what a command adds"] = 2


BAD = [
    ({"count": 0}, "count is 0: give a whole number from 1 to 9"),
    ({"count": 10}, "count is 10"),
    ({"count": True}, "count is True"),
    ({"count": 2.0}, "count is 2.0"),
    ({"count": "2"}, "count is '2'"),
    ({"count": None}, "count is None"),
    ({"count": 10**30}, "count is 1000"),
    ({"count": 7}, "Seven is taken"),
    ({"count": 1, "width": 12}, "width is 12: give a multiple of 8 from 8 to 64"),
    ({"count": 1, "widths": ()}, r"widths is \[\]: give a list of 1 to 2 values, each a whole number from 1 to 9"),
    ({"count": 1, "widths": (1, 0)}, "widths has 0: give a whole number from 1 to 9"),
    ({"count": 1, "widths": 3}, "widths is 3"),
    ({"count": 1, "ends": (math.nan, 1.0)}, "ends has nan: give a number from 0 to 150"),
    ({"count": 1, "ends": (1.0,)}, r"ends is \[1.0\]: give a list of 2 values"),
    ({"count": 1, "kind": "c"}, "kind is 'c': give one of a, b"),
    ({"count": 1, "kind": []}, r"kind is \[\]"),
    ({"count": 1, "colours": ("red", Colour.RED)}, "colours has 'red': give one of red, blue"),
    ({"count": 1, "flag": 1}, "flag is 1: give true or false"),
    ({"count": 1, "text": 1}, "text is 1: give text"),
    ({"count": 1, "text": "a\udcff"}, r"text is 'a\\udcff': give text"),
    ({"count": 1, "file": Path("a" * 256)}, "file is 'aaa.*: give a path"),
    ({"count": 1, "inner": {}}, "inner is {}: give a table"),
]


@pytest.mark.parametrize(("values", "said"), BAD)
def test_what_does_not_fit_is_named(values: dict[str, Any], said: str) -> None:
    for kind in (Config, Narrower):
        with pytest.raises(UserError, match=said):
            kind(**values)


def test_what_fits() -> None:
    assert Config(count=np.int64(3), ends=(0, 150), widths=(1, 9)).count == 3  # pyright: ignore[reportArgumentType]
    check("seed", 2**63 - 1, Annotated[int, Between(0, 2**63 - 1)])
    with pytest.raises(UserError, match="seed is 9223372036854775808"):
        check("seed", 2**63, Annotated[int, Between(0, 2**63 - 1)])
    with pytest.raises(UserError, match="x is inf: give a number"):
        check("x", math.inf, float)


def test_from_a_file() -> None:
    values = {"count": 1, "widths": [2, 3], "colours": ["Red"], "file": "a/b", "inner": {"share": 1}}
    config = build(Config, values, "a.toml")
    assert (config.widths, config.colours, config.file, config.inner.share) == ((2, 3), (Colour.RED,), Path("a/b"), 1)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([], r"a.toml: what stands there is \[\]: give a table"),
        (None, "a.toml: what stands there is None"),
        ({}, "a.toml: the setting 'count' is missing"),
        ({"count": 1, "colour": 1}, "a.toml: unknown setting 'colour': choose from count, width"),
        ({"count": 1, "inner": {"shares": 1}}, "a.toml: unknown setting 'inner.shares': choose from share"),
        ({"count": 1, "inner": {"share": 2}}, "a.toml: inner.share is 2: give a number from 0 to 1"),
        ({"count": 1, "inner": 3}, "a.toml: inner is 3: give a table"),
        ({"count": 7}, "a.toml: Seven is taken"),
    ],
)
def test_bad_files(values: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        build(Config, values, "a.toml")


def test_every_number_of_a_config_has_ends() -> None:
    """Whoever adds a setting says how far it may go."""
    for command in COMMANDS:
        import_module(f"omnicxr.app.commands.{command}")
    found = [kind for kind in _below(Settings) if kind.__module__.startswith("omnicxr.")]
    assert {GeneratorConfig, StudySpec, SimulationConfig} <= set(found)
    numbers = [
        (kind, name)
        for kind in found
        for name, hint in _hints(kind).items()
        if re.search(r"\b(int|float)\b", str(hint))
    ]
    assert len(numbers) > 80
    assert not [
        (kind.__name__, name)
        for kind, name in numbers
        if not any("Between" in str(_hints(k).get(name)) for k in kind.__mro__)
    ]


def _below(kind: type) -> list[type]:
    return [k for child in kind.__subclasses__() for k in (child, *_below(child))]


def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)
