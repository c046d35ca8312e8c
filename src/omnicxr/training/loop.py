"""One training loop for every stage: accelerate, AdamW, warm-up and cosine, EMA, checkpoints, JSONL metrics.

Everything random in step n follows from (seed, n, rank) alone, so a run that was killed and started again ends in the
same weights as one that was not.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Protocol, cast, runtime_checkable

import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import DistributedDataParallelKwargs, broadcast
from torch import Tensor, nn

from omnicxr.data.seeds import derived_seed
from omnicxr.models.component import Component
from omnicxr.training.checkpoint import Reached, load_checkpoint, save_checkpoint
from omnicxr.training.compiling import compile_blocks, uncompiled
from omnicxr.training.config import OptimizationConfig
from omnicxr.training.throughput import Throughput

PATIENCE = timedelta(hours=2)
BETAS, WEIGHT_DECAY, GRADIENT_CLIP, EMA_DECAY = (0.9, 0.98), 0.01, 1.0, 0.999
"""Of AdamW, and of the weights that are kept; the averages begin faster: (1 + step) / (10 + step)."""
LOG_EVERY = 20
Losses = dict[str, Tensor]
"""Name => scalar; "loss" is what is minimised, the others are only logged."""


@runtime_checkable
class Stage(Protocol):
    """What the loop needs of a stage."""

    name: str

    @property
    def model(self) -> Component:
        """What is trained."""
        ...

    def losses(self, model: Any, step: int, rank: int) -> Losses:
        """The losses of one micro-batch; anything random comes from torch's global generator, seeded by the loop."""
        ...

    def held_out_losses(self, model: Any) -> list[Losses]:
        """The same of some micro-batches of held-out studies, always the same ones, on this process alone; none where
        there are no such studies."""
        ...

    def finish(self) -> None:
        """After training, with the averaged weights in `model`: statistics that travel with the weights."""
        ...

    def sample_sheet(self, path: Path) -> None:
        """Write a picture that shows how the stage is doing, with the averaged weights in `model`."""
        ...


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """How the loop runs, apart from what is optimised."""

    seed: int = 0
    """Equal seeds give equal results."""
    checkpoint_minutes: float = 4.0
    """Time between checkpoints, from which an interrupted stage goes on."""
    compile: bool = False
    """Compile the networks' blocks: slow at the start, other roundings; for GPUs."""
    mixed_precision: Literal["no", "bf16", "fp16"] = "no"
    budget_minutes: float | None = None
    """Time for the stage, or for all of them together; none: the preset's steps. The learning rate is 0 at the end
    either way; such a run ends in weights that depend on the machine's speed."""


@dataclass(frozen=True)
class StageProgress:
    """How far a stage is, for a live line."""

    stage: str
    step: int
    steps: int
    figures: dict[str, float]


Report = Callable[[StageProgress], None]


class _WithLoss(nn.Module):
    """The stage's loss as a module, so that data-parallel wrappers see one forward."""

    def __init__(self, stage: Stage, rank: int) -> None:
        super().__init__()
        self.stage_model, self.stage, self.rank = stage.model, stage, rank

    def forward(self, step: int) -> Losses:
        return self.stage.losses(self.stage_model, step, self.rank)


