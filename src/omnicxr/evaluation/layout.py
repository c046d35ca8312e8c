"""Tables of figures: from rows and columns to Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isnan
from typing import Any, TypeVar

from omnicxr.domain import Task
from omnicxr.evaluation.measures.uncertainty import Estimate
from omnicxr.evaluation.results import Refused, TaskScores

MARK = " *"
"""Behind the name of a task that is the beginning of another."""
NOT_MEASURED = "-"
STRUCK_MARK = "†"
R = TypeVar("R")
Columns = Mapping[str, Callable[[R], Any]]
"""Title => what the cell of a row shows: text, or something for `number`."""


class Struck(str):
    """A cell that does not count: it is struck out, and a mark leads to the reason in the note."""


@dataclass(frozen=True)
class Table:
    """Cells are text already."""

    title: str
    note: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


def table(
    title: str, columns: Columns[R], rows: Iterable[tuple[str, R | Refused]], *, note: str, first: str = "task"
) -> Table:
    """A row per (name, figures), names in the column `first`; a reason stands where the figures would."""
    cells: list[tuple[str, ...]] = []
    for name, figures in rows:
        if isinstance(figures, Refused):
            cells.append((name, figures.refused, *[""] * (len(columns) - 1)))
        else:
            values = (get(figures) for get in columns.values())
            cells.append((name, *(value if isinstance(value, str) else number(value) for value in values)))
    return Table(title, note, (first, *columns), cells)


def row_name(task: Task, scores: TaskScores) -> str:
    """What the row of a task is called."""
    return f"{task}{MARK if scores.part_of else ''}"


def struck(value: Any, why: str) -> Any:
    """The cell as it is, or, where there is a reason why it does not count, its text as `Struck`."""
    text = value if isinstance(value, str) else number(value)
    return Struck(text) if why and text != NOT_MEASURED else value


def explained(table: Table, reasons: Iterable[str]) -> Table:
    """The table with the reasons in its note, if any of its cells is struck out."""
    if not any(isinstance(cell, Struck) for row in table.rows for cell in row):
        return table
    why = " ".join(dict.fromkeys(filter(None, reasons)))
    return replace(table, note=f"{table.note} {STRUCK_MARK} Struck out, as it says nothing. {why}")


def number(value: Estimate | float | None, digits: int = 3) -> str:
    """A figure, or an estimate with its interval; "-" for what was not measured."""
    if isinstance(value, Estimate):
        shown, interval = number(value.value, digits), ""
        if not isnan(value.low):
            interval = f" ({number(value.low, digits)} to {number(value.high, digits)})"
        return shown if shown == NOT_MEASURED else shown + interval
    return NOT_MEASURED if value is None or isnan(value) else f"{value:.{digits}f}"


def markdown(tables: Iterable[Table]) -> str:
    """Tables with their titles and notes."""
    return "\n".join(f"## {t.title}\n\n{t.note}\n\n" + markdown_rows(t.columns, t.rows) for t in tables)


def markdown_rows(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table by itself."""
    shown = ([f"~~{c}~~ {STRUCK_MARK}" if isinstance(c, Struck) else c for c in row] for row in rows)
    lines = [columns, ("---",) * len(columns), *shown]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def latex(tables: Iterable[Table]) -> str:
    """Tables for a paper (packages booktabs and, where figures are struck out, ulem)."""
    return "\n".join(_latex(t) for t in tables)


def _latex(table: Table) -> str:
    def row(cells: Sequence[str]) -> str:
        shown = (rf"\sout{{{_escape(c)}}}$^\dagger$" if isinstance(c, Struck) else _escape(c) for c in cells)
        return " & ".join(shown) + r" \\" + "\n"

    return (
        "\\begin{table}\n\\centering\n" + f"\\caption{{{_escape(table.title)}. {_escape(table.note)}}}\n"
        f"\\begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}\n\\toprule\n"
        + row(table.columns)
        + "\\midrule\n"
        + "".join(map(row, table.rows))
        + "\\bottomrule\n\\end{tabular}\n\\end{table}\n"
    )


_ESCAPES = {
    "\\": r"\textbackslash ",
    "&": r"\&",
    "%": r"\%",
    "_": r"\_",
    "#": r"\#",
    "->": r"$\to$",
    "<": "$<$",
    STRUCK_MARK: r"$\dagger$",
}


def _escape(text: str) -> str:
    for plain, written in _ESCAPES.items():
        text = text.replace(plain, written)
    return text
