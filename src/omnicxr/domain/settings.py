"""What settings may be: their type by annotation, numbers between ends that stand beside it.

Whatever reads settings - options, `--set`, a study's TOML, a model folder's JSON - has them checked here, before any
work is done.
"""

from __future__ import annotations

import math
import os
import reprlib
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import StrEnum
from functools import cache
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from omnicxr.domain.errors import UserError

T = TypeVar("T")
MAX_NAME, MAX_PATH = 255, 4000
"""Bytes of a file's name and of a path: file systems take no more, and something is always appended."""


@dataclass(frozen=True)
class Between:
    """In an annotation: the ends of a number, or of every number of a tuple, both allowed."""

    least: float
    most: float
    multiple: int = 1
    """Only multiples of it."""


@dataclass(frozen=True)
class Items:
    """In an annotation: how many items a tuple may have."""

    least: int
    most: int


@dataclass(frozen=True)
class Verified:
    """In an annotation: a function that raises UserError for a value that cannot be used."""

    test: Callable[[Any], object]


Seed = Annotated[int, Between(0, 2**63 - 1)]
Workers = Annotated[int, Between(1, 1024)]
ImageSize = Annotated[int, Between(32, 1024)]
"""Side of square pictures, pixels."""
Studies = Annotated[int, Between(1, 1_000_000)]
SamplingSteps = Annotated[int, Between(1, 1000)]
Guidance = Annotated[float, Between(0, 50)]
"""1 is none."""
Autoguidance = Annotated[float, Between(0, 10)]
"""1 is none."""


class Settings:
    """Base of config dataclasses: UserError for a field whose value its annotation does not allow."""

    def __post_init__(self) -> None:
        for kind in type(self).__mro__:
            if is_dataclass(kind):  # a subclass may annotate a field anew, but not allow more
                for name, hint in _hints(kind).items():
                    check(name, getattr(self, name), hint)


def check(name: str, value: Any, hint: Any) -> None:
    """Raises UserError, with the name, the value and what is allowed, for a value that the annotation `hint` does not
    allow: a bool is no number, a number no text, and NaN and infinity are nothing."""
    rule = _rule(hint)
    if not _fits(value, rule):
        for item, of_item in _items(value, rule):
            if not _fits(item, of_item):
                raise UserError(f"{name} has {shown(item)}: give {_wanted(of_item)}.")
        raise UserError(f"{name} is {shown(value)}: give {_wanted(rule)}.")
    for verified in rule.verified if value is not None else ():
        verified.test(value)


def check_field(config: Any, name: str, value: Any, *, within: str = "") -> None:
    """`check` of what a field of the dataclass `config` is to hold; `within`: where it stands, for the error."""
    if is_dataclass(config):
        check(within + name, value, _hints(type(config))[name])


def build(kind: type[T], values: Any, where: object) -> T:
    """A config dataclass from a JSON object or TOML table: lists become tuples, texts members of enums or paths, tables
    configs.

    Raises UserError with the file `where`, the setting, its value and what is allowed.
    """
    return _table(kind, values, where=f"{where}: ")


def shown(value: object) -> str:
    """A value as errors show it, short."""
    plain = str(value) if isinstance(value, Path | StrEnum) else list(value) if isinstance(value, tuple) else value
    return _SHORT.repr(plain)


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60


@dataclass(frozen=True)
class _Rule:
    """An annotation taken apart."""

    kind: Any
    optional: bool
    ends: Between | None
    items: Items | None
    verified: list[Verified]


def _rule(hint: Any, ends: Between | None = None) -> _Rule:
    """`ends`: those of the tuple that the value stands in."""
    beside: list[Any] = [ends]
    optional = False
    while True:
        if get_origin(hint) is Annotated:
            beside += hint.__metadata__
            hint = hint.__origin__
        elif get_origin(hint) in (Union, UnionType):
            optional = NoneType in get_args(hint)
            hint = next(k for k in get_args(hint) if k is not NoneType)
        else:
            between = [b for b in beside if isinstance(b, Between)]
            items = next((b for b in beside if isinstance(b, Items)), None)
            verified = [b for b in beside if isinstance(b, Verified)]
            return _Rule(hint, optional, between[-1] if between else None, items, verified)


def _fits(value: Any, rule: _Rule) -> bool:
    kind, origin = rule.kind, get_origin(rule.kind)
    if kind is Any or (value is None and rule.optional):
        return True
    if origin is Literal:
        return any(type(value) is type(choice) and value == choice for choice in get_args(kind))
    if origin is tuple:
        return (
            isinstance(value, tuple)
            and _count_fits(len(value), rule)
            and all(_fits(item, of_item) for item, of_item in _items(value, rule))
        )
    if origin is dict:
        key, item = map(_rule, get_args(kind))
        return isinstance(value, dict) and all(_fits(k, key) and _fits(v, item) for k, v in value.items())
    if kind in (int, float):
        return _number_fits(value, rule)
    if kind is Path:
        return isinstance(value, Path) and _path_fits(value)
    if kind is str:
        return isinstance(value, str) and not any("\ud800" <= char <= "\udfff" for char in value)
    return isinstance(value, kind)


