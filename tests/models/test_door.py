"""What a model has seen, and how far off something is."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis

from omnicxr.data.vocabulary import Vocabulary
from omnicxr.domain import Fit, Modality, UserError
from omnicxr.models.component import WEIGHTS
from omnicxr.models.door import FILE, FOLDER, SHRINKAGE, Door, Limit, ViewCheck, redrawing_error, whitened
from omnicxr.models.efficientnet import TEXTURES
from omnicxr.models.image_autoencoder import ImageAutoencoder, ImageAutoencoderConfig

WORDS = Vocabulary({"effusion": 3, "left": 5})


def view(seed: int = 0) -> ViewCheck:
    rng = torch.Generator().manual_seed(seed)
    mean, whitening = torch.randn(TEXTURES, generator=rng), torch.randn(TEXTURES, TEXTURES, generator=rng)
    return ViewCheck(mean, whitening, {"texture": Limit(1.0, 2.0), "redrawing": Limit(-7.0, -6.0)})


def test_distances_of_whitened_textures_are_mahalanobis() -> None:
    rng = np.random.default_rng(0)
    train = rng.normal(size=(200, 6)) @ rng.normal(size=(6, 6)) + 5
    new = rng.normal(size=(4, 6)) * 3
    mean, whitening = whitened(torch.from_numpy(train).float())
    scale = train.std(0, ddof=1)
    covariance = np.corrcoef(train.T) * (1 - 1 / 200) + SHRINKAGE * np.eye(6)
    inverse = np.linalg.inv(covariance * np.outer(scale, scale))
    found = ((torch.from_numpy(new).float() - mean) @ whitening).norm(dim=1)
    assert found.numpy() == pytest.approx([mahalanobis(x, train.mean(0), inverse) for x in new], rel=1e-3)


def test_a_picture_like_the_training_pictures_is_nearer_than_another() -> None:
    rng = torch.Generator().manual_seed(0)
    train = torch.randn(500, TEXTURES, generator=rng)
    check = ViewCheck(*whitened(train), {"texture": Limit(0.0, 1.0), "redrawing": Limit(0.0, 1.0)})
    off = check.off(torch.stack([torch.randn(TEXTURES, generator=rng), torch.full((TEXTURES,), 3.0)]), torch.zeros(2))
    assert off["texture"][0] < off["texture"][1] and off["redrawing"].tolist() == [0, 0]


def test_how_far_off_something_is_counts_from_the_median_to_the_limit() -> None:
    assert Limit(-7.0, -6.0).off(torch.tensor([-7.0, -6.0, -5.0, -8.0])).tolist() == [0, 1, 2, -1]


def test_redrawing_error_is_the_mean_square_difference_in_the_middle() -> None:
    autoencoder = ImageAutoencoder(ImageAutoencoderConfig(widths=(8, 8), latent_channels=2)).eval()
    pictures = torch.randint(0, 256, (2, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    x = pictures[:, 16:48, 16:48].float()[:, None] / 127.5 - 1
    with torch.no_grad():
        again = autoencoder.decode(autoencoder.encode(x))
    assert redrawing_error(autoencoder, pictures).exp().tolist() == pytest.approx(
        ((again - x) ** 2).mean((1, 2, 3)).tolist(), rel=1e-5
    )


def test_a_door_is_read_as_it_was_written(tmp_path: Path) -> None:
    door = Door(vocabulary=WORDS, views={Modality.FRONTAL: view()}, agreement={Modality.FRONTAL: 0.25}, made_with="x")
    door.save(tmp_path)
    again = Door.load(tmp_path)
    assert again is not None
    assert (again.vocabulary.words, again.agreement, again.made_with) == (WORDS.words, door.agreement, "x")
    assert again.views[Modality.FRONTAL].limits == view().limits
    assert torch.equal(again.views[Modality.FRONTAL].whitening, view().whitening)
    assert Door.load(tmp_path / "elsewhere") is None


def change(folder: Path, **values: object) -> None:
    record = json.loads((folder / FILE).read_text())
    (folder / FILE).write_text(json.dumps(record | values))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / WEIGHTS).unlink(), "missing or damaged"),
        (lambda folder: (folder / WEIGHTS).write_bytes(b"x"), "missing or damaged"),
        (lambda folder: (folder / FILE).write_text("[]"), "object"),
        (lambda folder: (folder / FILE).write_text("{}"), "damaged"),
        (lambda folder: (folder / FILE).write_text(json.dumps({"limits": {"frontal": {}}})), "damaged"),
        (lambda folder: change(folder, limits={"oblique": {}}), "damaged"),
        (lambda folder: change(folder, limits={"frontal": {"texture": [0, "x"], "redrawing": [0, 1]}}), "damaged"),
        (lambda folder: change(folder, limits={"frontal": {"texture": [0], "redrawing": [0, 1]}}), "damaged"),
        (lambda folder: change(folder, agreement={"frontal": 2}), "damaged"),
        (lambda folder: change(folder, words={"edema": True}), "damaged"),
    ],
)
def test_a_damaged_door_is_named(tmp_path: Path, damage: object, message: str) -> None:
    Door(vocabulary=WORDS, views={Modality.FRONTAL: view()}).save(tmp_path)
    damage(tmp_path / FOLDER)  # type: ignore[operator]
    with pytest.raises(UserError, match=message):
        Door.load(tmp_path)


def test_a_view_that_the_model_has_never_seen_is_unlike() -> None:
    door = Door(vocabulary=WORDS, views={Modality.FRONTAL: view()})
    autoencoder = ImageAutoencoder(ImageAutoencoderConfig(widths=(8, 8), latent_channels=2))
    pictures = torch.zeros(2, 32, 32, dtype=torch.uint8)
    textures = torch.zeros(2, TEXTURES)
    notes = door.look(Modality.LATERAL, pictures, textures=textures, autoencoder=autoencoder)
    assert [n.fit for n in notes] == [Fit.UNLIKE] * 2 and "has a lateral view" in notes[0].reason
