"""`omnicxr train`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import torch
from tyro.conf import Positional, arg

from omnicxr.app.arguments import DryRun, Flat, Out
from omnicxr.app.console import console, dry_run_table, progress_bar
from omnicxr.domain.settings import Between
from omnicxr.training.config import TrainingSteps
from omnicxr.training.loop import LoopConfig, processes
from omnicxr.training.memory import check_memory
from omnicxr.training.origin import Origin
from omnicxr.training.presets import get_preset
from omnicxr.training.stages.table import ALIASES, get_stage

STAGE = "image-autoencoder, report-autoencoder, prompt-encoders, refiner, generator, guide, judge or all."
SET = "Other values of the preset: generator.depth=8,optimization.generator.batch_size=64."
FROM = "Start from this model folder's weights, or bundled; stages not trained here come from it."
NEW_TOKENIZER = "With --from: for reports in other words, a tokenizer of their own."
MEASURE = "With all: evaluate on so many test studies at the end, to OUT/evaluation."


def train(
    stage: Positional[Annotated[str, arg(help=STAGE)]],
    loop: Flat[LoopConfig],
    *,
    data: Annotated[Path, arg(help="A prepared data set.")],
    out: Out,
    preset: Annotated[str, arg(help="nano, tiny, small, base or published.")] = "tiny",
    steps: Annotated[TrainingSteps | None, arg(help="Steps of the stage, instead of the preset's.")] = None,
    values: Annotated[dict[str, str], arg(name="set", help=SET)] = {},  # noqa: B006
    start: Annotated[str, arg(name="from", help=FROM)] = "",
    new_tokenizer: Annotated[bool, arg(help=NEW_TOKENIZER)] = False,
    measure: Annotated[int, Between(0, 1_000_000), arg(help=MEASURE)] = 0,
    dry_run: DryRun = False,
) -> None:
    """Train one stage or all of them. Run the same command again to go on after an interruption.

    On several GPUs: `accelerate launch --multi_gpu -m omnicxr.app.cli train ...`.
    """
    from omnicxr.app.plots import plot_losses
    from omnicxr.training.run import TrainingRun

    if stage in ALIASES:
        console.print(f"The stage {stage} is called {ALIASES[stage]} now.")
        stage = ALIASES[stage]
    chosen = get_preset(preset).with_values(values).with_steps(steps)
    if stage != "all":
        get_stage(stage)  # refuses one that there is not
    check_memory(chosen)
    origin = Origin.named(start)
    if dry_run:
        begun = origin.folder if origin else "chance"
        dry_run_table(chosen, data=data, out=out, stage=stage, start=begun, **asdict(loop))
        return
    with progress_bar("Training") as progress:
        run = TrainingRun(
            preset=chosen,
            loop=loop,
            data=data,
            out=out,
            origin=origin,
            new_tokenizer=new_tokenizer,
            report=progress.training,
            on_checkpoint=plot_losses,
        )
        run.train(stage)
    if processes().is_main_process:
        console.print(f"Done: {out}")
        if measure and stage == "all":
            _measure(out, data, num=measure, seed=loop.seed)


def _measure(run: Path, data: Path, *, num: int, seed: int) -> None:
    """Evaluate the model of a finished run on `num` test studies, on every GPU that there is."""
    from omnicxr.app.commands.evaluate import evaluate
    from omnicxr.evaluation.config import EvaluationConfig

    devices = tuple(f"cuda:{i}" for i in range(torch.cuda.device_count())) or ("cpu",)
    config = EvaluationConfig(num=num, seed=seed)
    evaluate(config, data=data, out=run / "evaluation", model=run / "model", devices=devices)
