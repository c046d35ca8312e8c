from pathlib import Path

import numpy as np
import torch

from omnicxr.data.dataset import PreparedDataset
from omnicxr.domain import Modality
from omnicxr.pipeline import AnyToAnyPipeline
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
