"""What the commands print: progress bars and resolved settings."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

if TYPE_CHECKING:  # the loop needs torch, and every command prints
    from omnicxr.training.loop import StageProgress

console = Console(width=None if sys.stdout.isatty() else 160, markup=False, emoji=False)
"""Files and pipes get whole tables; names and paths are printed as they are, "[/b]" and ":x:" too."""

PRINTED_EVERY = 10_000
"""Studies read, where the console is a file."""


class Bar:
    """Callable as (done, total); `training` takes the training loop's reports."""

    def __init__(self, progress: Progress, title: str) -> None:
        self.progress, self.title = progress, title
        self.task: TaskID | None = None

    def __call__(self, done: int, total: int | None, description: str | None = None) -> None:
        """So much of `total` is done; None: studies are read, and nobody knows yet how many there are."""
        if total is None:
            description = f"Reading the data set, {done:,} studies"
            if not self.progress.console.is_terminal:
                if done % PRINTED_EVERY == 0:
                    self.progress.console.print(description)
                return
        if self.task is None:
            self.task = self.progress.add_task(self.title, total=total)
        self.progress.update(self.task, completed=done, total=total, description=description or self.title)

    def training(self, progress: StageProgress) -> None:
        """A line of training: on the bar of a terminal, else printed."""
        names = ("loss", "psnr", "accuracy", "lr", "per_second")
        shown = " ".join(f"{k} {progress.figures[k]:.4g}" for k in names if k in progress.figures)
        if self.progress.console.is_terminal:
            self(progress.step, progress.steps, f"{progress.stage}  {shown}")
        else:
            self.progress.console.print(f"{progress.stage} {progress.step}/{progress.steps} {shown}")


@contextmanager
def progress_bar(title: str) -> Iterator[Bar]:
    """A progress bar that appears with the first report."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        yield Bar(progress, title)


def dry_run_table(config: Any, **more: Any) -> None:
    """The resolved settings as JSON."""
    console.print_json(json.dumps({**asdict(config), **{k: str(v) for k, v in more.items()}}, default=str))