def _inner(rule: _Rule, values: Any) -> list[_Rule]:
    """Of each item of a tuple."""
    kinds = get_args(rule.kind)
    return [_rule(k, rule.ends) for k in (kinds[:1] * len(values) if Ellipsis in kinds else kinds)]


def _items(value: Any, rule: _Rule) -> list[tuple[Any, _Rule]]:
    """The items of a tuple that has as many as are allowed, each with its rule."""
    if get_origin(rule.kind) is not tuple or not isinstance(value, tuple) or not _count_fits(len(value), rule):
        return []
    return list(zip(value, _inner(rule, value), strict=True))


def _count_fits(count: int, rule: _Rule) -> bool:
    if rule.items and not rule.items.least <= count <= rule.items.most:
        return False
    return Ellipsis in get_args(rule.kind) or count == len(get_args(rule.kind))


def _number_fits(value: Any, rule: _Rule) -> bool:
    if isinstance(value, bool) or not isinstance(value, Integral if rule.kind is int else Real):
        return False
    number = cast(float, value)
    if rule.ends is None:
        return abs(number) < math.inf
    if rule.kind is int and number % rule.ends.multiple:
        return False
    return rule.ends.least <= number <= rule.ends.most


def _path_fits(path: Path) -> bool:
    whole = os.fsencode(path)
    return b"\0" not in whole and len(whole) <= MAX_PATH and all(len(os.fsencode(p)) <= MAX_NAME for p in path.parts)


def _wanted(rule: _Rule) -> str:
    """What is allowed, in words."""
    kind = rule.kind
    if get_origin(kind) is Literal or (isinstance(kind, type) and issubclass(kind, StrEnum)):
        return "one of " + ", ".join(map(str, get_args(kind) or kind))
    if get_origin(kind) is tuple:
        kinds = get_args(kind)
        count = f"{rule.items.least} to {rule.items.most} " if rule.items else "" if ... in kinds else f"{len(kinds)} "
        return f"a list of {count}values, each {_wanted(_inner(rule, [0])[0])}"
    if kind in (int, float):
        return _number_wanted(rule)
    words = {bool: "true or false", str: "text in UTF-8", Path: f"a path whose names have at most {MAX_NAME} bytes"}
    return words.get(kind, "a table of settings")


def _number_wanted(rule: _Rule) -> str:
    what = "a number" if rule.kind is float else "a whole number"
    if not rule.ends:
        return what
    if rule.ends.multiple > 1:
        what = f"a multiple of {rule.ends.multiple}"
    return f"{what} from {rule.ends.least} to {rule.ends.most}"


@cache
def _hints(kind: Any) -> dict[str, Any]:
    """Field => its annotation as `kind` sees it."""
    hints = get_type_hints(kind, include_extras=True)
    return {f.name: hints[f.name] for f in fields(kind)}


def _table(kind: Any, values: Any, *, where: str, within: str = "") -> Any:
    if not isinstance(values, dict):
        raise UserError(
            f"{where}{within.rstrip('.') or 'what stands there'} is {shown(values)}: give a table of settings."
        )
    hints = _hints(kind)
    if unknown := [k for k in values if k not in hints]:
        raise UserError(f"{where}unknown setting '{within}{unknown[0]}': choose from {', '.join(hints)}.")
    for f in fields(kind):
        if f.name not in values and f.default is MISSING and f.default_factory is MISSING:
            raise UserError(f"{where}the setting '{within}{f.name}' is missing: write it.")
    made = {name: _value(value, hints[name], where=where, name=within + name) for name, value in values.items()}
    try:
        return kind(**made)
    except UserError as error:
        raise UserError(f"{where}{error}") from None


def _value(value: Any, hint: Any, *, where: str, name: str) -> Any:
    rule = _rule(hint)
    if is_dataclass(rule.kind):
        return _table(rule.kind, value, where=where, within=f"{name}.")
    made = _converted(value, rule)
    try:
        check(name, made, hint)
    except UserError as error:
        raise UserError(f"{where}{error}") from None
    return made


def _converted(value: Any, rule: _Rule) -> Any:
    """Where a file has no such type: the value as that type."""
    if get_origin(rule.kind) is tuple and isinstance(value, list):
        return tuple(map(_converted, value, _inner(rule, value))) if _count_fits(len(value), rule) else tuple(value)
    if rule.kind is Path and isinstance(value, str):
        return Path(value)
    if isinstance(rule.kind, type) and issubclass(rule.kind, StrEnum) and isinstance(value, str):
        return next((m for m in rule.kind if m.lower() == value.lower()), value)
    return value
