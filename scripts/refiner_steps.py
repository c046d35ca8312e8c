"""How real pictures look after the autoencoder, by steps of the refiner: python scripts/refiner_steps.py PREPARED MODEL 0,1,2,4,8

0 steps: the decoder's mean.
Every validation study, Fréchet distance etc. of EfficientNet-Lite0 (docs/evaluation.md); the best goes into MODEL/refiner/config.json.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from omnicxr.data.dataset import PreparedDataset
from omnicxr.domain import IMAGE_MODALITIES
from omnicxr.evaluation.extractors import load_extractor
from omnicxr.evaluation.fidelity import frechet_distance, manifold
from omnicxr.evaluation.reconstruction import image_reconstruction, through_autoencoder
from omnicxr.models.image_autoencoder import ImageAutoencoder
from omnicxr.models.refiner import Refiner


def main(prepared: Path, model: Path, steps: list[int]) -> None:
    """Print a table of views and steps."""
    data, extract = PreparedDataset(prepared, "validate"), load_extractor("efficientnet-lite0")
    autoencoder, refiner = ImageAutoencoder.load(model / "image_autoencoder"), Refiner.load(model / "refiner")
    print("| view | steps | PSNR | SSIM | Fréchet | precision | recall | coverage |\n|---|---|---|---|---|---|---|---|")
    for view in IMAGE_MODALITIES:
        rows = data.having(view)
        pictures = np.stack(list(data.images(view, rows)))
        real = extract(view, pictures)
        for count in steps:
            refiner.config = replace(refiner.config, steps=max(1, count))
            back = through_autoencoder(autoencoder, pictures, refiner if count else None)
            kept = image_reconstruction(pictures, back, np.arange(len(rows)))
            made = extract(view, back)
            shape = asdict(manifold(real, made))
            print(f"| {view} | {count} | {kept['psnr']['value']:.1f} | {kept['ssim']['value']:.3f} | {frechet_distance(real, made):.1f} | "
                  + " | ".join(f"{shape[k]:.2f}" for k in ("precision", "recall", "coverage")) + " |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), [int(s) for s in sys.argv[3].split(",")])
