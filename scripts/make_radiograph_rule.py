"""Make `src/omnicxr/models/assets/radiographs.npz`: what tells chest radiographs from other pictures.

    python scripts/make_radiograph_rule.py SIMULATED NIH CT OTHERS

SIMULATED, NIH and CT are as for `make_view_classifier.py`. OTHERS holds pictures that are no chest radiographs, in
train/KIND and test/KIND (PNG or JPEG), such as those that scikit-image, scikit-learn and pydicom ship; slices of the
CTs and drawn ones (`draw_others.py`) are made here. Held out are the patients of the splits validate and test, the last
half of the CTs, and every second picture that is drawn; what is caught of each kind is printed.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from draw_others import DRAWN, along_the_body, ct_slices, squared
from make_view_classifier import read
from PIL import Image
from project_ct import CT_FILES, project, read_body
from sklearn.linear_model import LogisticRegression

from omnicxr.data.files import whole_file
from omnicxr.models.efficientnet import EfficientNetLite0, picture_features
from omnicxr.models.radiographs import RULE_FILE

SLICES, RAYS, DRAWINGS, FILMS = 20, 10, (30, 120), 20
"""Slices of each CT and plane, rays along each body, pictures of each kind that is drawn (limbs, hands and heads:
the second number), films of each CT and view."""
COMPONENTS, STRENGTH = 48, 0.1
"""Of the features; inverse weight of the penalty of the logistic regression."""
ALLOWED = 1.4
"""Log odds of "no chest film" from which a picture is called one; it becomes 1."""
Pictures = dict[tuple[str, str], np.ndarray]
"""(train or test, kind) => uint8 [n, s, s]"""


def films(simulated: str, nih: str, ct: Path) -> Pictures:
    """Chest films; those of the CTs are all for training, no real lateral is."""
    found: Pictures = {}
    for name, (kind, folder) in {"simulated": ("mimic-cxr-jpg", simulated), "NIH": ("nih", nih)}.items():
        for (split, lateral), pictures in read(kind, folder).items():
            use = "train" if split == "train" else "test"
            found[use, f"{name}, {'lateral' if lateral else 'frontal'}"] = pictures
    rng = np.random.default_rng(1)
    for lateral in (False, True):
        projected = [
            np.uint8(project(body, lateral=lateral, size=112, rng=rng) * 255)
            for body in (read_body(path, 2.5) for path in sorted(ct.glob(CT_FILES)))
            for _ in range(FILMS)
        ]
        found["train", f"of CTs, {'lateral' if lateral else 'frontal'}"] = np.stack(
            [squared(Image.fromarray(film)) for film in projected]
        )
    return found


def others(ct: Path, folder: Path) -> Pictures:
    """What is none."""
    rng = np.random.default_rng(2)
    found: defaultdict[tuple[str, str], list[np.ndarray]] = defaultdict(list)
    paths = sorted(ct.glob(CT_FILES))
    for i, path in enumerate(paths):
        use = "train" if i < len(paths) / 2 else "test"
        for kind, pictures in (ct_slices(path, SLICES, rng) | along_the_body(path, RAYS, rng)).items():
            found[use, kind] += pictures
    for kind, draw in DRAWN.items():
        for i in range(DRAWINGS[kind.startswith("drawn")]):
            found[("train", "test")[i % 2], kind].append(draw(rng))
    for use in ("train", "test"):
        for path in sorted(p for p in (folder / use).glob("*/*") if p.is_file()):
            found[use, path.parent.name].append(squared(Image.open(path)))
    return {key: np.stack(pictures) for key, pictures in found.items()}


@torch.no_grad()
def features(network: EfficientNetLite0, pictures: np.ndarray) -> np.ndarray:
    """uint8 [n, s, s] => float32 [n, 1280]."""
    batches = [pictures[i : i + 32] for i in range(0, len(pictures), 32)]
    return np.concatenate([picture_features(network, torch.from_numpy(batch)).numpy() for batch in batches])


def rule(chest: list[np.ndarray], other: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights [1280] and bias: logistic regression on the first principal components, in units of the spread of chest
    films. Each kind of `chest` counts for as much as any other, and all of them for as much as all others."""
    x = np.concatenate([*chest, other])
    shares = [np.full(len(kind), 1 / len(kind) / len(chest)) for kind in chest]
    weights = np.concatenate([*shares, np.full(len(other), 1 / len(other))])
    mean = np.average(x, 0, weights=weights)
    axes = np.linalg.svd((x - mean) * np.sqrt(weights)[:, None], full_matrices=False)[2][:COMPONENTS].T
    inside = (np.concatenate(chest) - mean) @ axes
    own = weights[: len(inside)]
    spread = np.sqrt(np.average((inside - np.average(inside, 0, own)) ** 2, 0, own))
    axes = axes / spread
    is_other = np.arange(len(x)) >= len(inside)
    model = LogisticRegression(C=STRENGTH, max_iter=5000).fit((x - mean) @ axes, is_other, weights * 1000)
    weight = axes @ model.coef_[0]
    bias = float(model.intercept_[0] - mean @ weight)
    return (weight / ALLOWED).astype(np.float32), bias / ALLOWED


def main(simulated: str, nih: str, ct: str, folder: str) -> None:
    """Read, draw, fit, write, measure."""
    network = EfficientNetLite0.pretrained()
    chest = {key: features(network, x) for key, x in films(simulated, nih, Path(ct)).items()}
    other = {key: features(network, x) for key, x in others(Path(ct), Path(folder)).items()}
    weight, bias = rule(
        [x for (use, _), x in chest.items() if use == "train"],
        np.concatenate([x for (use, _), x in other.items() if use == "train"]),
    )
    RULE_FILE.parent.mkdir(exist_ok=True)
    with whole_file(RULE_FILE) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, weight=weight, bias=np.float32(bias))
    print(f"{RULE_FILE.stat().st_size} bytes")
    for title, found in (("chest film", chest), ("other", other)):
        for (use, kind), x in sorted(found.items()):
            score = x @ weight + bias
            print(
                f"{title}, {use}: {kind}: {int((score > 1).sum())} of {len(score)} called no chest radiograph;"
                f" scores {score.min():.2f} to {score.max():.2f}"
            )


if __name__ == "__main__":
    main(*sys.argv[1:5])
