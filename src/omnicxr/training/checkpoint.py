"""Training state on disk: weights, averages and optimiser as safetensors, never pickle. A checkpoint is whole or
absent."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from omnicxr.domain import UserError


@dataclass(frozen=True)
class Reached:
    """How far training has come."""

    step: int = 0
    """Steps done."""
    seconds: float = 0.0
    """Time spent, over all runs."""
    finished: bool = False


def save_checkpoint(
    folder: Path, reached: Reached, *, model: nn.Module, ema: list[Tensor], optimizer: torch.optim.Optimizer
) -> None:
    """Write `folder/step-N`, then remove older ones."""
    step = reached.step
    tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
    tensors |= {f"ema.{i}": v for i, v in enumerate(ema)}
    for i, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{k}": torch.as_tensor(v) for k, v in state.items()}
    temporary, final = folder / f".step-{step}.part", folder / f"step-{step}"
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, temporary / "state.safetensors")
        (temporary / "state.json").write_text(json.dumps(asdict(reached)))
        shutil.rmtree(final, ignore_errors=True)
        temporary.replace(final)
    except OSError as error:
        raise UserError(
            f"Cannot write the checkpoint {final}: {error.strerror or error}. Free some space and run the command"
            " again."
        ) from error
    for other in folder.glob("step-*"):
        if other != final:
            shutil.rmtree(other)


def load_checkpoint(folder: Path, *, model: nn.Module, ema: list[Tensor], optimizer: torch.optim.Optimizer) -> Reached:
    """Restore the newest checkpoint in place; returns how far it is (nowhere if there is none)."""
    found = sorted(folder.glob("step-*"), key=lambda p: int(p.name.removeprefix("step-")))
    if not found:
        return Reached()
    tensors = load_file(found[-1] / "state.safetensors")
    model.load_state_dict({k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")})
    with torch.no_grad():
        for i, average in enumerate(ema):
            average.copy_(tensors[f"ema.{i}"])
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".", 2)
            state.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return Reached(**json.loads((found[-1] / "state.json").read_text()))
