"""One training loop for every stage: accelerate, AdamW, warm-up and cosine, EMA, checkpoints, JSONL metrics.

Everything random in step n follows from (seed, n, rank) alone, so a run that was killed and started again ends in the
same weights as one that was not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, cast, runtime_checkable

import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import DistributedDataParallelKwargs, broadcast
from torch import Tensor, nn

from omnicxr.data.seeds import derived_seed
from omnicxr.domain.settings import Between, Seed, Settings
from omnicxr.models.component import Component
from omnicxr.training.checkpoint import Reached, load_checkpoint, save_checkpoint
from omnicxr.training.compiling import compile_blocks, uncompiled
from omnicxr.training.config import OptimizationConfig
from omnicxr.training.logs import Losses, TrainingLog, not_finite
from omnicxr.training.throughput import Throughput

PATIENCE = timedelta(hours=2)
MEASUREMENTS = 12
"""Of the held-out loss in a stage, where the best weights are kept."""
BETAS, WEIGHT_DECAY, GRADIENT_CLIP, EMA_DECAY = (0.9, 0.98), 0.01, 1.0, 0.999
"""Of AdamW, and of the weights that are kept; the averages begin faster: (1 + step) / (10 + step)."""


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
class LoopConfig(Settings):
    """How the loop runs, apart from what is optimised."""

    seed: Seed = 0
    """Equal seeds give equal results."""
    checkpoint_minutes: Annotated[float, Between(0, 1_000_000)] = 4.0
    """Time between checkpoints, from which an interrupted stage goes on."""
    compile: bool = False
    """Compile the networks' blocks: slow at the start, other roundings; for GPUs."""
    mixed_precision: Literal["no", "bf16", "fp16"] = "no"
    keep_best: bool = False
    """End with the averaged weights that did best on validation studies, measured at every twelfth of the stage, and
    not with the last ones (which are kept where no validation study has the parts that the stage needs): for data sets
    that are learned by heart (docs/training.md, "Few studies")."""
    budget_minutes: Annotated[float | None, Between(1e-9, 1_000_000)] = None
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
    model with EMA weights.

    Raises UserError at the first loss that is not finite, for a checkpoint that is damaged and for a full disk; the
    newest checkpoint is kept.
    """
    run = _Loop(stage, config, loop, folder=folder)
    finished = run.reached.finished or run.reached.step == config.steps
    for step in range(run.reached.step, run.reached.step if finished else config.steps):
        spent = run.clock.spent_share()
        last = step + 1 == config.steps or spent >= 1
        figures = run.step(step, spent, last=last)
        run.measure(step, spent)
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
        self.best = [p.clone() for p in self.ema] if loop.keep_best else []
        self.reached = load_checkpoint(folder, model=stage.model, ema=self.ema, optimizer=optimizer, best=self.best)
        self.best_loss, self.measured = self.reached.best_loss, self.reached.measured
        self.clock = _Clock(accelerator, self.reached.seconds, loop.budget_minutes)
        if loop.compile:
            compile_blocks(stage.model)
        self.wrapped, self.optimizer = accelerator.prepare(_WithLoss(stage, accelerator.process_index), optimizer)
        self.throughput = Throughput(accelerator.device, loop.mixed_precision, compiled=loop.compile)
        studies = config.batch_size * accelerator.num_processes
        self.log = TrainingLog(folder, self.reached.step, studies=studies) if accelerator.is_main_process else None
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

    def measure(self, step: int, spent: float) -> None:
        """Keep the averaged weights if they are the best so far on held-out studies, where that is asked for and due.

        Due at equal shares of the steps, or of the time, so that interruptions do not change what is kept. The first
        process measures for all of them, so that they keep the same.
        """
        share = max((step + 1) / self.config.steps, min(spent, 1.0))
        if not self.loop.keep_best or (number := int(share * MEASUREMENTS)) <= self.measured:
            return
        self.measured = number
        loss = _from_first(self.accelerator, self._held_out_loss(step) if self.log else 0.0)
        if self.best_loss is None or loss <= self.best_loss:
            self.best_loss = loss
            for kept, average in zip(self.best, self.ema, strict=True):
                kept.copy_(average)

    def _held_out_loss(self, step: int) -> float:
        """Mean of the held-out losses with the averaged weights, which are logged; 0 where there are none."""
        assert self.log is not None
        with self._showing(self.ema):
            batches = self.stage.held_out_losses(self.stage.model)
        self.log.add_held_out(step, batches)
        loss = float(torch.stack([batch["loss"] for batch in batches]).float().mean()) if batches else 0.0
        if not math.isfinite(loss):
            raise not_finite(self.folder, "loss", step + 1)
        return loss

    @contextmanager
    def _showing(self, weights: list[Tensor]) -> Iterator[None]:
        """The model has these weights, to be measured and shown with the same noise every time."""
        with _averaged(self.params, weights, self.stage.model), uncompiled(self.loop.compile):
            torch.manual_seed(derived_seed(self.loop.seed, 0, 0))
            yield

    @property
    def kept(self) -> list[Tensor]:
        """The averaged weights that the stage ends with."""
        return self.best or self.ema

    def is_checkpoint_due(self) -> bool:
        """By the time since the last one."""
        return time.monotonic() - self.saved > 60 * self.loop.checkpoint_minutes

    def checkpoint(self, step: int, *, last: bool) -> None:
        """Measure on held-out studies, where `measure` does not, and show, with the averaged weights, in the end those
        that are kept; then save: what is saved is done."""
        assert self.log is not None
        self.log.check()  # so that the newest checkpoint is a good one
        if not all(bool(p.isfinite().all()) for p in (*self.params, *self.ema)):
            raise not_finite(self.folder, "weights", step + 1)
        model = self.stage.model
        with self._showing(self.kept if last else self.ema):
            if not self.loop.keep_best:
                self.log.add_held_out(step, self.stage.held_out_losses(model))
            if last:
                self.stage.finish()
            self.stage.sample_sheet(self.folder / f"samples-{step + 1:06d}.png")
        reached = Reached(step + 1, self.clock.seconds, last, best_loss=self.best_loss, measured=self.measured)
        save_checkpoint(self.folder, reached, model=model, ema=self.ema, optimizer=self.optimizer, best=self.best)
        self.saved = time.monotonic()

    def finish(self, *, again: bool) -> Component:
        """The model with the averaged weights that are kept; `again`: training was over before, so its statistics are
        still due."""
        self.accelerator.wait_for_everyone()
        with torch.no_grad():
            for p, average in zip(self.params, self.kept, strict=True):
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
        return _from_first(self.accelerator, self.seconds) / (60 * self.budget)


def _from_first(accelerator: Accelerator, value: float) -> float:
    """The first process's value, for every process."""
    if accelerator.num_processes == 1:  # a GPU would be waited for
        return value
    return float(cast(Tensor, broadcast(torch.tensor(value, device=accelerator.device))))


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
