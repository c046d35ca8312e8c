"""What looking at the inputs costs and finds, with the bundled model.

    python benchmarks/door.py                        its cost, as a share of the time of the whole call
    python benchmarks/door.py PREPARED [...]         what it says of all pictures of prepared data sets

Cost: a call with `raw`, and what it is given looked at apart from it, each the median of several, one after the other
in one run; and the parts of looking at a picture. What it says: of the first picture of every study, split by split.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import numpy as np
import torch
from bench import seconds

from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.views import what_is_wrong
from omnicxr.domain import IMAGE_MODALITIES, SPLITS, Fit, Modality, Task
from omnicxr.models.door import redrawing_error
from omnicxr.models.efficientnet import network_pictures, reader
from omnicxr.pipeline import AnyToAnyPipeline

FITS = (Fit.AS_KNOWN, Fit.UNLIKE, Fit.NOT_USABLE)
REPORT = "Large left pleural effusion. There is a right chest tube and no pneumothorax."


def fits(pipe: AnyToAnyPipeline, folder: str) -> None:
    """Print how many pictures of a data set are called what."""
    for split in SPLITS:
        data = PreparedDataset(folder, split)
        for view in IMAGE_MODALITIES:
            rows = data.having(view)
            notes = [n for i in rows for n in pipe.doorkeeper.pictures(view, data.images(view, rows[rows == i]))]
            if not notes:
                continue
            shares = " | ".join(f"{sum(n.fit is fit for n in notes) / len(notes):.2%}" for fit in FITS)
            least = min(max(n.measured.values()) for n in notes)
            print(f"| {Path(folder).name}, {split}, {view} | {len(notes)} | {shares} | {least:.2f} |", flush=True)


@torch.no_grad()
def cost(pipe: AnyToAnyPipeline) -> None:
    """Print both tables."""
    output = pipe(report=REPORT, generate=("frontal", "lateral"))
    assert output.frontal and output.lateral
    parts = {
        Modality.FRONTAL: [np.asarray(output.frontal[0])],
        Modality.LATERAL: [np.asarray(output.lateral[0])],
        Modality.REPORT: [REPORT],
    }
    print("| task | looking, ms | generating, ms | share |\n|---|---|---|---|")
    for task in Task.all():
        given = {m: parts[m] for m in task.given}
        looked = seconds(partial(pipe.doorkeeper.notice, given), 5)
        named = {str(m): v for m, v in given.items()}
        made = seconds(partial(pipe, **named, generate=task.generate, raw=True))
        print(f"| {task} | {looked * 1000:.0f} | {made * 1000:.0f} | {looked / (looked + made):.1%} |", flush=True)
    x = torch.from_numpy(parts[Modality.FRONTAL][0])[None]
    pixels = network_pictures(x)
    for name, run in {
        "EfficientNet-Lite0": partial(reader(torch.device("cpu")).textures_and_features, pixels),
        "redrawing": partial(redrawing_error, pipe.image_autoencoder, x),
        "views": partial(what_is_wrong, parts[Modality.FRONTAL][0], Modality.FRONTAL),
    }.items():
        print(f"{name}: {seconds(run, 5) * 1000:.1f} ms")


def main(folders: list[str]) -> None:
    """Cost, or what is said of data sets."""
    pipe = AnyToAnyPipeline.from_pretrained()
    if not folders:
        return cost(pipe)
    print(f"| pictures | n | {' | '.join(FITS)} | least off |\n|---|---|---|---|---|---|")
    for folder in folders:
        fits(pipe, folder)


if __name__ == "__main__":
    main(sys.argv[1:])
