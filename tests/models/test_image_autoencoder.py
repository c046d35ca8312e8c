import numpy as np
import pytest
import torch
from scipy import ndimage

from omnicxr.domain import UserError
from omnicxr.models.image_autoencoder import (
    ImageAutoencoder,
    ImageAutoencoderConfig,
    pixels_from_uint8,
    structural_similarity,
    uint8_from_pixels,
)

SMALL = ImageAutoencoderConfig(latent_channels=4, widths=(16, 32), encoder_blocks=1, decoder_blocks=1)


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


def test_latents_stand_for_whole_cells() -> None:
    with pytest.raises(UserError, match="pixels_per_latent is 6: give a multiple of 4"):
        ImageAutoencoderConfig(pixels_per_latent=6)
