import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from omnicxr.domain import Modality, UserError
from omnicxr.models.component import CONFIG, WEIGHTS
from omnicxr.models.image_autoencoder import (
    ImageAutoencoder,
    ImageAutoencoderConfig,
    pixels_from_uint8,
    structural_similarity,
    uint8_from_pixels,
)
from omnicxr.models.prompt_encoders import HardNegatives, info_nce, symmetric_contrastive_loss
from omnicxr.models.report_autoencoder import ReportAutoencoder, ReportAutoencoderConfig
from omnicxr.models.tokenizer import BEGIN, END, PAD, ReportTokenizer, each_sentence_once, sentence_case

SMALL = ImageAutoencoderConfig(latent_channels=4, widths=(16, 32), encoder_blocks=1, decoder_blocks=1)
REPORTS = ["Small left pleural effusion.", "No acute process.", "A 2.6 cm nodule in the right upper lobe."]


def ssim_reference(a: np.ndarray, b: np.ndarray) -> float:
    """Wang et al. 2004 with scipy's Gaussian filter, cropped to full windows."""

    def smooth(v: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(v, 1.5, truncate=5 / 1.5)[5:-5, 5:-5]

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    ma, mb = smooth(a), smooth(b)
    va, vb, cov = smooth(a * a) - ma**2, smooth(b * b) - mb**2, smooth(a * b) - ma * mb
    return float((((2 * ma * mb + c1) * (2 * cov + c2)) / ((ma**2 + mb**2 + c1) * (va + vb + c2))).mean())


def test_ssim_against_reference() -> None:
    rng = np.random.default_rng(0)
    a = ndimage.gaussian_filter(rng.uniform(0, 255, (48, 48)), 2)
    b = a + rng.normal(0, 4, a.shape)
    x, y = (torch.from_numpy(v / 127.5 - 1)[None, None] for v in (a, b))
    # the C1 and C2 of a range of 2 around 0 differ from those of 0..255 only through the means, so compare on the
    # shifted picture
    x, y = (v + 1 for v in (x, y))
    assert float(structural_similarity(x, y)) == pytest.approx(ssim_reference(a, b), abs=1e-4)
    assert float(structural_similarity(x, x)) == pytest.approx(1)


def test_pixels_round_trip() -> None:
    images = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16)
    assert torch.equal(uint8_from_pixels(pixels_from_uint8(images)), images)


def test_image_autoencoder_standardises() -> None:
    model = ImageAutoencoder(SMALL)
    model.latent_mean.copy_(torch.arange(4.0))
    model.latent_std.fill_(2.0)
    x = torch.rand(2, 1, 64, 64) * 2 - 1
    z = model.encode(x)
    assert z.shape == (2, 4, 8, 8)
    assert torch.allclose(z * 2 + torch.arange(4.0)[:, None, None], model.moments(x)[0], atol=1e-5)
    assert torch.allclose(model.decode(z), model.decode_raw(model.moments(x)[0]).clamp(-1, 1), atol=1e-5)


def test_decoder_survives_half_precision() -> None:
    torch.manual_seed(0)
    model, z = ImageAutoencoder(SMALL), 3 * torch.randn(1, 4, 8, 8)
    full = model.decode(z)
    low = model.to(torch.bfloat16).decode(z.bfloat16())
    assert torch.isfinite(low).all()
    assert (low.float() - full).abs().mean() < 0.02


def test_tokenizer_round_trip_and_cut() -> None:
    tokenizer = ReportTokenizer.train(REPORTS, vocab_size=400, max_tokens=64)
    ids = tokenizer.encode(REPORTS)
    assert (ids[:, 0] == BEGIN).all()
    assert tokenizer.decode(ids) == [r.lower() for r in REPORTS]
    assert ids[1, -1] == PAD
    tokenizer.max_tokens = 6
    cut = tokenizer.encode(REPORTS)
    assert cut.shape[1] == 6
    assert (cut == END).sum() == 3


@pytest.mark.parametrize(
    ("text", "shown"), [("no. a 2.6 cm mass. it's ok", "No. A 2.6 cm mass. It's ok"), ("", ""), ("x", "X")]
)
def test_sentence_case(text: str, shown: str) -> None:
    assert sentence_case(text) == shown


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (
            "A 1.3 cm nodule. Tube in place. a 1.3 cm nodule. Clear lungs.",
            "A 1.3 cm nodule. Tube in place. Clear lungs.",
        ),
        ("No effusion. No effusion", "No effusion. No effusion"),
        ("", ""),
    ],
)
def test_each_sentence_once(text: str, kept: str) -> None:
    assert each_sentence_once(text) == kept


