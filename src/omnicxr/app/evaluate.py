"""`omnicxr evaluate`: the evaluation, its tables and its page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.table import Table as ConsoleTable
from rich.text import Text

from omnicxr.app.console import Bar, console
from omnicxr.app.evaluation_page import write_page, write_tables
from omnicxr.data.files import write_json, write_text
from omnicxr.data.typed_json import to_json
from omnicxr.domain import Modality
from omnicxr.evaluation.comparison import compare_evaluations
from omnicxr.evaluation.config import EvaluationConfig
from omnicxr.evaluation.evaluate import evaluate
from omnicxr.evaluation.layout import STRUCK_MARK, Struck, Table, markdown, number
from omnicxr.evaluation.report_tables import TEXT_TITLE
from omnicxr.evaluation.results import Autoencoders, Evaluation
from omnicxr.evaluation.tables import comparison_table, tables
from omnicxr.models.folder import BUNDLED


@dataclass(frozen=True)
class EvaluateCommand:
    """What to evaluate, on what."""

    config: EvaluationConfig
    data: Path
    model: Path | None = None
    generated: Path | None = None
    judge: Path | None = None
    workers: int = 1
    devices: tuple[str, ...] = ("cpu",)


def run_evaluation(command: EvaluateCommand, out: Path, progress: Bar) -> Evaluation:
    """metrics.json, tables.md, tables.tex and report.html in OUT, the headline table on the console."""
    result = evaluate(
        command.config,
        command.model or BUNDLED,
        command.data,
        out=out,
        generated=command.generated,
        judge=command.judge,
        workers=command.workers,
        devices=command.devices,
        progress=progress,
    )
    write_tables(result, out)
    page = write_page(result, out, command.data)
    found = tables(result)
    for table in found:
        if table.title == TEXT_TITLE and result.published:
            print_table(table)
    print_table(found[-1])
    if result.autoencoders:
        _print_losses(result.autoencoders)
    console.print(f"Open {page}")
    return result


def _print_losses(losses: Autoencoders) -> None:
    """A line for every part."""
    for view, loss in losses.views.items():
        console.print(f"{view} autoencoder alone: psnr {number(loss.psnr)}, ssim {number(loss.ssim)}")
    if report := losses.report:
        unchanged, sides = number(report.unchanged_share), number(report.sides_kept_share)
        console.print(f"{Modality.REPORT} autoencoder alone: unchanged {unchanged}, sides kept {sides}")


def compare_folders(a: Path, b: Path, out: Path) -> None:
    """OUT/comparison.json and OUT/comparison.md, and the table on the console."""
    compared = compare_evaluations(a, b)
    table = comparison_table(compared)
    write_json(out / "comparison.json", to_json(compared))
    write_text(out / "comparison.md", markdown([table]))
    print_table(table)


def print_table(table: Table) -> None:
    """On the console."""
    shown = ConsoleTable(*table.columns, title=table.title, caption=table.note)
    for row in table.rows:
        shown.add_row(
            *(Text(c, "strike").append(f" {STRUCK_MARK}", "not strike") if isinstance(c, Struck) else c for c in row)
        )
    console.print(shown)
