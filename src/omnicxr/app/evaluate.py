"""`omnicxr evaluate`: the evaluation, its tables and its page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from omnicxr.app.console import Bar, console
from omnicxr.app.evaluation_page import write_page, write_tables
from omnicxr.data.files import write_json, write_text
from omnicxr.evaluation import tables
from omnicxr.evaluation.comparison import compare_evaluations
from omnicxr.evaluation.evaluate import EvaluationConfig, evaluate, finite
from omnicxr.models.folder import BUNDLED


@dataclass(frozen=True)
class EvaluateCommand:
    """What to evaluate, on what."""

    config: EvaluationConfig
    data: Path
    model: Path | None = None
    generated: Path | None = None
    workers: int = 1
    devices: tuple[str, ...] = ("cpu",)


def run_evaluation(command: EvaluateCommand, out: Path, progress: Bar) -> dict[str, Any]:
    """metrics.json, tables.md, tables.tex and report.html in OUT, the headline table on the console."""
    model = command.model or BUNDLED
    result = evaluate(
        command.config,
        model,
        command.data,
        out,
        generated=command.generated,
        workers=command.workers,
        devices=command.devices,
        progress=progress,
    )
    write_tables(result, out)
    page = write_page(result, out, command.data)
    print_table(tables.tables(result)[-1])
    for part, figures in (result["autoencoders"] or {}).items():
        shown = (f"{k.replace('_', ' ')} {tables.number(v)}" for k, v in figures.items() if not k.startswith("look"))
        console.print(f"{part} autoencoder alone: {', '.join(shown)}")
    console.print(f"Open {page}")
    return result


def compare_folders(a: Path, b: Path, out: Path) -> None:
    """OUT/comparison.json and OUT/comparison.md, and the table on the console."""
    compared = finite(compare_evaluations(a, b))
    table = tables.comparison_table(compared)
    write_json(out / "comparison.json", compared)
    write_text(out / "comparison.md", tables.markdown([table]))
    print_table(table)


def print_table(table: tables.Table) -> None:
    """On the console."""
    shown = Table(*table.columns, title=table.title, caption=table.note)
    for row in table.rows:
        shown.add_row(*row)
    console.print(shown)
