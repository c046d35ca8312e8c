"""Weights and libraries that users bring along: where they lie is said by environment variables, and what is missing is
said with its remedy."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

from omnicxr.domain import UserError


def weights_at(variable: str, get: str) -> Path:
    """The path in an environment variable; raises UserError naming what gets the file where there is none."""
    path = Path(os.environ.get(variable, ""))
    if not os.environ.get(variable) or not path.exists():
        raise UserError(f"Weights are missing: {get}, then set {variable} to where they lie.")
    return path


def library(name: str, extra: str) -> Any:
    """An optional library; raises UserError naming the extra that installs it."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise UserError(f"{name.partition('.')[0]} is not installed: run `pip install omnicxr[{extra}]`.") from None
