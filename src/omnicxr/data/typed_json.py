"""Dataclasses as JSON and back, by their type hints alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np

from omnicxr.domain import Task


def to_json(value: Any) -> Any:
    """Dataclasses and containers => what JSON can hold: tasks and words as text, label states as whole numbers, NaN and
    infinity as null, numbers with 4 decimals."""
    if isinstance(value, Task | Path):
        return str(value)
    if is_dataclass(value):
        return {f.name: to_json(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): to_json(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(v) for v in value]
    if isinstance(value, float | np.floating):
        return round(float(value), 4) if math.isfinite(value) else None
    return value.value if isinstance(value, Enum) else value


def from_json(kind: Any, value: Any) -> Any:
    """What `to_json` made of a value of this type, such as `Notes` or `Results`; null as a number is NaN. Raises
    ValueError where names are missing or unknown."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return from_json(_alternative(inner, value), value)
    if origin in (dict, Mapping):
        return {from_json(inner[0], k): from_json(inner[1], v) for k, v in value.items()}
    if origin in (list, tuple):
        return origin(from_json(inner[0], v) for v in value)
    if kind is Task:
        return Task.parse(value)
    if is_dataclass(kind) and isinstance(kind, type):
        hints = _hints(kind)
        if different := set(hints) ^ set(value):
            raise ValueError(f"{min(different)} in {kind.__name__}")
        return kind(**{name: from_json(hint, value[name]) for name, hint in hints.items()})
    if kind is float:
        return math.nan if value is None else float(value)
    return kind(value) if isinstance(kind, type) and issubclass(kind, Enum) else value


def _alternative(kinds: tuple[Any, ...], value: Any) -> Any:
    """Which of several types a value has: None, or the dataclass that has its names, or the only other one."""
    if value is None:
        return NoneType
    named = [k for k in kinds if is_dataclass(k) and isinstance(value, dict) and set(_hints(k)) == set(value)]
    return (named or [k for k in kinds if k is not NoneType])[0]


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)
