"""What is a chest radiograph: simulated films are, drawn pictures and photographs are not."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from sklearn.datasets import load_sample_images

from omnicxr.data.images import load_image
from omnicxr.models.efficientnet import EfficientNetLite0, picture_features
from omnicxr.models.radiographs import ChestRadiographs


def scores(pictures: list[np.ndarray]) -> np.ndarray:
    """uint8 [s, s] each => [n]"""
    with torch.no_grad():
        features = picture_features(EfficientNetLite0.pretrained(), torch.from_numpy(np.stack(pictures)))
        return ChestRadiographs.pretrained().score(features).numpy()


def test_simulated_films_are(simulated: Path) -> None:
    films = [np.asarray(load_image(path, 224)) for path in sorted(simulated.glob("files/*/*/*/*.jpg"))[:8]]
    assert scores(films).max() < 0.6


def others() -> list[np.ndarray]:
    """Photographs, a page, noise, stripes, and a rod between dark and light like a bone."""
    photographs = [Image.fromarray(x).convert("L").resize((224, 224)) for x in load_sample_images().images]
    page = Image.new("L", (224, 224), 255)
    for y in range(10, 210, 14):
        ImageDraw.Draw(page).text((10, y), "No acute cardiopulmonary process is seen.", fill=0)
    noise = np.random.default_rng(0).integers(0, 256, (224, 224)).astype(np.uint8)
    columns = np.linspace(-1, 1, 224)
    stripes = np.tile(127 + 127 * np.sin(columns * 40), (224, 1)).astype(np.uint8)
    flesh = 70 * np.sqrt(np.maximum(1 - (columns / 0.5) ** 2, 0))
    rod = 150 * np.sqrt(np.maximum(1 - (columns / 0.15) ** 2, 0))
    limb = np.tile(flesh + rod, (224, 1)).astype(np.uint8)
    return [*map(np.asarray, photographs), np.asarray(page), noise, stripes, limb]


def test_other_pictures_are_not() -> None:
    assert scores(others()).min() > 1


def test_the_rule_is_linear_and_knows_its_width() -> None:
    radiographs = ChestRadiographs.pretrained()
    features = torch.randn(5, 1280, generator=torch.Generator().manual_seed(0))
    expected = features.double() @ radiographs.weight.double() + radiographs.bias
    assert torch.allclose(radiographs.score(features).double(), expected, atol=1e-4)
    assert torch.allclose(radiographs.score(features.half()), radiographs.score(features), atol=2e-2)
    with pytest.raises(RuntimeError):
        radiographs.score(torch.zeros(2, 1279))
