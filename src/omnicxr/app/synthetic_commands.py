"""Sub-commands about synthetic data sets: making, exporting and judging them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from omnicxr.app import arguments
from omnicxr.app.arguments import Device, DryRun, Out, Seed
from omnicxr.app.console import console, dry_run_table, progress_bar
from omnicxr.domain import Task, UserError


def synthesize(
    *,
    out: Out,
    num: Annotated[int, arg(help="Studies to make.")] = 1000,
    task: Annotated[
        str, arg(help="For instance report->frontal+lateral or nothing->frontal+report.")
    ] = "report->frontal+lateral",
    data: Annotated[Path | None, arg(help="Prepared data set whose studies are the prompts.")] = None,
    split: Literal["train", "validate", "test"] = "train",
    prompts: Annotated[
        Path | None,
        arg(help="Table with the column report (and study_id, findings). Neither: sentences by the simulator."),
    ] = None,
    samples: Annotated[int, arg(help="Different studies per prompt.")] = 1,
    balance: Annotated[bool, arg(help="Every finding equally often.")] = False,
    per_finding: Annotated[int, arg(help="So many studies for each finding, instead of --num.")] = 0,
    findings: Annotated[
        str, arg(help="Findings for --balance and --per-finding, comma-separated; default: all that prompts have.")
    ] = "",
    sex: Annotated[Literal["M", "F"] | None, arg(help="Only prompts of such persons.")] = None,
    ages: Annotated[str, arg(help="Only prompts of persons of these ages: 60-80.")] = "",
    gate_alignment: Annotated[float | None, arg(help="Draw again below this likeness to the prompt (-1 to 1).")] = None,
    gate_agreement: Annotated[
        float | None, arg(help="Draw again below this agreement of the judge with the wished findings (0 to 1).")
    ] = None,
    tries: Annotated[int, arg(help="Draws per study at most.")] = 1,
    keep_given: Annotated[bool, arg(help="Put given pictures into the data set too.")] = False,
    model: Annotated[Path | None, arg(help="Model folder; default: the bundled model.")] = None,
    steps: int | None = None,
    guidance: float | None = None,
    seed: Seed = 0,
    workers: int = os.cpu_count() or 1,
    device: Annotated[str, arg(help="cpu, cuda:0, or several: cuda:0,cuda:1.")] = "cpu",
    ray: Annotated[bool, arg(help="Use a Ray cluster that shares the file system.")] = False,
    shard_size: int = 32,
    formats: Annotated[str, arg(help="Export it too, to OUT-FORMAT: names of `omnicxr export`, comma-separated.")] = "",
    dry_run: DryRun = False,
) -> None:
    """Make a synthetic data set of any size, with provenance in every picture. Run again to resume, with any number of
    workers."""
    from omnicxr.models.folder import BUNDLED
    from omnicxr.synthesis.export import FORMATS
    from omnicxr.synthesis.gate import Gate
    from omnicxr.synthesis.prompts import Wish
    from omnicxr.synthesis.synthesize import SynthesisConfig
    from omnicxr.synthesis.synthesize import synthesize as run

    wish = Wish(
        num=num,
        samples=samples,
        balance=balance,
        per_finding=per_finding,
        findings=arguments.findings(findings),
        sex=sex,
        ages=arguments.between("ages", ages),
    )
    gate = Gate(alignment=gate_alignment, agreement=gate_agreement, tries=tries)
    config = SynthesisConfig(
        task=Task.parse(task),
        wish=wish,
        seed=seed,
        steps=steps,
        guidance=guidance,
        gate=gate,
        keep_given=keep_given,
        shard_size=shard_size,
        data=data,
        split=split,
        table=prompts,
    )
    kinds = arguments.chosen("format", arguments.names_in(formats), FORMATS)
    if dry_run:
        dry_run_table(config, out=out, model=model or "bundled", workers=workers, device=device)
        return
    with progress_bar("Synthesizing studies") as progress:
        manifest = run(
            config,
            model or BUNDLED,
            out,
            workers=workers,
            devices=tuple(device.split(",")),
            use_ray=ray,
            progress=progress,
        )
    console.print(f"{manifest.studies} studies in {out}; {manifest.synthetic['below_the_gate']} below the gate")
    for kind in kinds:
        _export(out, kind, out.with_name(f"{out.name}-{kind}"))


def export(
    data: Positional[Annotated[Path, arg(help="Folder that `omnicxr synthesize` wrote.")]],
    *,
    to: Annotated[str, arg(help="png, jpeg, dicom, mimic-cxr-jpg or chexgenbench.")],
    out: Out,
) -> None:
    """Write a synthetic data set in a layout that other tools read. Run again to resume."""
    _export(data, to, out)


def _export(data: Path, kind: str, out: Path) -> None:
    from omnicxr.synthesis.export import export as run

    with progress_bar("Exporting studies") as progress:
        studies = run(data, kind, out, progress=progress)
    console.print(f"{studies} studies in {out}")


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
    from omnicxr.downstream.spec import read_spec
    from omnicxr.downstream.study import DownstreamStudy

    settings = read_spec(spec)
    if dry_run:
        dry_run_table(settings, out=out, classifiers=len(list(settings.cells())))
        return
    with progress_bar("Training classifiers") as progress:
        run_study(
            DownstreamStudy(settings, real, synthetic, out=out, device=device, mixed_precision=mixed_precision),
            progress,
        )


def reader_study(
    *,
    out: Out,
    real: Annotated[Path | None, arg(help="Prepared data set with real studies.")] = None,
    generated: Annotated[Path | None, arg(help="Folder that `omnicxr synthesize` wrote.")] = None,
    results: Annotated[tuple[Path, ...], arg(help="Files with the readers' answers: analyse them instead.")] = (),
    parts: Annotated[str, arg(help="What is shown of a study: frontal, lateral, report.")] = "frontal,lateral",
    num: Annotated[int, arg(help="Real studies, and as many generated ones.")] = 25,
    split: Literal["train", "validate", "test"] = "test",
    seed: Seed = 0,
) -> None:
    """Make a page on which readers tell real from generated studies (a visual Turing test), or, with --results, analyse
    their answers."""
    from omnicxr.app.reader_study import ReaderStudyConfig, make_reader_study, read_results

    if results:
        console.print(f"Open {read_results(out, results)}")
        return
    if real is None or generated is None:
        raise UserError(
            "A reader study needs real and generated studies: give --real and --generated, or answers with --results."
        )
    config = ReaderStudyConfig(
        real=real, generated=generated, split=split, parts=arguments.modalities(parts), num=num, seed=seed
    )
    console.print(f"Give {make_reader_study(config, out)} to the readers; keep {out / 'key.csv'} to yourself.")
