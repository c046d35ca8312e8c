"""`omnicxr simulate`."""

from __future__ import annotations

from typing import Annotated

from tyro.conf import arg

from omnicxr.app.arguments import CPUS, Device, DryRun, Out, Workers
from omnicxr.app.console import console, dry_run_table, progress_bar
from omnicxr.simulation.simulate import SimulationConfig
from omnicxr.simulation.simulate import simulate as run


def simulate(
    config: Annotated[SimulationConfig, arg(name="")],
    *,
    out: Out,
    workers: Workers = CPUS,
    device: Device = "cpu",
    dry_run: DryRun = False,
) -> None:
    """Write simulated paired studies with known truth, in the MIMIC-CXR-JPG layout. Run again to resume."""
    if dry_run:
        dry_run_table(config, out=out, workers=workers, device=device)
        return
    with progress_bar("Simulating studies") as progress:
        run(config, out, workers=workers, device=device, progress=progress)
    console.print(f"{config.studies} studies in {out}")
