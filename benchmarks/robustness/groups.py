"""The groups of inputs, and how many there are of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from benchmarks.robustness import (
    api,
    datasets,
    dicoms,
    door,
    models,
    options,
    pictures,
    reports,
    settings,
    studies,
    tables,
)
from benchmarks.robustness.cases import Case

GROUPS: dict[str, Callable[[random.Random], Iterator[Case]]] = {
    "pictures": pictures.cases,
    "DICOM": dicoms.cases,
    "Python": api.cases,
    "tables": tables.cases,
    "reports": reports.cases,
    "options": options.cases,
    "settings": settings.cases,
    "models": models.cases,
    "data sets": datasets.cases,
    "exports": datasets.exports,
    "studies": studies.cases,
    "prompts": studies.prompts,
    "door": door.cases,
}


def all_cases(seed: int) -> list[tuple[str, Case]]:
    """(group, case) of every input; equal seeds give equal ones."""
    return [(name, case) for name, make in GROUPS.items() for case in make(random.Random(f"{seed}:{name}"))]
