"""How every network is configured, saved and loaded: `config.json` + `model.safetensors` in a folder of its own."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from omnicxr.domain import UserError

CONFIG, WEIGHTS = "config.json", "model.safetensors"

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
        folder.mkdir(parents=True, exist_ok=True)
        state = {k: v.half() if half and v.is_floating_point() else v for k, v in self.state_dict().items()}
        save_file({k: v.detach().cpu().contiguous() for k, v in state.items()}, folder / WEIGHTS)
        (folder / CONFIG).write_text(json.dumps(asdict(self.config), indent=2) + "\n")

    @classmethod
    def from_older(
        cls, config: dict[str, Any], weights: dict[str, Tensor], folder: Path
    ) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Settings and weights of `folder` as this version names them; most networks never changed their names."""
        return config, weights

    @classmethod
    def load(cls: type[C], folder: Path) -> C:
        """Read a network in float32, ready for use. Raises UserError naming the file that is missing or damaged."""
        config, state = cls.from_older(read_json(folder / CONFIG), read_weights(folder / WEIGHTS), folder)
        model = cls(cls.config_class(**known_settings(config, cls.config_class, folder / CONFIG)))
        wanted = model.state_dict()
        if wrong := set(state) ^ set(wanted):
            raise UserError(
                f"{folder / WEIGHTS} does not fit its {CONFIG} ('{min(wrong)}' differs): get the model folder again."
            )
        if wrong := [k for k in wanted if wanted[k].shape != state[k].shape]:
            raise UserError(
                f"{folder / WEIGHTS} does not fit its {CONFIG} (shape of '{wrong[0]}'): get the model folder again."
            )
        model.load_state_dict({k: v.to(wanted[k].dtype) for k, v in state.items()})
        return model.eval().requires_grad_(False)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of a model folder. Raises UserError for a missing or damaged file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is missing or damaged ({error}): get the model folder again.") from error


def known_settings(values: dict[str, Any], config_class: type, path: Path) -> dict[str, Any]:
    """The settings of `config_class` that stand in `path`, lists as tuples. Raises UserError for one that it does not
    have."""
    if unknown := set(values) - {f.name for f in fields(config_class)}:
        raise UserError(f"{path} has the unknown setting '{min(unknown)}': it was written by another version.")
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}


def read_weights(path: Path) -> dict[str, Tensor]:
    """A safetensors file => tensors by name. Raises UserError for a missing or damaged file."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"The weights {path} are missing or damaged ({error}): get the model folder again.") from error


def count_parameters(model: nn.Module) -> int:
    """Number of scalars in the parameters."""
    return sum(p.numel() for p in model.parameters())
