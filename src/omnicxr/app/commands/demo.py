"""`omnicxr demo`."""

from __future__ import annotations

from pathlib import Path

from omnicxr.app.arguments import Model, Out, Seed
from omnicxr.app.console import console, progress_bar


def demo(*, out: Out = Path("demo"), model: Model = None, seed: Seed = 0) -> None:
    """Sentences to both views, views to reports, one view to the other: pictures and a page to look at."""
    from omnicxr.app.demo import run_demo

    with progress_bar("Demo") as progress:
        page = run_demo(out, model=model, seed=seed, progress=progress)
    console.print(f"Open {page}")
