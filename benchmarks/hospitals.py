"""Does what was learned at one hospital hold at another? AUROC of judges on frontal films of several sources.

    python benchmarks/hospitals.py --judge NAME=MODEL ... --films NAME=PREPARED ... [--generated NAME=EVALUATION ...]

Every judge reads the frontal views of the test split of every prepared data set, PA and AP films apart, too, since the
view may tell findings; of ChestX-ray14 the findings that its labels have count alone. --generated: the pictures that an
evaluation drew from reports (EVALUATION/generated/report_to_frontal.npz): their Fréchet distance to the films of every
source, beside that of the sources to each other, n of each as many as the smallest has, by EfficientNet-Lite0.
"""

from __future__ import annotations

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np
import torch

from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.sources.nih import LABELS
from omnicxr.domain import Finding, Modality
from omnicxr.evaluation.generation import load_parts
from omnicxr.evaluation.layout import number
from omnicxr.evaluation.measures import metrics
from omnicxr.evaluation.measures.clinical import macro_auroc
from omnicxr.evaluation.measures.fidelity import frechet_distance
from omnicxr.evaluation.measures.uncertainty import estimate
from omnicxr.evaluation.readers.extractors import load_extractor
from omnicxr.models.image_autoencoder import pixels_from_uint8
from omnicxr.models.judge import Judge

CHUNK = 64
VIEWS = (None, "PA", "AP")
OF_NIH = np.array([f in set(LABELS.values()) and f is not Finding.NO_FINDING for f in Finding])
FINDINGS = np.array([f is not Finding.NO_FINDING for f in Finding])


@torch.no_grad()
def scores(judge: Judge, pictures: np.ndarray) -> np.ndarray:
    """uint8 [n, s, s] => finding logits [n, 14]."""
    chunks = (pixels_from_uint8(torch.from_numpy(pictures[i : i + CHUNK])) for i in range(0, len(pictures), CHUNK))
    return np.concatenate([judge(Modality.FRONTAL, x)[0].numpy() for x in chunks])


def read(judges: dict[str, Path], films: dict[str, PreparedDataset]) -> None:
    """Print a table of macro AUROC, with that of every finding."""
    print("| judge | films | view | n | macro AUROC | findings |\n|---|---|---|---|---|---|")
    for source, data in films.items():
        rows = data.having(Modality.FRONTAL)
        pictures = data.images(Modality.FRONTAL, rows)
        views = np.array([v[0] if v else "" for v in data.table.column("frontal_views").take(rows).to_pylist()])
        known = OF_NIH if set(data.table.column("source").to_pylist()) == {"nih"} else FINDINGS
        labels, patients = data.labels[rows][:, known] == 1, data.patients[rows]
        for name, folder in judges.items():
            found = scores(Judge.load(folder / "judge"), pictures)[:, known]
            for view in VIEWS:
                chosen = (views == view) if view else np.ones(len(rows), bool)
                if not chosen.any():
                    continue
                each = metrics.auroc(labels[chosen], found[chosen])
                macro = estimate(macro_auroc, labels[chosen], found[chosen], patients=patients[chosen])
                names = [f for f, there in zip(Finding, known, strict=True) if there]
                said = ", ".join(f"{f} {v:.2f}" for f, v in zip(names, each, strict=True) if np.isfinite(v))
                print(
                    f"| {name} | {source} | {view or 'all'} | {chosen.sum()} | {number(macro)} | {said} |", flush=True
                )


def distances(films: dict[str, PreparedDataset], generated: dict[str, Path]) -> None:
    """Print the Fréchet distance of every pair, at equal numbers."""
    extract = load_extractor("efficientnet-lite0")
    pictures = {name: data.images(Modality.FRONTAL) for name, data in films.items()}
    for name, folder in generated.items():
        pictures[name] = load_parts(folder / "generated" / "report_to_frontal.npz")[Modality.FRONTAL]
    features = {name: extract(Modality.FRONTAL, x) for name, x in pictures.items()}
    n = min(map(len, features.values()))
    half = n // 2
    print(f"\n| frontal views | Fréchet distance, n {n} |\n|---|---|")
    for a, b in combinations(features, 2):
        print(f"| {a}, {b} | {frechet_distance(features[a][:n], features[b][:n]):.1f} |")
    for name in films:
        print(f"| halves of {name}, n {half} | {frechet_distance(features[name][:half], features[name][half:n]):.1f} |")


def named(text: str) -> tuple[str, Path]:
    """ "NAME=FOLDER" => both."""
    name, _, folder = text.partition("=")
    return name, Path(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option in ("--judge", "--films", "--generated"):
        parser.add_argument(option, type=named, nargs="+", default=[])
    options = parser.parse_args()
    sources = {name: PreparedDataset(folder, "test") for name, folder in options.films}
    read(dict(options.judge), sources)
    if options.generated:
        distances(sources, dict(options.generated))
