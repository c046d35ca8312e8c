"""Training state on disk: weights, averages and optimiser as safetensors, never pickle. A checkpoint is whole or
absent."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from omnicxr.data.files import part_of, put_in_place
from omnicxr.domain import UserError
from omnicxr.models.component import save_tensors

STATE, REACHED = "state.safetensors", "state.json"


@dataclass(frozen=True)
class Reached:
    """How far training has come."""

    step: int = 0
    """Steps done."""
    seconds: float = 0.0
    """Time spent, over all runs."""
    finished: bool = False
    best_loss: float | None = None
    """The lowest held-out loss, where the weights that had it are kept."""
    measured: int = 0
    """How often it was measured."""


def save_checkpoint(
    folder: Path,
    reached: Reached,
    *,
    model: nn.Module,
    ema: list[Tensor],
    optimizer: torch.optim.Optimizer,
    best: Sequence[Tensor] = (),
) -> None:
    """Write `folder/step-N`, then remove older ones."""
    step = reached.step
    tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
    tensors |= {f"ema.{i}": v for i, v in enumerate(ema)}
    tensors |= {f"best.{i}": v for i, v in enumerate(best)}
    for i, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{k}": torch.as_tensor(v) for k, v in state.items()}
    final = folder / f"step-{step}"
    temporary = part_of(final)
    try:
        temporary.mkdir(parents=True)
        save_tensors(tensors, temporary / STATE)
        (temporary / REACHED).write_text(json.dumps(asdict(reached)))
        put_in_place(temporary, final)
    except OSError as error:
        raise UserError(
            f"Cannot write the checkpoint {final}: {error.strerror or error}. What was saved before is kept: free some"
            " space and run the command again."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    for other in _found(folder):
        if other != final:
            shutil.rmtree(other)


def load_checkpoint(
    folder: Path, *, model: nn.Module, ema: list[Tensor], optimizer: torch.optim.Optimizer, best: Sequence[Tensor] = ()
) -> Reached:
    """Restore the newest checkpoint in place; returns how far it is (nowhere if there is none).

    Raises UserError for one that is damaged or of another network.
    """
    found = _found(folder)
    if not found:
        return Reached()
    try:
        tensors = load_file(found[-1] / STATE)
        model.load_state_dict({k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")})
        with torch.no_grad():
            for name, kept in (("ema", ema), ("best", best)):
                for i, value in enumerate(kept):
                    value.copy_(tensors[f"{name}.{i}"])
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith("optimizer."):
                _, index, key = name.split(".", 2)
                state.setdefault(int(index), {})[key] = value
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
        return Reached(**json.loads((found[-1] / REACHED).read_text()))
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"The checkpoint {found[-1]} is damaged ({said}): remove it, and the stage goes on from the one before it,"
            " or from its start."
        ) from error


def _found(folder: Path) -> list[Path]:
    """Checkpoints, the newest last."""
    numbers = {p: p.name.removeprefix("step-") for p in folder.glob("step-*") if p.is_dir()}
    return sorted((p for p, number in numbers.items() if number.isdecimal()), key=lambda p: int(numbers[p]))
