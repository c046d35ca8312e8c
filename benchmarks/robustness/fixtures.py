"""What inputs are made from, made once by the project's own commands."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from benchmarks.robustness.cases import Case, Folders
from benchmarks.robustness.runner import run_cases

STUDIES, SIZE = 80, 64
"""Enough for studies in all three splits, as small as pictures may be for the smallest preset."""


WITHOUT_SYNTHETIC = ("pictures", "DICOM", "Python", "tables", "settings", "models", "data sets", "prompts", "door")
"""Groups that read no synthetic data set."""


def make_fixtures(folders: Folders, work: Path, groups: Collection[str]) -> None:
    """What the groups need; what is there is used as it is.

    Made in child processes: this one, from which inputs are forked, must have no threads.
    """
    root = folders.root
    root.mkdir(parents=True, exist_ok=True)
    size = ("--image-size", str(SIZE))
    train = ("train", "all", "--preset", "nano", "--data", str(folders.prepared), "--out", str(root / "run"))
    steps = {
        folders.simulated: ("simulate", "--studies", str(STUDIES), "--seed", "1", *size, "--workers", "1"),
        folders.prepared: ("prepare", "mimic-cxr-jpg", str(folders.simulated), *size, "--workers", "1"),
        folders.model: train,
        folders.synthetic: ("synthesize", "--model", str(folders.model), "--num", "8", "--steps", "1", "--shard-size",
                            "4", "--workers", "1", "--seed", "3"),
    }  # fmt: skip
    for folder, command in steps.items():
        if folder.exists() or (folder == folders.synthetic and set(groups) <= set(WITHOUT_SYNTHETIC)):
            continue
        argv = [*command] if folder == folders.model else [*command, "--out", str(folder)]
        case = Case(name=command[0], run=lambda _, argv=argv: argv, expect="handled")
        for outcome in run_cases([("fixtures", case)], folders, work / "fixtures", limit_s=600):
            if outcome.kind != "right":
                raise SystemExit(f"`omnicxr {' '.join(argv)}` failed: {outcome.what}")
        if folder == folders.model:
            folder.symlink_to("run/model")
