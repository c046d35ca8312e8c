"""`omnicxr export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from omnicxr.app.arguments import Out
from omnicxr.app.console import console, progress_bar


def export(
    data: Positional[Annotated[Path, arg(help="Folder that `omnicxr synthesize` wrote.")]],
    *,
    to: Annotated[str, arg(help="png, jpeg, dicom, mimic-cxr-jpg or chexgenbench.")],
    out: Out,
) -> None:
    """Write a synthetic data set in a layout that other tools read. Run again to resume."""
    from omnicxr.synthesis.export import export as run

    with progress_bar("Exporting studies") as progress:
        studies = run(data, to, out, progress=progress)
    console.print(f"{studies} studies in {out}")
