"""`omnicxr synthesize`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import arg

from omnicxr.app import arguments
from omnicxr.app.arguments import CPUS, Devices, DryRun, Flat, Model, Out, Workers
from omnicxr.app.commands.export import export
from omnicxr.app.console import console, dry_run_table, progress_bar
from omnicxr.domain import Task
from omnicxr.models.folder import BUNDLED
from omnicxr.synthesis.export import FORMATS
from omnicxr.synthesis.gate import Gate
from omnicxr.synthesis.noticed import in_words
from omnicxr.synthesis.prompts import Wish
from omnicxr.synthesis.synthesize import SynthesisConfig
from omnicxr.synthesis.synthesize import synthesize as run

TASK, WISH = Task.parse("report->frontal+lateral"), Wish(num=1000)


@dataclass(frozen=True, kw_only=True)
class GateOptions(Gate):
    """Its conditions have names that say what they are of."""

    known: Annotated[bool, arg(name="gate-known")] = False
    alignment: Annotated[float | None, arg(name="gate-alignment")] = None
    agreement: Annotated[float | None, arg(name="gate-agreement")] = None


@dataclass(frozen=True, kw_only=True)
class SynthesisOptions(SynthesisConfig):
    """A task and a number of studies that nobody has to name."""

    task: Task = TASK
    wish: Wish = WISH
    gate: GateOptions = field(default_factory=GateOptions)
    split: Literal["train", "validate", "test"] = "train"
    table: Annotated[Path | None, arg(name="prompts")] = None


def synthesize(
    config: Flat[SynthesisOptions],
    *,
    out: Out,
    model: Model = None,
    workers: Workers = CPUS,
    devices: Devices = ("cpu",),
    ray: Annotated[bool, arg(help="Use a Ray cluster that shares the file system.")] = False,
    formats: Annotated[
        tuple[str, ...], arg(help="Export it too, to OUT-FORMAT: names of `omnicxr export`, comma-separated.")
    ] = (),
    dry_run: DryRun = False,
) -> None:
    """Make a synthetic data set of any size, with provenance in every picture. Run again to resume, with any number of
    workers."""
    layouts = arguments.chosen("format", formats, FORMATS)
    if dry_run:
        dry_run_table(config, out=out, model=model or "bundled", workers=workers, device=",".join(devices))
        return
    with progress_bar("Synthesizing studies") as progress:
        manifest = run(
            config,
            model or BUNDLED,
            out,
            workers=workers,
            devices=devices,
            use_ray=ray,
            progress=progress,
            tell=progress.progress.console.print,
        )
    console.print(f"{manifest.studies} studies in {out}; {manifest.synthetic['below_the_gate']} below the gate")
    if noticed := manifest.synthetic["noticed"]:
        console.print(f"Noticed: {in_words(noticed)}")
    for layout in layouts:
        export(out, to=layout, out=out.with_name(f"{out.name}-{layout}"))
