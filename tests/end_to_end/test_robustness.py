"""A few of the inputs of benchmarks/robustness, so that none of its kinds comes back unseen, and its judge."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.robustness.cases import Case, Expect, Folders
from benchmarks.robustness.runner import run_cases
from omnicxr.domain import UserError

ROOT = Path(__file__).parents[2]
GROUPS = ("pictures", "DICOM", "tables", "settings", "models", "data sets", "prompts")
EVERY = 211
"""Of about three thousand inputs of these groups, one in so many."""


@pytest.mark.slow
def test_sample_of_inputs(simulated: Path, prepared: Path, model_folder: Path, tmp_path: Path) -> None:
    for name, folder in {"simulated": simulated, "prepared": prepared, "model": model_folder}.items():
        (tmp_path / name).symlink_to(folder)
    groups = [part for group in GROUPS for part in ("--group", group)]
    command = [sys.executable, "-m", "benchmarks.robustness", "--fixtures", tmp_path, "--sample", str(EVERY), *groups]
    done = subprocess.run([*command, "--limit", "120"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def say(text: str) -> None:
    sys.stderr.write(text)


def refuse() -> None:
    raise UserError("x.png is no picture: give one.")


def leave_and_refuse() -> None:
    Path("out").mkdir()
    refuse()


def fail() -> None:
    raise KeyError("x")


@pytest.mark.parametrize(
    ("call", "expect", "kind"),
    [
        (refuse, "refused", "right"),
        (refuse, "either", "right"),
        (refuse, "handled", "wrong"),
        (leave_and_refuse, "refused", "wrong"),
        (fail, "refused", "traceback"),
        (lambda: None, "handled", "right"),
        (lambda: None, "refused", "wrong"),
        (lambda: say("warning\n"), "handled", "wrong"),
    ],
)
def test_judge(call: Callable[[], object], expect: Expect, kind: str, tmp_path: Path) -> None:
    case = Case(name="x", run=lambda folders: call, expect=expect, says="x.png" if call is refuse else "")
    outcomes = list(run_cases([("g", case)], Folders(tmp_path), tmp_path / "work"))
    assert [outcome.kind for outcome in outcomes] == [kind], outcomes[0].what
