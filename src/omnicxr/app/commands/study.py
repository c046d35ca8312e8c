"""`omnicxr study`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from omnicxr.app.arguments import Device, DryRun, Out
from omnicxr.app.console import dry_run_table, progress_bar


def study(
    spec: Positional[
        Annotated[Path, arg(help="TOML file that says what is trained: see runs/studies and docs/downstream.md.")]
    ],
    *,
    real: Annotated[Path, arg(help="Prepared data set with real studies, all three splits.")],
    synthetic: Annotated[Path, arg(help="Folder that `omnicxr synthesize` wrote.")],
    out: Out,
    device: Device = "cpu",
    mixed_precision: Annotated[bool, arg(help="bfloat16 where the processor or GPU has it.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Train classifiers on real, synthetic or both, test them on real studies: what is synthetic data worth? Run again
    to resume."""
    from omnicxr.app.downstream import run_study
    from omnicxr.downstream.classifier import make_network
    from omnicxr.downstream.spec import read_spec
    from omnicxr.downstream.study import DownstreamStudy

    settings = read_spec(spec)
    make_network(settings.classifier)  # refuses one that there is not
    if dry_run:
        dry_run_table(settings, out=out, classifiers=len(list(settings.cells())))
        return
    whole = DownstreamStudy(settings, real, synthetic, out=out, device=device, mixed_precision=mixed_precision)
    with progress_bar("Training classifiers") as progress:
        run_study(whole, progress)
