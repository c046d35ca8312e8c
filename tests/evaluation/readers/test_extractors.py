from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from transformers import Dinov2Config, Dinov2Model

from omnicxr.domain import Modality, UserError
from omnicxr.evaluation.measures.fidelity import frechet_distance
from omnicxr.evaluation.readers.extractors import frechet_name, load_extractor
from omnicxr.models.efficientnet import EfficientNetLite0, fuse_norms


@pytest.mark.slow
def test_default_extractor_sees_pictures() -> None:
    extract = load_extractor("efficientnet-lite0")
    rng = np.random.default_rng(0)
    smooth = np.kron(rng.integers(0, 255, (60, 4, 4)), np.ones((1, 16, 16))).astype(np.uint8)
    noise = rng.integers(0, 255, (60, 64, 64)).astype(np.uint8)
    a, b = extract(Modality.FRONTAL, smooth), extract(Modality.FRONTAL, noise)
    assert a.shape == (60, 1280)
    assert np.isfinite(a).all()
    assert np.allclose(extract(Modality.LATERAL, smooth[:3]), a[:3], atol=1e-4)
    assert frechet_distance(a[:30].repeat(2, 0), a[30:].repeat(2, 0)) < frechet_distance(a, b)


def test_normalisations_in_the_convolutions_change_no_feature() -> None:
    torch.manual_seed(0)
    network = EfficientNetLite0().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):  # unlike those of a fresh one
            for values in (module.running_mean, module.running_var, module.weight, module.bias):
                assert values is not None
                nn.init.uniform_(values, 0.5, 1.5)
    x = torch.randn(2, 3, 64, 72)
    with torch.no_grad():
        before = network(x)
        fuse_norms(network)
        assert not any(isinstance(m, nn.BatchNorm2d) for m in network.modules())
        assert torch.allclose(network(x), before, atol=1e-4)
        assert before.std() > 0.01


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("inception", "OMNICXR_INCEPTION"),
        ("xrv-densenet121", "OMNICXR_XRV"),
        ("rad-dino", "OMNICXR_RAD_DINO"),
        ("vgg", "Unknown extractor"),
    ],
)
def test_missing_weights_name_the_remedy(monkeypatch: pytest.MonkeyPatch, name: str, said: str) -> None:
    for variable in ("OMNICXR_INCEPTION", "OMNICXR_XRV", "OMNICXR_RAD_DINO"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(UserError, match=said):
        load_extractor(name)


def test_rad_dino_from_a_local_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A small network of the same kind, saved as RAD-DINO is: the features are its class token."""
    network = Dinov2Model(
        Dinov2Config(hidden_size=32, num_hidden_layers=1, num_attention_heads=2, image_size=518, patch_size=14)
    ).eval()
    network.save_pretrained(tmp_path / "rad-dino")
    monkeypatch.setenv("OMNICXR_RAD_DINO", str(tmp_path / "rad-dino"))
    pictures = np.random.default_rng(0).integers(0, 255, (2, 518, 518)).astype(np.uint8)
    found = load_extractor("rad-dino")(Modality.FRONTAL, pictures)
    x = (torch.from_numpy(pictures)[:, None].float().expand(-1, 3, -1, -1) / 255 - 0.5307) / 0.2583
    with torch.no_grad():
        assert found == pytest.approx(network(x).last_hidden_state[:, 0].numpy(), abs=1e-4)


def test_only_inception_gives_fid() -> None:
    assert frechet_name("inception") == "FID"
    assert frechet_name("judge") == "FD (judge)"
