"""The refiner draws what the autoencoder loses, as strong as that is."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from omnicxr.data.dataset import PreparedDataset
from omnicxr.domain import Modality, UserError
from omnicxr.flow.refining import draw, refined
from omnicxr.models.image_autoencoder import ImageAutoencoder
from omnicxr.models.layers import timestep_embedding
from omnicxr.models.refiner import Refiner, RefinerConfig
from omnicxr.pipeline import AnyToAnyPipeline
from omnicxr.training.presets import PRESETS
from omnicxr.training.stages.context import StageContext
from omnicxr.training.stages.refiner import TIME_SHIFT, TIME_SPREAD, RefinerStage


@pytest.fixture
def stage(run_folder: Path, prepared: Path) -> RefinerStage:
    data = PreparedDataset(prepared, "train")
    autoencoder = ImageAutoencoder.load(run_folder / "model" / "image_autoencoder")
    preset = PRESETS["nano"].with_values({"optimization.refiner.batch_size": "64"})
    return RefinerStage(StageContext(preset=preset, data=data, held_out=data), autoencoder=autoencoder)


def without_bias(refiner: Refiner) -> Refiner:
    """Untrained, it gives the best guess for white noise alone."""
    with torch.no_grad():
        refiner.get_parameter("last.5.bias").zero_()
    return refiner.requires_grad_(False)


def test_what_is_missing_is_measured(stage: RefinerStage, run_folder: Path, prepared: Path) -> None:
    """Against the pictures themselves, in numpy."""
    data, autoencoder = PreparedDataset(prepared, "train"), stage.autoencoder
    pictures = np.concatenate([data.images(m, data.having(m)) for m in (Modality.FRONTAL, Modality.LATERAL)])
    x = torch.from_numpy(pictures)[:, None].float() / 127.5 - 1
    with torch.no_grad():
        lost = (x - autoencoder.decode(autoencoder.encode(x))).numpy()
    assert float(stage.model.spread) == pytest.approx(float((lost**2).mean() ** 0.5), rel=0.01)
    trained = Refiner.load(run_folder / "model" / "refiner")
    torch.testing.assert_close(trained.spread, stage.model.spread)


def test_untrained_it_has_the_loss_of_white_noise(stage: RefinerStage) -> None:
    """The variance of v given u_t is 1 / (t^2 + (1 - t)^2) for u of variance 1; its mean over the training times, by
    quadrature."""
    normal = torch.linspace(-6, 6, 2001)
    t = torch.sigmoid(TIME_SPREAD * normal + TIME_SHIFT)
    density = torch.exp(-(normal**2) / 2)
    expected = float((density / (t**2 + (1 - t) ** 2)).sum() / density.sum())
    torch.manual_seed(0)
    model = without_bias(stage.model)
    losses = [float(stage.losses(model, step, 0)["loss"]) for step in range(8)]
    assert np.mean(losses) == pytest.approx(expected, rel=0.05)


@pytest.mark.slow
def test_what_is_drawn_is_as_strong_as_what_is_missing() -> None:
    """White noise in many steps stays white noise of variance 1, times the spread; pictures stay within -1..1."""
    refiner = without_bias(Refiner(RefinerConfig(latent_channels=4, channels=8, blocks=1, steps=200)))
    mean, latents = torch.zeros(8, 1, 64, 64), torch.zeros(8, 4, 8, 8)
    noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(0))
    drawn = draw(refiner, mean, latents, noise=noise)
    assert float((drawn - mean).std()) == pytest.approx(float(refiner.spread), rel=0.02)
    loud = draw(refiner, torch.ones(1, 1, 64, 64), latents[:1], noise=torch.full((1, 1, 64, 64), 9.0))
    assert loud.max() <= 1


def test_each_study_has_its_own(pipe: AnyToAnyPipeline) -> None:
    """The same latents with other random numbers are other pictures; with the same ones, the same, alone or beside
    others."""
    z = torch.zeros(1, *pipe.generator.config.latent_shape(Modality.FRONTAL))
    both = {Modality.FRONTAL: z.expand(2, -1, -1, -1)}
    first, second = pipe.decode(both, [torch.Generator().manual_seed(i) for i in (1, 2)]).frontal or []
    (alone,) = pipe.decode({Modality.FRONTAL: z}, [torch.Generator().manual_seed(2)]).frontal or []
    assert first.tobytes() != second.tobytes() == alone.tobytes()


def test_pictures_drawn_together_are_those_drawn_alone(pipe: AnyToAnyPipeline) -> None:
    """As on a GPU: each has its own generator; rounding apart."""
    z = torch.randn(
        3, *pipe.generator.config.latent_shape(Modality.LATERAL), generator=torch.Generator().manual_seed(0)
    )

    def drawn(rows: slice) -> torch.Tensor:
        rngs = [torch.Generator().manual_seed(i) for i in range(3)][rows]
        return refined(pipe.image_autoencoder, pipe.refiner, z[rows], rngs=rngs)

    torch.testing.assert_close(
        drawn(slice(0, 3)), torch.cat([drawn(slice(i, i + 1)) for i in range(3)]), rtol=0, atol=1e-4
    )


def test_folders_of_the_first_format(tmp_path: Path) -> None:
    """The network that was told of no noise, written out beside what is read: the same velocity."""
    torch.manual_seed(0)
    config = RefinerConfig(latent_channels=4, channels=8, blocks=1)
    refiner = Refiner(config).eval().requires_grad_(False)
    for p in refiner.parameters():
        p.add_(0.1 * torch.randn(p.shape))
    refiner.save(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    wide = torch.cat([weights["embed.0.weight"], torch.randn(8, 8)], 1)
    weights |= {"embed.0.weight": wide, "missing": torch.tensor([0.04, 0.05])}
    del weights["spread"]
    save_file(weights, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(asdict(config) | {"generated_noise": 0.0}))
    found = Refiner.load(tmp_path)
    t = torch.tensor([0.2, 0.7])
    told_none = torch.cat([timestep_embedding(t, 8), timestep_embedding(torch.zeros(2), 8)], 1)
    expected = torch.nn.functional.linear(told_none, wide, weights["embed.0.bias"])
    torch.testing.assert_close(found.embed[0](timestep_embedding(t, 8)), expected)
    assert float(found.spread) == pytest.approx(0.04)
    (tmp_path / "config.json").write_text(json.dumps(asdict(config) | {"generated_noise": 0.05}))
    with pytest.raises(UserError, match=r"generated_noise=0.05"):
        Refiner.load(tmp_path)
