import numpy as np
import pytest

from omnicxr.domain import Modality, UserError
from omnicxr.evaluation.extractors import frechet_name, load_extractor
from omnicxr.evaluation.fidelity import frechet_distance


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


@pytest.mark.parametrize(
    ("name", "said"),
    [("inception", "OMNICXR_INCEPTION"), ("xrv-densenet121", "OMNICXR_XRV"), ("rad-dino", "OMNICXR_RAD_DINO"), ("vgg", "Unknown extractor")],
)
def test_missing_weights_name_the_remedy(monkeypatch: pytest.MonkeyPatch, name: str, said: str) -> None:
    for variable in ("OMNICXR_INCEPTION", "OMNICXR_XRV", "OMNICXR_RAD_DINO"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(UserError, match=said):
        load_extractor(name)


def test_only_inception_gives_fid() -> None:
    assert frechet_name("inception") == "FID"
    assert frechet_name("judge") == "FD (judge)"
