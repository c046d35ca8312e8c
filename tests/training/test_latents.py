from pathlib import Path

import numpy as np
import pytest
import torch

from omnicxr.data.dataset import PreparedDataset
from omnicxr.domain import Modality
from omnicxr.pipeline import AnyToAnyPipeline
from omnicxr.training import latents
from omnicxr.training.augmentation import version
from omnicxr.training.latents import encode_share, join_shares, load_latents
from tests.data.test_rows import several

__all__ = ["several"]


def test_further_pictures_have_latents_of_their_own(several: Path, pipe: AnyToAnyPipeline, tmp_path: Path) -> None:
    """A cache from before there were any is worked out again."""
    data, places = PreparedDataset(several, "train"), {m: PreparedDataset(several, "train").places(m) for m in Modality}
    np.save(tmp_path / "train-frontal-latents.npy", np.zeros((len(data), 4, 8, 8), np.float16))
    for share in range(2):
        encode_share(data, pipe, tmp_path, share=share, shares=2)
    join_shares(data, tmp_path, 2)
    found = load_latents(data, tmp_path)
    for m in (Modality.FRONTAL, Modality.LATERAL):
        x = torch.from_numpy(data.images(m, places[m]))[:, None].float() / 127.5 - 1
        assert torch.allclose(found.rows(m, places[m]), pipe.image_autoencoder.encode(x), atol=0.01)
    assert len(found.latents[Modality.REPORT]) == len(data)
    drawn = {m: data.drawn(np.arange(3), m, np.random.default_rng(0)) for m in Modality}
    prompt = found.prompt((Modality.REPORT,), drawn)
    assert prompt is not None and prompt.shape[0] == 3


def test_versions_of_pictures_have_latents_of_their_own(several: Path, pipe: AnyToAnyPipeline, tmp_path: Path) -> None:
    """Each is the encoding of that version, further pictures too; reports have one version."""
    data = PreparedDataset(several, "train")
    for number in (0, 2):
        for share in range(2):
            encode_share(data, pipe, tmp_path, share=share, shares=2, number=number)
        join_shares(data, tmp_path, 2, number=number)
    assert sorted(p.name for p in tmp_path.glob("*version*")) == [
        f"train-{m}-version2-{kind}.npy" for m in ("frontal", "lateral") for kind in ("embeds", "latents")
    ]
    plain, second = (load_latents(data, tmp_path, number=number) for number in (0, 2))
    for m in (Modality.FRONTAL, Modality.LATERAL):
        places = data.places(m)
        pictures = version(data.images(m, places), places, number=2)
        x = torch.from_numpy(pictures)[:, None].float() / 127.5 - 1
        with torch.no_grad():
            z, embeds = pipe.image_autoencoder.encode(x), pipe.prompt_encoders.embed(m, x)
        assert torch.allclose(second.rows(m, places), z, atol=0.01)
        assert torch.allclose(second.embeds[m][torch.from_numpy(places)].float(), embeds, atol=0.01)
        assert not torch.allclose(second.rows(m, places), plain.rows(m, places), atol=0.05), "or it says nothing"
    assert torch.equal(second.latents[Modality.REPORT], plain.latents[Modality.REPORT])


def test_versions_stay_on_a_gpu_where_all_that_are_left_have_room(
    several: Path, pipe: AnyToAnyPipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, asked = PreparedDataset(several, "train"), list[int]()
    encode_share(data, pipe, tmp_path, share=0, shares=1)
    join_shares(data, tmp_path, 1)
    size = sum(np.load(p).nbytes for p in tmp_path.glob("*.npy"))
    monkeypatch.setattr(latents, "has_room", lambda _, needed: bool(asked.append(needed)))
    monkeypatch.setattr(
        latents, "_paths", lambda folder, data, m, number, of=latents._paths: of(folder, data, m, number=0)
    )
    for number in range(3):
        load_latents(data, tmp_path, torch.device("cpu"), number=number, versions=3)
    assert asked == [3 * size, 2 * size, size]
