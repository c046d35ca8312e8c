"""On which side are lesions drawn? python scripts/sides.py PREPARED [MODEL] [SPLIT]

Frontal views are generated from the reports of all simulated studies of a split (validate unless named) that have an
effusion, pneumothorax or consolidation on one side alone: of the 300 studies of an evaluation these are too few.
Printed: how often the judge sees most of it on that side, with the 95 % interval over patients.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.measures import by_side
from omnicxr.data.seeds import derived_seed
from omnicxr.domain import Modality
from omnicxr.evaluation.measures.clinical import truth_errors
from omnicxr.evaluation.readers.panel import Reader, truth_of
from omnicxr.evaluation.tables import number
from omnicxr.models.folder import BUNDLED
from omnicxr.models.judge import Judge
from omnicxr.pipeline import AnyToAnyPipeline

KINDS = ("effusion", "pneumothorax", "consolidation")
CHUNK = 50


def main(prepared: Path, model: Path, split: str) -> None:
    """Print a table with a row per kind of lesion."""
    pipe, data = AnyToAnyPipeline.from_pretrained(model), PreparedDataset(prepared, split)
    reader = Reader(pipe, Judge.load(model / "judge"), PreparedDataset(prepared, "validate"))
    rows = data.having(Modality.FRONTAL, Modality.REPORT)
    truth = truth_of(data, rows)
    if truth is None:
        raise SystemExit(f"{prepared} has no continuous truth: prepare simulated studies.")
    one_sided = np.any([(by_side(kind, truth) > 0).sum(1) == 1 for kind in KINDS], axis=0)
    rows, truth = rows[one_sided], truth[one_sided]
    measures = []
    for chunk in np.split(rows, range(CHUNK, len(rows), CHUNK)):
        generators = [torch.Generator().manual_seed(derived_seed(0, int(i))) for i in chunk]
        made = pipe(report=[data.reports[i] for i in chunk], generate=("frontal",), generator=generators).frontal or []
        measures.append(reader.read(Modality.FRONTAL, np.stack([np.asarray(picture) for picture in made])).measures)
    shares = truth_errors(np.concatenate(measures), truth, data.patients[rows])["side"]
    print("| lesion | studies | on its side |\n|---|---|---|")
    for kind in KINDS:
        print(f"| {kind} | {shares[kind]['studies']} | {number(shares[kind], 2)} |")


if __name__ == "__main__":
    main(
        Path(sys.argv[1]),
        Path(sys.argv[2]) if len(sys.argv) > 2 else BUNDLED,
        sys.argv[3] if len(sys.argv) > 3 else "validate",
    )
