"""How every network is configured, saved and loaded: `config.json` + `model.safetensors` in a folder of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from omnicxr.data.files import whole_file, write_json
from omnicxr.data.plain_files import plain_file, read_json_object
from omnicxr.domain import UserError
from omnicxr.domain.settings import build

CONFIG, WEIGHTS = "config.json", "model.safetensors"
REMEDY = "get the model folder again"

C = TypeVar("C", bound="Component")


class Component(nn.Module):
    """A network made from one frozen config dataclass. Loading is strict: every weight must be there, and no other."""

    config_class: ClassVar[type]

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def save(self, folder: Path, *, half: bool = False) -> None:
        """Write the network; with `half`, floating-point weights are stored as float16."""
        state = {k: v.half() if half and v.is_floating_point() else v for k, v in self.state_dict().items()}
        write_json(folder / CONFIG, asdict(self.config))
        with whole_file(folder / WEIGHTS) as temporary:  # last: a folder that has weights is whole
            save_tensors(state, temporary)

    @classmethod
    def from_older(
        cls, config: dict[str, Any], weights: dict[str, Tensor], folder: Path
    ) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Settings and weights of `folder` as this version names them; most networks never changed their names."""
        return config, weights

    @classmethod
    def load(cls: type[C], folder: Path) -> C:
        """Read a network in float32, ready for use. Raises UserError naming the file that is missing or damaged.

        Settings that ask for a larger network than the weights are for are refused before there is memory for it.
        """
        settings, state = cls.from_older(read_json(folder / CONFIG), read_weights(folder / WEIGHTS), folder)
        config = build(cls.config_class, settings, folder / CONFIG)
        unfit = f"{folder / WEIGHTS} does not fit its {CONFIG} (%s): {REMEDY}."
        try:
            with _AtMost(2 * sum(v.numel() for v in state.values()) + 100_000):
                model = cls(config)
        except _TooLargeError:
            raise UserError(unfit % "the network has more") from None
        wanted = model.state_dict()
        if wrong := state.keys() ^ wanted.keys():
            raise UserError(unfit % f"'{min(wrong)}' differs")
        if wrong := [k for k in wanted if wanted[k].shape != state[k].shape]:
            raise UserError(unfit % f"shape of '{wrong[0]}'")
        model.load_state_dict(state)
        return model.eval().requires_grad_(False)


def save_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write a safetensors file. Raises OSError, as other writers do, where the disk is full."""
    try:
        save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, path)
    except SafetensorError as error:
        raise OSError(str(error)) from error


class _TooLargeError(Exception):
    pass


class _AtMost(TorchFunctionMode):
    """While a network is built: raises _TooLargeError before its tensors have more than so many elements together."""

    MAKES = frozenset((torch.empty, torch.zeros, torch.ones, torch.randn, torch.eye))

    def __init__(self, elements: int) -> None:
        super().__init__()
        self.left = elements

    def __torch_function__(self, func: Any, types: Any, *call: Any) -> Any:
        args, kwargs, *_ = (*call, (), {})
        if func in self.MAKES:
            self.left -= math.prod(n for size in args for n in ((size,) if isinstance(size, int) else size))
            if self.left < 0:
                raise _TooLargeError
        return func(*args, **(kwargs or {}))


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of a model folder. Raises UserError for a missing or damaged file."""
    return read_json_object(path, remedy=REMEDY)


def read_weights(path: Path) -> dict[str, Tensor]:
    """A safetensors file => float32 tensors by name. Raises UserError for a missing or damaged file, and for weights
    that are no finite numbers."""
    try:
        weights = load_file(plain_file(path, remedy=REMEDY))
    except (OSError, SafetensorError) as error:
        raise UserError(f"The weights {path} are missing or damaged ({error}): {REMEDY}.") from error
    for name, value in weights.items():
        if not value.is_floating_point():
            raise UserError(f"The weights {path} have {value.dtype} for '{name}', which is no weight: {REMEDY}.")
        weights[name] = value = value.float()
        if not value.isfinite().all():
            raise UserError(f"The weights {path} are not finite ('{name}' has NaN or infinity): {REMEDY}.")
    return weights


def count_parameters(model: nn.Module) -> int:
    """Number of scalars in the parameters."""
    return sum(p.numel() for p in model.parameters())
