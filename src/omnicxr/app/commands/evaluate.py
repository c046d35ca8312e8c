"""`omnicxr evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from omnicxr.app.arguments import CPUS, Devices, DryRun, Flat, Model, Out
from omnicxr.app.console import dry_run_table, progress_bar
from omnicxr.domain import UserError, settings
from omnicxr.evaluation.config import EvaluationConfig


def evaluate(
    config: Flat[EvaluationConfig],
    *,
    out: Out,
    data: Annotated[Path | None, arg(help="A prepared data set with a test split.")] = None,
    model: Model = None,
    generated: Annotated[
        Path | None,
        arg(help="Score the studies in this folder instead (docs/evaluation.md); the model only reads them."),
    ] = None,
    judge: Annotated[
        Path | None, arg(help="Model folder whose judge reads, instead of the model's own (docs/evaluation.md).")
    ] = None,
    compare: Annotated[
        tuple[Path, Path] | None, arg(help="Compare two finished evaluations instead: folders A and B.")
    ] = None,
    workers: Annotated[
        settings.Workers | None, arg(help="Processes that generate; default: one per core, or per GPU.")
    ] = None,
    devices: Devices = ("cpu",),
    dry_run: DryRun = False,
) -> None:
    """Generate every task on held-out studies, score it, and write metrics.json, tables and report.html to OUT. Run
    again to resume."""
    from omnicxr.app.evaluate import EvaluateCommand, compare_folders, run_evaluation

    if compare:
        compare_folders(*compare, out)
        return
    if data is None:
        raise UserError(
            "Nothing to measure on: give a prepared data set with --data, or two finished evaluations with --compare"
            " A B."
        )
    if dry_run:
        dry_run_table(config, data=data, out=out, model=model or "bundled", generated=generated, judge=judge)
        return
    workers = workers or (CPUS if devices == ("cpu",) else len(devices))
    with progress_bar("Evaluating") as progress:
        run_evaluation(EvaluateCommand(config, data, model, generated, judge, workers, devices), out, progress)