def learning_rate(step: int, config: OptimizationConfig, spent: float = 0.0) -> float:
    """Linear warm-up, then cosine to zero at the last step, or where `spent`, the share of the time budget, reaches
    1."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    done = max((step - config.warmup_steps) / max(1, config.steps - config.warmup_steps), min(spent, 1.0))
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def processes() -> PartialState:
    """The processes that train together, as the launcher started them; without an accelerator they are CPU processes.

    They wait for each other up to `PATIENCE`: the first one alone trains the tokenizer and puts the latents of a whole
    data set together.
    """
    return PartialState(cpu=not torch.accelerator.is_available(), timeout=PATIENCE)


def train_stage(
    stage: Stage,
    config: OptimizationConfig,
    loop: LoopConfig,
    *,
    folder: Path,
    report: Report | None = None,
    on_checkpoint: Callable[[Path], None] | None = None,
) -> Component:
    """Train a stage to its last step or the end of its time, picking up the newest checkpoint in `folder`; returns the
    model with EMA weights."""
    run = _Loop(stage, config, loop, folder=folder)
    finished = run.reached.finished or run.reached.step == config.steps
    for step in range(run.reached.step, run.reached.step if finished else config.steps):
        spent = run.clock.spent_share()
        last = step + 1 == config.steps or spent >= 1
        figures = run.step(step, spent, last=last)
        if figures and report:
            steps = config.steps if spent == 0 else min(config.steps, round((step + 1) / spent))
            report(StageProgress(stage.name, step + 1, steps, figures))
        if run.log and (last or run.is_checkpoint_due()):
            run.checkpoint(step, last=last)
            if on_checkpoint:
                on_checkpoint(folder)
        if last:
            break
    return run.finish(again=finished)


class _Loop:
    """One stage that this process trains."""

    def __init__(self, stage: Stage, config: OptimizationConfig, loop: LoopConfig, *, folder: Path) -> None:
        self.stage, self.config, self.loop, self.folder = stage, config, loop, folder
        self.accelerator = accelerator = Accelerator(
            cpu=not torch.accelerator.is_available(),
            mixed_precision=loop.mixed_precision,
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
        )
        folder.mkdir(parents=True, exist_ok=True)
        stage.model.train().requires_grad_(True).to(accelerator.device)
        self.params = list(stage.model.parameters())
        self.ema = [p.detach().clone() for p in self.params]
        optimizer = torch.optim.AdamW(
            self.params,
            lr=config.learning_rate,
            betas=BETAS,
            weight_decay=WEIGHT_DECAY,
            fused=accelerator.device.type == "cuda",
        )
        self.reached = load_checkpoint(folder, model=stage.model, ema=self.ema, optimizer=optimizer)
        self.clock = _Clock(accelerator, self.reached.seconds, loop.budget_minutes)
        if loop.compile:
            compile_blocks(stage.model)
        self.wrapped, self.optimizer = accelerator.prepare(_WithLoss(stage, accelerator.process_index), optimizer)
        self.throughput = Throughput(accelerator.device, loop.mixed_precision, compiled=loop.compile)
        studies = config.batch_size * accelerator.num_processes
        self.log = _Log(folder, self.reached.step, studies=studies) if accelerator.is_main_process else None
        self.saved = time.monotonic()

    def step(self, step: int, spent: float, *, last: bool) -> dict[str, float] | None:
        """One step of the optimiser and the averages; figures where a line of the log is due."""
        torch.manual_seed(derived_seed(self.loop.seed, step, self.accelerator.process_index))
        rate = learning_rate(step, self.config, spent)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        with self.throughput.step(step):
            losses = self.wrapped(step)
            self.optimizer.zero_grad()
            self.accelerator.backward(losses["loss"])
        norm = self.accelerator.clip_grad_norm_(self.params, GRADIENT_CLIP)
        assert norm is not None  # None only under FSDP without gradients
        self.optimizer.step()
        decay = min(EMA_DECAY, (1 + step) / (10 + step))
        current = [p.detach() for p in self.params]
        torch._foreach_lerp_(self.ema, current, 1 - decay)  # pyright: ignore[reportPrivateImportUsage]
        if not self.log:
            return None
        return self.log.add(step, {**losses, "grad_norm": norm}, lr=rate, throughput=self.throughput, last=last)

    def is_checkpoint_due(self) -> bool:
        """By the time since the last one."""
        return time.monotonic() - self.saved > 60 * self.loop.checkpoint_minutes

    def checkpoint(self, step: int, *, last: bool) -> None:
        """Save, measure on held-out studies and show, with the averaged weights."""
        assert self.log is not None
        model = self.stage.model
        reached = Reached(step + 1, self.clock.seconds, last)
        save_checkpoint(self.folder, reached, model=model, ema=self.ema, optimizer=self.optimizer)
        with _averaged(self.params, self.ema, model), uncompiled(self.loop.compile):
            torch.manual_seed(derived_seed(self.loop.seed, 0, 0))  # the same noise every time
            self.log.add_held_out(step, self.stage.held_out_losses(model))
            if last:
                self.stage.finish()
            self.stage.sample_sheet(self.folder / f"samples-{step + 1:06d}.png")
        self.saved = time.monotonic()

    def finish(self, *, again: bool) -> Component:
        """The model with the averaged weights; `again`: training was over before, so its statistics are still due."""
        self.accelerator.wait_for_everyone()
        with torch.no_grad():
            for p, average in zip(self.params, self.ema, strict=True):
                p.copy_(average)
        self.stage.model.eval().requires_grad_(False)
        if again:
            with uncompiled(self.loop.compile):
                self.stage.finish()
        return self.stage.model


class _Clock:
    """Time spent on a stage, over interruptions; every process goes by that of the first one."""

    def __init__(self, accelerator: Accelerator, seconds: float, budget_minutes: float | None) -> None:
        self.accelerator, self.before, self.budget = accelerator, seconds, budget_minutes
        self.start = time.monotonic()

    @property
    def seconds(self) -> float:
        return self.before + time.monotonic() - self.start

    def spent_share(self) -> float:
        """Of the budget; 0 without one."""
        if self.budget is None:
            return 0.0
        if self.accelerator.num_processes == 1:  # a GPU would be waited for
            return self.seconds / (60 * self.budget)
        seconds = broadcast(torch.tensor(self.seconds, device=self.accelerator.device))
        return float(cast(Tensor, seconds)) / (60 * self.budget)


class _averaged:
    """Context: the model holds the averaged weights, in evaluation mode and without gradients."""

    def __init__(self, params: list[nn.Parameter], ema: list[Tensor], model: nn.Module) -> None:
        self.params, self.ema, self.model = params, ema, model
        self.no_grad = torch.no_grad()

    def _swap(self) -> None:
        for p, average in zip(self.params, self.ema, strict=True):
            kept = p.detach().clone()
            p.copy_(average)
            average.copy_(kept)

    def __enter__(self) -> None:
        self.no_grad.__enter__()
        self._swap()
        self.model.eval()

    def __exit__(self, *error: object) -> None:
        self._swap()
        self.model.train()
        self.no_grad.__exit__(None, None, None)


class _Log:
    """metrics.jsonl: one line of means every LOG_EVERY steps; held-out.jsonl: one line at every checkpoint, of the
    averaged weights.

    Lines past the checkpoint that is resumed are cut off.
    """

    def __init__(self, folder: Path, start: int, *, studies: int) -> None:
        self.path, self.held_out, self.studies = folder / "metrics.jsonl", folder / "held-out.jsonl", studies
        self.values: dict[str, list[Tensor]] = {}
        self.count, self.since = 0, time.monotonic()
        for path in (self.path, self.held_out):
            lines = path.read_text().splitlines() if path.exists() else []
            kept = [line for line in lines if json.loads(line)["step"] <= start]
            path.write_text("".join(line + "\n" for line in kept))

    def add(
        self, step: int, values: Losses, *, lr: float, throughput: Throughput, last: bool
    ) -> dict[str, float] | None:
        """Losses of a step; the means since the last line where one is due."""
        for name, value in values.items():  # read only when a line is due, so that a GPU never waits
            self.values.setdefault(name, []).append(value.detach())
        self.count += 1
        if (step + 1) % LOG_EVERY and not last:
            return None
        rate = self.count / (time.monotonic() - self.since)
        figures = {**_means(self.values), "lr": lr, "per_second": rate * self.studies, **throughput.figures(rate)}
        _append(self.path, step, figures)
        self.values, self.count, self.since = {}, 0, time.monotonic()
        return figures

    def add_held_out(self, step: int, batches: list[Losses]) -> None:
        """The means of held-out micro-batches, where there are any."""
        values: dict[str, list[Tensor]] = {}
        for batch in batches:
            for name, value in batch.items():
                values.setdefault(name, []).append(value)
        if values:
            _append(self.held_out, step, _means(values))


def _means(values: dict[str, list[Tensor]]) -> dict[str, float]:
    return {name: float(torch.stack(v).float().mean()) for name, v in values.items()}


def _append(path: Path, step: int, figures: dict[str, float]) -> None:
    with path.open("a") as file:
        file.write(json.dumps({"step": step + 1, **{k: round(v, 6) for k, v in figures.items()}}) + "\n")
