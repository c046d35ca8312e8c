"""Texture: strength and correlation are those of what the autoencoder loses."""

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from omnicxr.domain import Modality
from omnicxr.models.texture import Texture, TextureConfig, noise_kernel
from omnicxr.pipeline import AnyToAnyPipeline
from omnicxr.training.stages.texture import gaussian_loss


def test_the_correlation_of_noise_is_found_again() -> None:
    """White noise through a known symmetric filter: the filter comes back."""
    known = torch.tensor([[0.0, 0.2, 0.0], [0.2, 1.0, 0.2], [0.0, 0.2, 0.0]])
    known = known / known.square().sum().sqrt()
    noise = torch.randn(400, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    coloured = F.conv2d(F.pad(noise, (1, 1, 1, 1), mode="circular"), known[None, None])[:, 0]
    found = noise_kernel(3 * coloured, 5)
    assert found.square().sum() == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(found, F.pad(known, (1, 1, 1, 1)), atol=0.02, rtol=0)


def test_loss_is_the_likelihood() -> None:
    log_scale, residual = torch.randn(2, 1, 8, 8), torch.randn(2, 1, 8, 8)
    expected = -torch.distributions.Normal(0, log_scale.exp()).log_prob(residual).mean()
    assert float(gaussian_loss(log_scale, residual)) == pytest.approx(float(expected) - 0.5 * math.log(2 * math.pi), abs=1e-5)


def test_strength_of_what_is_added() -> None:
    texture = Texture(TextureConfig(strength=0.5))
    with torch.no_grad():
        texture.net[-1].weight.zero_()
        texture.net[-1].bias.fill_(math.log(0.1))
    mean = torch.zeros(8, 1, 64, 64)
    added = texture(mean, torch.randn(mean.shape, generator=torch.Generator().manual_seed(0))) - mean
    assert float(added.detach().std()) == pytest.approx(0.05, rel=0.02)
    assert texture(torch.ones(1, 1, 64, 64), torch.full((1, 1, 64, 64), 9.0)).max() <= 1


def test_trained_on_what_is_lost(run_folder: Path) -> None:
    kernel = Texture.load(run_folder / "model" / "texture").kernel
    assert kernel.square().sum() == pytest.approx(1, abs=1e-4)
    assert (kernel != 0).sum() > 1
    assert (run_folder / "texture" / "samples-000020.png").is_file()


def test_each_study_has_its_own(pipe: AnyToAnyPipeline) -> None:
    """The same latents with other random numbers are other pictures; with the same ones, the same, alone or beside others."""
    z = torch.zeros(1, *pipe.generator.config.latent_shape(Modality.FRONTAL))
    both = {Modality.FRONTAL: z.expand(2, -1, -1, -1)}
    first, second = pipe.decode(both, [torch.Generator().manual_seed(i) for i in (1, 2)]).frontal or []
    (alone,) = pipe.decode({Modality.FRONTAL: z}, [torch.Generator().manual_seed(2)]).frontal or []
    assert first.tobytes() != second.tobytes() == alone.tobytes()
