"""`omnicxr prepare`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from omnicxr.app.arguments import CPUS, DryRun, Flat, Out, Workers
from omnicxr.app.console import console, progress_bar
from omnicxr.data.selection import Selection
from omnicxr.domain import Facing
from omnicxr.domain.settings import ImageSize

KIND = "mimic-cxr-jpg (simulate too), mimic-cxr, openi, chexpert, chexpert-plus, padchest, nih, table, mix."
WHERE = "Folder as it was downloaded; for table a file; for mix KIND=FOLDER,KIND=FOLDER."
COLUMNS = "For table: ROLE=COLUMN,... with patient, study, frontal, lateral, image, view, report, split, ..."
SPLITS = "Table with the columns uid, study_id or subject_id, and split: studies that it does not name are left out."
FACE = "Mirror laterals that face the other way; default: they stay as they are."


def prepare(
    kind: Positional[Annotated[str, arg(help=KIND)]],
    where: Positional[Annotated[str, arg(help=WHERE)]],
    selection: Flat[Selection],
    *,
    out: Out,
    image_size: Annotated[ImageSize, arg(help="Side of the square pictures, pixels.")] = 256,
    columns: Annotated[dict[str, str], arg(help=COLUMNS)] = {},  # noqa: B006
    splits: Annotated[Path | None, arg(help=SPLITS)] = None,
    face: Annotated[Facing | None, arg(help=FACE)] = None,
    workers: Workers = CPUS,
    dry_run: DryRun = False,
) -> None:
    """Turn a data set into Parquet shards and a manifest that accounts for every study. Run again to resume."""
    from omnicxr.app.inspect import manifest_tables
    from omnicxr.data.prepare import PrepareConfig
    from omnicxr.data.prepare import prepare as run

    config = PrepareConfig(
        kind=kind, image_size=image_size, selection=selection, columns=columns, splits=splits, face=face
    )
    with progress_bar("Preparing shards") as progress:
        manifest = run(config, where, out, workers=workers, dry_run=dry_run, progress=progress, warn=_warn)
    manifest_tables(manifest)
    _warn(manifest.warnings)


def _warn(warnings: Sequence[str]) -> None:
    for warning in warnings:
        console.print(f"Note: {warning}")
