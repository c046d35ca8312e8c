"""Train the frontal / lateral classifier of `omnicxr.data.views` and write its weights.

    python scripts/make_view_classifier.py SIMULATED NIH

SIMULATED is a folder that `omnicxr simulate` wrote, NIH a folder of ChestX-ray14 (frontal pictures only; Wang et al.
2017, no restriction on use). Every fifth picture is held out; the accuracy on those is printed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps
from sklearn.neural_network import MLPClassifier

from omnicxr.data.files import whole_file
from omnicxr.data.images import load_image
from omnicxr.data.sources import open_source
from omnicxr.data.views import WEIGHTS_FILE, view_features
from omnicxr.domain import Modality, View

SIZE, COPIES, PICTURES = 96, 6, 3000


def vary(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Another exposure, framing and tilt of the same picture; now and then mirrored or inverted."""
    if rng.random() < 0.5:
        picture = ImageOps.mirror(picture)
    picture = picture.rotate(rng.normal(0, 5), resample=Image.Resampling.BILINEAR)
    cut = rng.uniform(0, 0.15, 4) * SIZE
    picture = picture.crop((int(cut[0]), int(cut[1]), SIZE - int(cut[2]), SIZE - int(cut[3])))
    picture = ImageOps.pad(picture, (SIZE, SIZE)) if rng.random() < 0.5 else picture.resize((SIZE, SIZE))
    picture = ImageEnhance.Brightness(ImageEnhance.Contrast(picture).enhance(rng.uniform(0.6, 1.6))).enhance(
        rng.uniform(0.6, 1.4)
    )
    return ImageOps.invert(picture) if rng.random() < 0.05 else picture


def read(kind: str, folder: str) -> list[tuple[Image.Image, bool]]:
    """Pictures and whether they are lateral."""
    refs = [ref for study in open_source(kind, folder).studies() for ref in study.images]
    return [(load_image(ref.path, SIZE), (ref.view or View.PA).modality is Modality.LATERAL) for ref in refs[:PICTURES]]


def main(simulated: str, nih: str) -> None:
    """Read, train, write, measure."""
    rng = np.random.default_rng(0)
    sets = {"simulated": read("mimic-cxr-jpg", simulated), "nih": read("nih", nih)}
    train = [
        (vary(p, rng), y)
        for pictures in sets.values()
        for i, (p, y) in enumerate(pictures)
        if i % 5
        for _ in range(COPIES)
    ]
    x, y = np.stack([view_features(p) for p, _ in train]), np.array([y for _, y in train])
    model = MLPClassifier((24,), alpha=1e-2, early_stopping=True, random_state=0).fit(x, y)
    with whole_file(WEIGHTS_FILE) as temporary, temporary.open("wb") as file:
        (w1, w2), (b1, b2) = model.coefs_, model.intercepts_
        np.savez_compressed(
            file,
            w1=w1.astype(np.float16),
            b1=b1.astype(np.float16),
            w2=w2[:, 0].astype(np.float16),
            b2=b2.astype(np.float16),
        )
    for name, pictures in sets.items():
        held_out = [(view_features(p), y) for i, (p, y) in enumerate(pictures) if i % 5 == 0]
        right = np.mean(model.predict(np.stack([f for f, _ in held_out])) == np.array([y for _, y in held_out]))
        print(
            f"{name}: {right:.4f} of {len(held_out)} held-out pictures right; {Path(WEIGHTS_FILE).stat().st_size} bytes"
        )


if __name__ == "__main__":
    main(*sys.argv[1:3])
