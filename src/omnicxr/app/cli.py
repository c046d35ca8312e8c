"""The `omnicxr` command. Each function below, and in `synthetic_commands`, is one sub-command; its docstring is its
help."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional, arg

from omnicxr.app import arguments
from omnicxr.app.arguments import Device, DryRun, Out, Seed
from omnicxr.app.console import console, dry_run_table, progress_bar
from omnicxr.app.synthetic_commands import export, reader_study, study, synthesize
from omnicxr.domain import Task, UserError
from omnicxr.simulation.population import Prevalence


def simulate(
    *,
    studies: int,
    out: Out,
    seed: Seed = 0,
    image_size: int = 256,
    workers: int = os.cpu_count() or 1,
    device: Device = "cpu",
    prevalence: Prevalence = Prevalence(),  # noqa: B008
    dry_run: DryRun = False,
) -> None:
    """Write simulated paired studies with known truth, in the MIMIC-CXR-JPG layout. Run again to resume."""
    from omnicxr.simulation.simulate import SimulationConfig
    from omnicxr.simulation.simulate import simulate as run

    config = SimulationConfig(studies=studies, seed=seed, image_size=image_size, prevalence=prevalence)
    if dry_run:
        dry_run_table(config, out=out, workers=workers, device=device)
        return
    with progress_bar("Simulating studies") as progress:
        run(config, out, workers=workers, device=device, progress=progress)
    console.print(f"{studies} studies in {out}")


def prepare(
    kind: Positional[
        Annotated[
            str,
            arg(
                help=(
                    "mimic-cxr-jpg (simulate too), mimic-cxr, openi, chexpert, chexpert-plus, padchest, nih, table,"
                    " mix."
                )
            ),
        ]
    ],
    where: Positional[
        Annotated[str, arg(help="Folder as it was downloaded; for table a file; for mix KIND=FOLDER,KIND=FOLDER.")]
    ],
    *,
    out: Out,
    image_size: int = 256,
    require: Annotated[str, arg(help="Modalities a study must have, for instance frontal,lateral,report.")] = "",
    views: Annotated[str, arg(help="Views that are used.")] = "PA,AP,FRONTAL,LATERAL,LL",
    text: Annotated[
        str, arg(help="auto (impression, else findings, else last paragraph), impression, findings or both.")
    ] = "auto",
    min_words: int = 1,
    max_words: int | None = None,
    describe: Annotated[
        bool,
        arg(help="Give studies with labels and no report a sentence made from the labels, which names their source."),
    ] = False,
    limit: Annotated[int | None, arg(help="Stop after so many studies.")] = None,
    columns: Annotated[
        str,
        arg(help="For table: ROLE=COLUMN,... with patient, study, frontal, lateral, image, view, report, split, ..."),
    ] = "",
    workers: int = os.cpu_count() or 1,
    dry_run: DryRun = False,
) -> None:
    """Turn a data set into Parquet shards and a manifest that accounts for every study. Run again to resume."""
    from omnicxr.app.inspect import manifest_tables
    from omnicxr.data.prepare import PrepareConfig
    from omnicxr.data.prepare import prepare as run
    from omnicxr.data.selection import Selection

    selection = Selection(
        require=arguments.modalities(require),
        views=arguments.views(views),
        text=text,
        min_words=min_words,
        max_words=max_words,
        describe=describe,
        limit=limit,
    )
    config = PrepareConfig(
        kind=kind, image_size=image_size, selection=selection, columns=arguments.pairs("columns", columns)
    )
    with progress_bar("Preparing shards") as progress:
        manifest = run(config, where, out, workers=workers, dry_run=dry_run, progress=progress)
    manifest_tables(manifest)


def inspect(
    data: Positional[Path],
    *,
    out: Annotated[Path | None, arg(help="Folder for the page; default: the data folder.")] = None,
    verify: Annotated[bool, arg(help="Read every shard and compare it with the manifest first.")] = False,
) -> None:
    """Print counts, label and view tables of a prepared data set, and write them with plots and a contact sheet to
    data.html."""
    from omnicxr.app.inspect import inspect_dataset

    inspect_dataset(data, out or data, verify=verify)


def label(text: Positional[Annotated[str, arg(help="Report text, or @FILE, or - for standard input.")]]) -> None:
    """Say which findings a report states, and by which words."""
    from omnicxr.app.generate import report_argument
    from omnicxr.app.inspect import label_tables

    label_tables(sys.stdin.read() if text == "-" else report_argument(text))


def train(
    stage: Positional[
        Annotated[
            str, arg(help="image-autoencoder, report-autoencoder, prompts, refiner, generator, guide, judge or all.")
        ]
    ],
    *,
    data: Annotated[Path, arg(help="A prepared data set.")],
    out: Out,
    preset: Annotated[str, arg(help="nano, tiny, small or base.")] = "tiny",
    steps: Annotated[int | None, arg(help="Steps of the stage, instead of the preset's.")] = None,
    values: Annotated[
        str, arg(name="set", help="Other values of the preset: drop_prompt=0,optimization.generator.batch_size=64.")
    ] = "",
    start: Annotated[
        str,
        arg(
            name="from",
            help="Start from this model folder's weights, or bundled; stages not trained here come from it.",
        ),
    ] = "",
    seed: Seed = 0,
    mixed_precision: Literal["no", "bf16", "fp16"] = "no",
    compiled: Annotated[bool, arg(name="compile", help="Compile the networks' blocks; for GPUs.")] = False,
    checkpoint_minutes: float = 4.0,
    budget_minutes: Annotated[
        float | None, arg(help="Time for the stage, or for all of them together; none: the preset's steps.")
    ] = None,
    measure: Annotated[int, arg(help="With all: evaluate on so many test studies at the end, to OUT/evaluation.")] = 0,
    dry_run: DryRun = False,
) -> None:
    """Train one stage or all of them. Run the same command again to go on after an interruption.

    On several GPUs: `accelerate launch --multi_gpu -m omnicxr.app.cli train ...`.
    """
    import torch

    from omnicxr.app.plots import plot_losses
    from omnicxr.training.loop import LoopConfig, processes
    from omnicxr.training.origin import Origin
    from omnicxr.training.presets import get_preset
    from omnicxr.training.run import TrainingRun

    chosen = get_preset(preset).with_values(arguments.pairs("set", values)).with_steps(steps)
    origin = Origin.named(start)
    if dry_run:
        begun = origin.folder if origin else "chance"
        dry_run_table(chosen, data=data, out=out, stage=stage, start=begun, seed=seed, mixed_precision=mixed_precision)
        return
    loop = LoopConfig(
        seed=seed,
        checkpoint_minutes=checkpoint_minutes,
        compile=compiled,
        mixed_precision=mixed_precision,
        budget_minutes=budget_minutes,
    )
    with progress_bar("Training") as progress:
        TrainingRun(
            preset=chosen,
            loop=loop,
            data=data,
            out=out,
            origin=origin,
            report=progress.training,
            on_checkpoint=plot_losses,
        ).train(stage)
    if not processes().is_main_process:
        return
    console.print(f"Done: {out}")
    if measure and stage == "all":
        device = ",".join(f"cuda:{i}" for i in range(torch.cuda.device_count())) or "cpu"
        evaluate(data=data, out=out / "evaluation", model=out / "model", num=measure, seed=seed, device=device)


def generate(
    *,
    to: Annotated[str, arg(help="What to generate: frontal,lateral,report or a part of it.")],
    out: Out,
    frontal: Annotated[Path | None, arg(help="Frontal view: PNG, JPEG, TIFF or DICOM.")] = None,
    lateral: Annotated[Path | None, arg(help="Lateral view.")] = None,
    report: Annotated[str | None, arg(help="Report text, or @FILE.")] = None,
    model: Annotated[Path | None, arg(help="Model folder; default: the bundled model.")] = None,
    num: Annotated[int, arg(help="How many different results.")] = 4,
    steps: Annotated[int | None, arg(help="Sampling steps; default: the model's.")] = None,
    guidance: Annotated[float | None, arg(help="Guidance scale, 1 for none; default: the model's.")] = None,
    seed: Seed = 0,
    device: Device = "cpu",
) -> None:
    """Generate the missing parts of a study from the parts given, or from nothing."""
    from omnicxr.app.generate import GenerateConfig
    from omnicxr.app.generate import generate as run

    config = GenerateConfig(
        frontal=frontal,
        lateral=lateral,
        report=report,
        to=arguments.modalities(to),
        model=model,
        num=num,
        steps=steps,
        guidance=guidance,
        seed=seed,
        device=device,
    )
    with progress_bar("Generating") as progress:
        run(config, out, progress=progress)
    console.print(f"{num} results in {out}")


def evaluate(
    *,
    out: Out,
    data: Annotated[Path | None, arg(help="A prepared data set with a test split.")] = None,
    model: Annotated[Path | None, arg(help="Model folder; default: the bundled model.")] = None,
    generated: Annotated[
        Path | None,
        arg(help="Score the studies in this folder instead (docs/evaluation.md); the model only reads them."),
    ] = None,
    compare: Annotated[
        tuple[Path, Path] | None, arg(help="Compare two finished evaluations instead: folders A and B.")
    ] = None,
    tasks: Annotated[
        str, arg(help="all that the data set's studies allow, or tasks like report->frontal,frontal+report->lateral.")
    ] = "all",
    suite: Annotated[Literal["quick", "full"], arg(help="quick: 100 studies; full: 2000, more extractors.")] = "quick",
    num: Annotated[int | None, arg(help="Studies of the split; default: the suite's.")] = None,
    split: Annotated[Literal["test", "validate"], arg(help="validate: to choose settings such as guidance.")] = "test",
    extractors: Annotated[str, arg(help="Feature extractors, comma-separated; default: the suite's.")] = "",
    classifier: Annotated[
        Literal["judge", "xrv-densenet121"], arg(help="Who reads findings of frontal views.")
    ] = "judge",
    labeler: Annotated[Literal["rules", "chexbert"], arg(help="Who reads findings of reports.")] = "rules",
    radgraph: Annotated[
        bool, arg(help="Score reports by RadGraph F1 too; needs omnicxr[radgraph] and its files (docs/evaluation.md).")
    ] = False,
    sides: Annotated[bool, arg(help="Also see on which side lesions are drawn; simulated data.")] = False,
    steps: int | None = None,
    guidance: float | None = None,
    autoguidance: Annotated[
        float | None, arg(help="Scale of guidance by the model's guide, 1 for none; default: the model's.")
    ] = None,
    seed: Seed = 0,
    workers: Annotated[int | None, arg(help="Processes that generate; default: one per core, or per GPU.")] = None,
    device: Annotated[str, arg(help="cpu, cuda:0, or several: cuda:0,cuda:1.")] = "cpu",
    dry_run: DryRun = False,
) -> None:
    """Generate every task on held-out studies, score it, and write metrics.json, tables and report.html to OUT. Run
    again to resume."""
    from omnicxr.app.evaluate import EvaluateCommand, compare_folders, run_evaluation
    from omnicxr.evaluation.evaluate import EvaluationConfig

    if compare:
        compare_folders(*compare, out)
        return
    if data is None:
        raise UserError(
            "Nothing to measure on: give a prepared data set with --data, or two finished evaluations with --compare"
            " A B."
        )
    chosen = () if tasks == "all" else tuple(Task.parse(t) for t in tasks.split(","))
    names = tuple(arguments.names_in(extractors))
    config = EvaluationConfig(
        tasks=chosen,
        suite=suite,
        num=num,
        split=split,
        extractors=names,
        classifier=classifier,
        labeler=labeler,
        radgraph=radgraph,
        sides=sides,
        steps=steps,
        guidance=guidance,
        autoguidance=autoguidance,
        seed=seed,
    )
    if dry_run:
        dry_run_table(config, data=data, out=out, model=model or "bundled", generated=generated)
        return
    with progress_bar("Evaluating") as progress:
        devices = tuple(device.split(","))
        workers = workers or ((os.cpu_count() or 1) if devices == ("cpu",) else len(devices))
        run_evaluation(EvaluateCommand(config, data, model, generated, workers, devices), out, progress)


def demo(*, out: Out = Path("demo"), model: Path | None = None, seed: Seed = 0) -> None:
    """Sentences to both views, views to reports, one view to the other: pictures and a page to look at."""
    from omnicxr.app.demo import run_demo

    with progress_bar("Demo") as progress:
        page = run_demo(out, model=model, seed=seed, progress=progress)
    console.print(f"Open {page}")


COMMANDS = (simulate, prepare, inspect, label, train, generate, evaluate, synthesize, export, study, reader_study, demo)
"""In the order of the help text."""


def main() -> None:
    """Entry point: exit status 0 for success, 2 for what the user can put right, 1 for anything else."""
    try:
        app = tyro.extras.SubcommandApp()
        for command in COMMANDS:
            app.command(command)
        app.cli(
            prog="omnicxr",
            description="Any-to-any generation of chest X-ray studies. For research and teaching, not for diagnosis.",
        )
    except UserError as error:
        print(f"omnicxr: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("omnicxr: stopped; run the same command again to go on.", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
