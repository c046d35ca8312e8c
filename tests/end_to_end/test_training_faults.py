"""Training that cannot go on: losses that are not finite, full disks, damaged files, two commands at once."""

import json
import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from omnicxr.data.files import output_folder
from omnicxr.domain import UserError
from omnicxr.models.component import Component
from omnicxr.training import checkpoint
from omnicxr.training.config import OptimizationConfig
from omnicxr.training.logs import TrainingLog
from omnicxr.training.loop import LoopConfig, train_stage
from omnicxr.training.presets import get_preset
from omnicxr.training.run import TrainingRun

EVERY_STEP, NEVER = LoopConfig(checkpoint_minutes=0.0), LoopConfig(checkpoint_minutes=100.0)
CONFIG = OptimizationConfig(steps=30, batch_size=1, learning_rate=0.1)


@dataclass(frozen=True)
class NoSettings:
    """Of a network that has none."""


class OneWeight(Component):
    config_class = NoSettings

    def __init__(self) -> None:
        super().__init__(NoSettings())
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self) -> Tensor:
        return self.weight.square()


class Stage:
    """Loss w^2, but for one step."""

    name = "one-weight"

    def __init__(self, *, step: int = 1000, loss: float = 1.0) -> None:
        self.model, self.bad, self.loss = OneWeight(), step, loss

    def losses(self, model: Any, step: int, rank: int) -> dict[str, Tensor]:
        loss = model()
        return {"loss": loss * self.loss if step == self.bad else loss, "ratio": loss.detach() / 0}

    def held_out_losses(self, model: Any) -> list[dict[str, Tensor]]:
        return [{"loss": model(), "ratio": torch.tensor(math.nan)}]

    def finish(self) -> None:
        pass

    def sample_sheet(self, path: Path) -> None:
        pass


def strict(path: Path) -> list[dict[str, Any]]:
    """Lines of valid JSON, which has neither NaN nor Infinity."""

    def refuse(token: str) -> None:
        raise AssertionError(token)

    return [json.loads(line, parse_constant=refuse) for line in path.read_text().splitlines()]


def checkpoints(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if "step-" in p.name)


@pytest.mark.parametrize(
    ("step", "loss", "said", "logged"),
    [
        (0, math.nan, "loss of .* at step 1 is not finite.*no checkpoint yet.*learning_rate", []),
        (3, math.inf, r"loss of .* at step 4 is not finite.*checkpoint of step 3 is kept", [3]),
        (24, -math.inf, r"loss of .* at step 25 is not finite.*checkpoint of step 24 is kept", [20, 24]),
    ],
)
def test_the_first_loss_that_is_not_finite(
    tmp_path: Path, step: int, loss: float, said: str, logged: list[int]
) -> None:
    folder = tmp_path / "one-weight"
    with pytest.raises(UserError, match=said):
        train_stage(Stage(step=step, loss=loss), CONFIG, EVERY_STEP, folder=folder)
    assert checkpoints(folder) == ([f"step-{step}"] if step else [])
    assert [line["step"] for line in strict(folder / "metrics.jsonl")] == logged
    assert all(line["ratio"] is None for line in strict(folder / "held-out.jsonl"))


def test_weights_that_are_not_finite_are_no_checkpoint(tmp_path: Path) -> None:
    """The loss of the last step was, its gradient was not: nothing comes after it."""

    class LastGradient(Stage):
        def losses(self, model: Any, step: int, rank: int) -> dict[str, Tensor]:
            loss = model()
            return {"loss": (loss - loss.detach()).sqrt() if step == 29 else loss}

    with pytest.raises(UserError, match=r"weights of .* at step 30 are not finite.*no checkpoint yet"):
        train_stage(LastGradient(), CONFIG, NEVER, folder=tmp_path)
    assert checkpoints(tmp_path) == []


def test_full_disk_leaves_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = checkpoint.save_tensors

    def full(tensors: dict[str, Tensor], path: Path) -> None:
        whole(tensors, path)
        if "step-5" in str(path):
            whole(tensors, Path("/dev/full/nowhere"))

    monkeypatch.setattr(checkpoint, "save_tensors", full)
    with pytest.raises(UserError, match=r"Cannot write the checkpoint .*step-5: .*What was saved before is kept"):
        train_stage(Stage(), CONFIG, EVERY_STEP, folder=tmp_path)
    assert checkpoints(tmp_path) == ["step-4"]
    monkeypatch.undo()
    model = train_stage(Stage(), CONFIG, EVERY_STEP, folder=tmp_path)
    assert torch.equal(model.weight, train_stage(Stage(), CONFIG, NEVER, folder=tmp_path / "whole").weight)  # type: ignore[arg-type]


def test_damaged_checkpoints_and_logs(tmp_path: Path) -> None:
    trained = train_stage(Stage(), CONFIG, NEVER, folder=tmp_path).weight
    for name, text in (("state.json", "{"), ("state.json", '{"steps": 1}'), ("state.safetensors", "half")):
        folder = Path(shutil.copytree(tmp_path, tmp_path.with_name(f"{name}-{len(text)}")))
        (folder / "step-30" / name).write_text(text)
        with pytest.raises(UserError, match=r"step-30 is damaged \(.*\): remove it"):
            train_stage(Stage(), CONFIG, NEVER, folder=folder)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 30, "lo')
    assert torch.equal(train_stage(Stage(), CONFIG, NEVER, folder=tmp_path).weight, trained)  # type: ignore[arg-type]
    assert [line["step"] for line in strict(tmp_path / "metrics.jsonl")] == [20, 30]


def test_two_commands_on_one_run(prepared: Path, tmp_path: Path) -> None:
    run = TrainingRun(preset=get_preset("nano"), loop=LoopConfig(), data=prepared, out=tmp_path / "run")
    for kept, stage in (("run", "all"), ("run/judge", "judge")):
        with output_folder(tmp_path / kept, results=()), pytest.raises(UserError, match="Another command is writing"):
            run.train(stage)
    with pytest.raises(UserError, match="not trained yet"):
        run.train("generator")
    assert list(tmp_path.iterdir()) == [], "nothing was trained"


def test_losses_of_a_gpu_are_read_when_a_line_or_a_checkpoint_is_due(tmp_path: Path) -> None:
    log = TrainingLog(tmp_path, 40, studies=1)
    log.values, log.last = {"loss": [torch.tensor(v) for v in (1.0, 3.0, math.nan, 5.0, math.inf)]}, 45
    with pytest.raises(UserError, match="at step 43 is not finite"):
        log.check()
    assert strict(tmp_path / "metrics.jsonl") == [{"step": 42, "loss": 2.0}]