def report_model() -> ReportAutoencoder:
    torch.manual_seed(0)
    sizes = {"vocab_size": 50, "max_tokens": 12, "latent_tokens": 3, "latent_channels": 8, "width": 32, "heads": 2}
    return ReportAutoencoder(ReportAutoencoderConfig(**sizes, encoder_depth=1, decoder_depth=2)).eval()


def test_report_decoder_is_causal_and_padding_is_ignored() -> None:
    model = report_model()
    ids = torch.randint(3, 50, (2, 9))
    z = torch.randn(2, 3, 8)
    later = ids.clone()
    later[:, 5:] = 7
    assert torch.allclose(model.logits(z, ids)[:, :5], model.logits(z, later)[:, :5], atol=1e-5)
    padded = torch.cat([ids, torch.full((2, 3), PAD)], 1)
    assert torch.allclose(model.moments(ids)[0], model.moments(padded)[0], atol=1e-5)


def test_decode_is_greedy_and_ends() -> None:
    model = report_model()
    z = torch.randn(2, 3, 8)
    ids = model.decode(z)
    assert ids.shape[1] <= 12
    for row, latent in zip(ids, z, strict=True):
        for n in range(1, len(row)):
            if END in row[:n]:
                assert row[n] == PAD
            else:
                assert row[n] == model.logits(latent[None], row[None, :n])[0, -1].argmax()


def test_info_nce_closed_form() -> None:
    """For n orthonormal pairs the loss is log(1 + (n - 1) exp(-scale))."""
    e, scale = torch.eye(5), torch.tensor(1.2)
    expected = torch.log(1 + 4 * torch.exp(-scale.exp()))
    assert float(info_nce(e, e, scale)) == pytest.approx(float(expected), abs=1e-6)
    embeds = {Modality.FRONTAL: e, Modality.LATERAL: e, Modality.REPORT: e.flip(0)}
    swapped = dict(reversed(embeds.items()))
    assert float(symmetric_contrastive_loss(embeds, scale)) == pytest.approx(
        float(symmetric_contrastive_loss(swapped, scale))
    )
    clamped = info_nce(e, e, torch.tensor(50.0))
    assert torch.isfinite(clamped)


def test_hard_negatives_are_one_more_wrong_partner_of_their_row() -> None:
    """As wrong as can be: equal to the right partner of rows 0 and 3; the other rows have none."""
    e, scale = torch.eye(5), torch.tensor(1.2, requires_grad=True)
    negatives = HardNegatives(e.clone().requires_grad_(True), torch.tensor([1.0, 0, 0, 1, 0]))
    loss = info_nce(e, e, scale, negatives=negatives)
    others = 4 * torch.exp(-scale.detach().exp())
    expected = (2 * torch.log(2 + others) + 3 * torch.log(1 + others)) / 5
    assert float(loss.detach()) == pytest.approx(float(expected), abs=1e-6)
    loss.backward()
    assert scale.grad is not None and negatives.embeds.grad is not None and torch.isfinite(scale.grad)
    assert negatives.embeds.grad.abs().sum(1).bool().tolist() == [True, False, False, True, False]


def test_hard_negatives_are_of_one_modality() -> None:
    """Frontal and lateral views are told from the wrong reports; reports, and one view from the other, are not."""
    e, scale = torch.eye(5), torch.tensor(1.2)
    embeds = {m: e for m in Modality}
    plain, hard = (
        symmetric_contrastive_loss(embeds, scale, n) for n in (None, {Modality.REPORT: HardNegatives(e, torch.ones(5))})
    )
    others = 4 * torch.exp(-scale.exp())
    assert float(hard - plain) == pytest.approx(
        float(2 * (torch.log(2 + others) - torch.log(1 + others)) / 6), abs=1e-6
    )


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


def test_latents_stand_for_whole_cells() -> None:
    with pytest.raises(UserError, match="pixels_per_latent is 6: choose a multiple of 4"):
        ImageAutoencoderConfig(pixels_per_latent=6)
