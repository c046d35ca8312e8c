import json
from pathlib import Path

import pytest
import torch

from omnicxr.domain import UserError
from omnicxr.models.component import CONFIG, WEIGHTS
from omnicxr.models.image_autoencoder import ImageAutoencoder, ImageAutoencoderConfig

SMALL = ImageAutoencoderConfig(latent_channels=4, widths=(16, 32), encoder_blocks=1, decoder_blocks=1)


def test_save_and_load(tmp_path: Path) -> None:
    model = ImageAutoencoder(SMALL)
    model.save(tmp_path)
    back = ImageAutoencoder.load(tmp_path)
    assert all(torch.equal(v, back.state_dict()[k]) for k, v in model.state_dict().items())
    model.save(tmp_path, half=True)
    assert ImageAutoencoder.load(tmp_path).state_dict()["encoder.1.weight"].dtype == torch.float32


def missing(folder: Path) -> None:
    (folder / WEIGHTS).unlink()


def cut(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:1000])


def other_sizes(folder: Path) -> None:
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(config | {"widths": [16, 48]}))


def other_depth(folder: Path) -> None:
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(config | {"decoder_blocks": 2}))


def unknown_key(folder: Path) -> None:
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(config | {"colour": 1}))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (missing, "missing or damaged"),
        (cut, "missing or damaged"),
        (other_sizes, "does not fit"),
        (other_depth, "does not fit"),
        (unknown_key, "'colour'"),
    ],
)
def test_damaged_folders(tmp_path: Path, harm, said: str) -> None:
    ImageAutoencoder(SMALL).save(tmp_path)
    harm(tmp_path)
    with pytest.raises(UserError, match=said):
        ImageAutoencoder.load(tmp_path)
