"""`python -m benchmarks.robustness [--group NAME] [--name PATTERN]`: tries the inputs and prints a table by group."""

from __future__ import annotations

import argparse
import fnmatch
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import torch

from benchmarks.robustness.cases import Case, Folders
from benchmarks.robustness.fixtures import make_fixtures
from benchmarks.robustness.groups import GROUPS, all_cases
from benchmarks.robustness.runner import LIMIT_S, Outcome, run_cases
from omnicxr.app.cli import COMMANDS

KINDS = ("right", "traceback", "hang", "memory", "wrong")
COLUMNS = (
    "inputs",
    "tried",
    "handled right",
    "tracebacks",
    "hangs",
    "over 2 GiB",
    "otherwise wrong",
    "most memory, MiB",
)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Try odd and bad inputs; exit status 1 if any is not handled right.")
    parser.add_argument("--seed", type=int, default=0, help="decides what is damaged where")
    parser.add_argument("--group", action="append", choices=GROUPS, help="only these groups")
    parser.add_argument("--name", default="*", help="only inputs whose name fits the pattern")
    parser.add_argument("--sample", type=int, default=1, help="only every n-th input")
    parser.add_argument(
        "--fixtures", type=Path, help="folder with model, prepared, simulated, synthetic; what lacks is made"
    )
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--limit", type=float, default=LIMIT_S, help="seconds that an input may take")
    parser.add_argument("--markdown", action="store_true", help="write the table for docs/robustness.md")
    parser.add_argument("--list", action="store_true", help="only say which inputs there are")
    return parser.parse_args()


def main() -> int:
    asked = arguments()
    chosen = [
        (group, case)
        for group, case in all_cases(asked.seed)
        if group in (asked.group or GROUPS) and fnmatch.fnmatch(case.name, asked.name)
    ][:: asked.sample]
    if asked.list:
        print("\n".join(f"{group} | {case.name}" for group, case in chosen))
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        return tried(chosen, Folders((asked.fixtures or work / "fixtures").absolute()), work, asked)


def tried(chosen: Sequence[tuple[str, Case]], folders: Folders, work: Path, asked: argparse.Namespace) -> int:
    """Try them, print deviations as they come and the table at the end."""
    torch.set_num_threads(1)
    for name in COMMANDS:  # once, so that no child has to
        import_module(f"omnicxr.app.commands.{name}")
    make_fixtures(folders, work, {group for group, _ in chosen})
    begun, outcomes = time.monotonic(), []
    for outcome in run_cases(chosen, folders, work / "cases", at_once=asked.at_once, limit_s=asked.limit):
        outcomes.append(outcome)
        if outcome.kind != "right":
            print(f"{outcome.group} | {outcome.name} | {outcome.kind}: {outcome.what}", flush=True)
    rows = table(outcomes)
    print(markdown(rows) if asked.markdown else plain(rows))
    print(f"\n{len(outcomes)} inputs in {time.monotonic() - begun:.0f} s, seed {asked.seed}", file=sys.stderr)
    return int(any(outcome.kind != "right" for outcome in outcomes))


def table(outcomes: Sequence[Outcome]) -> list[tuple[str, ...]]:
    """A row for each group, and one for all."""
    rows = []
    for group in [*dict.fromkeys(o.group for o in outcomes), "all"]:
        own = [o for o in outcomes if group in (o.group, "all")]
        kinds = Counter(o.kind for o in own)
        memory = max((o.memory_mib for o in own), default=0)
        rows.append((group, str(len(own)), *(str(kinds[k]) for k in KINDS), str(memory)))
    return rows


def markdown(rows: Sequence[tuple[str, ...]]) -> str:
    lines = [COLUMNS, ("---",) * len(COLUMNS), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def plain(rows: Sequence[tuple[str, ...]]) -> str:
    lines = [COLUMNS, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


if __name__ == "__main__":
    sys.exit(main())
