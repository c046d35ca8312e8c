"""How real pictures look after the autoencoder, at several strengths of the texture: python scripts/texture_strength.py PREPARED MODEL 0,0.3,0.4,0.5

Every validation study, Fréchet distance etc. of EfficientNet-Lite0 (docs/evaluation.md); the best strength goes into MODEL/texture/config.json.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from omnicxr.data.dataset import PreparedDataset
from omnicxr.domain import IMAGE_MODALITIES
from omnicxr.evaluation.extractors import load_extractor
from omnicxr.evaluation.fidelity import frechet_distance, manifold
from omnicxr.evaluation.reconstruction import image_reconstruction, through_autoencoder
from omnicxr.models.image_autoencoder import ImageAutoencoder
from omnicxr.models.texture import Texture


def main(prepared: Path, model: Path, strengths: list[float]) -> None:
    """Print a table of views and strengths."""
    data, extract = PreparedDataset(prepared, "validate"), load_extractor("efficientnet-lite0")
    autoencoder, texture = ImageAutoencoder.load(model / "image_autoencoder"), Texture.load(model / "texture")
    print("| view | strength | PSNR | SSIM | Fréchet | precision | recall | coverage |\n|---|---|---|---|---|---|---|---|")
    for view in IMAGE_MODALITIES:
        rows = data.having(view)
        pictures = np.stack(list(data.images(view, rows)))
        real = extract(view, pictures)
        for strength in strengths:
            texture.config = replace(texture.config, strength=strength)
            back = through_autoencoder(autoencoder, pictures, texture if strength else None)
            kept = image_reconstruction(pictures, back, np.arange(len(rows)))
            made = extract(view, back)
            shape = asdict(manifold(real, made))
            print(f"| {view} | {strength:g} | {kept['psnr']['value']:.1f} | {kept['ssim']['value']:.3f} | {frechet_distance(real, made):.1f} | "
                  + " | ".join(f"{shape[k]:.2f}" for k in ("precision", "recall", "coverage")) + " |", flush=True)  # fmt: skip


if __name__ == "__main__":
    torch.manual_seed(0)
    main(Path(sys.argv[1]), Path(sys.argv[2]), [float(s) for s in sys.argv[3].split(",")])
