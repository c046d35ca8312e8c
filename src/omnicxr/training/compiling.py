"""Compiled blocks: the parts that a network repeats, each by itself.

A whole network would be compiled again for each of the generator's tasks; a block sees a handful of shapes, and all of
its kind share what was compiled.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn

from omnicxr.domain import UserError
from omnicxr.models.generator.stream import StreamLayer
from omnicxr.models.layers import ResidualBlock, TransformerLayer

METHODS: dict[type[nn.Module], tuple[str, ...]] = {
    StreamLayer: ("project", "update"),
    ResidualBlock: ("forward",),
    TransformerLayer: ("forward",),
}


def compile_blocks(model: nn.Module, *, backend: str | Callable[..., Any] = "inductor") -> int:
    """Compile every repeated block of a network in place, for the shapes that it meets; returns how many methods.
    Weights stay where they are.

    Raises UserError where there is no C++ compiler, which torch's own error would not say plainly.
    """
    compilers = (os.environ.get("CXX", "g++"), "clang++")
    if not any(shutil.which(name) for name in compilers):
        raise UserError(
            "--compile needs a C++ compiler (g++ or clang++, or the one that CXX names): install one, or leave"
            " --compile out."
        )
    blocks = [(module, method) for module in model.modules() for method in METHODS.get(type(module), ())]
    for module, method in blocks:
        setattr(module, method, torch.compile(getattr(module, method), dynamic=False, backend=backend))
    return len(blocks)


def uncompiled(compiled: bool) -> AbstractContextManager[object]:
    """Context in which compiled blocks run as they are written: for shapes that come up once, and where operations are
    counted."""
    return torch.compiler.set_stance("force_eager") if compiled else nullcontext()
