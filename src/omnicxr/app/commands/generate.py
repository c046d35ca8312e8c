"""`omnicxr generate`."""

from __future__ import annotations

from omnicxr.app.arguments import Flat, Out
from omnicxr.app.console import console, progress_bar
from omnicxr.app.generate import GenerateConfig
from omnicxr.app.generate import generate as run


def generate(config: Flat[GenerateConfig], *, out: Out) -> None:
    """Generate the missing parts of a study from the parts given, or from nothing."""
    with progress_bar("Generating") as progress:
        notes = run(config, out, progress=progress)
    for sentence in notes:
        console.print(sentence, style="yellow", markup=False, highlight=False)
    console.print(f"{config.num} results in {out}")
