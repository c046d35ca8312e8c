"""On which side are lesions drawn? The studies of one evaluation have few that lie on one side alone, so frontal views
are generated from the reports of all studies of the split that have one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.measures import by_side
from omnicxr.domain import Modality, Task, UserError
from omnicxr.evaluation.generation import ModelGenerations
from omnicxr.evaluation.measures.clinical import right_sides
from omnicxr.evaluation.readers.panel import Panel, truth_of
from omnicxr.evaluation.results import Share

TASK = Task((Modality.REPORT,), (Modality.FRONTAL,))
KINDS = ("effusion", "pneumothorax", "consolidation")


def one_sided(data: PreparedDataset) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the studies with one of `KINDS` on one side alone, and their truth. Raises UserError for none."""
    rows = data.having(*TASK.modalities)
    truth = truth_of(data, rows)
    if truth is None:
        raise UserError(f"{data.root} does not know the sides of lesions: leave out --sides, or simulate studies.")
    chosen = np.any([(by_side(kind, truth) > 0).sum(1) == 1 for kind in KINDS], axis=0)
    if not chosen.any():
        raise UserError(f"{data.root} has no {data.split} study with a lesion on one side alone: leave out --sides.")
    return rows[chosen], truth[chosen]


def sides_shown(panel: Panel, data: PreparedDataset, folder: Path, *, seed: int) -> dict[str, Share]:
    """Kind of lesion => share of those on one side that the judge sees most of on that side of the view that was
    generated from the report; the views are kept in `folder`."""
    rows, truth = one_sided(data)
    generations = ModelGenerations(panel.pipe, data.parts(rows, TASK.given), folder, seed=seed)
    measures = panel.read(Modality.FRONTAL, generations.task(TASK)[Modality.FRONTAL]).measures
    shares = right_sides(measures, truth, data.patients[rows])
    return {kind: shares[kind] for kind in KINDS}
