"""Training that starts from a trained model."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from omnicxr.domain import UserError
from omnicxr.models.component import Component
from omnicxr.models.folder import model_hash, model_provenance
from omnicxr.models.image_autoencoder import ImageAutoencoder
from omnicxr.models.tokenizer import ReportTokenizer
from omnicxr.pipeline import AnyToAnyPipeline
from omnicxr.training.loop import LoopConfig
from omnicxr.training.origin import Origin
from omnicxr.training.presets import get_preset
from omnicxr.training.run import TrainingRun

NANO = get_preset("nano")


def weights(folder: Path, component: str) -> dict[str, torch.Tensor]:
    return load_file(folder / component / "model.safetensors")


def test_parameters_of_the_same_shape_are_taken_over_and_statistics_are_not(model_folder: Path) -> None:
    theirs = weights(model_folder, "image_autoencoder")
    same, wider = (
        ImageAutoencoder(NANO.image_autoencoder),
        ImageAutoencoder(replace(NANO.image_autoencoder, latent_channels=6)),
    )
    origin = Origin(model_folder)
    assert origin.initialise("image_autoencoder", same, None) == []
    last = f"encoder.{len(wider.encoder) - 1}"
    assert origin.initialise("image_autoencoder", wider, None) == ["decoder.0.weight", f"{last}.bias", f"{last}.weight"]
    for model, fits in (
        (same, lambda _: True),
        (wider, lambda name: theirs[name].shape == wider.get_parameter(name).shape),
    ):
        assert all(torch.equal(p, theirs[name]) for name, p in model.named_parameters() if fits(name))
        assert torch.equal(model.latent_mean, torch.zeros_like(model.latent_mean))
    assert not torch.equal(theirs["latent_mean"], same.latent_mean), "or the test above says nothing"


@pytest.mark.slow
def test_one_command_fine_tunes_the_generator(model_folder: Path, prepared: Path, tmp_path: Path) -> None:
    """Everything else comes from the model as it is, and one step at a small rate leaves the generator near it."""
    run = TrainingRun(
        preset=NANO.with_steps(1), loop=LoopConfig(), data=prepared, out=tmp_path, origin=Origin(model_folder)
    )
    run.train("generator")
    for component in ("image_autoencoder", "report_autoencoder", "prompts", "refiner"):
        ours, theirs = weights(tmp_path / "model", component), weights(model_folder, component)
        assert all(torch.equal(ours[k], v) for k, v in theirs.items())
    ours, theirs = weights(tmp_path / "model", "generator"), weights(model_folder, "generator")
    moved = max(float((ours[k] - v).abs().max()) for k, v in theirs.items())
    assert 0 < moved <= 1.1 * NANO.optimization["generator"].learning_rate
    assert json.loads((tmp_path / "generator" / "from.json").read_text()) == {
        "model": str(model_folder),
        "from_chance": [],
    }
    AnyToAnyPipeline.from_pretrained(tmp_path / "model")
    assert model_provenance(tmp_path / "model")["from"] == model_hash(model_folder)
    with pytest.raises(UserError, match="another from"):
        replace(run, origin=None).train("generator")


def test_weights_that_cannot_be_gone_on_from(model_folder: Path, prepared: Path, tmp_path: Path) -> None:
    origin = Origin(model_folder)
    with pytest.raises(UserError, match=r"Most of 'generator' .* other shapes"):
        TrainingRun(
            preset=NANO.with_values({"generator.width": "64"}),
            loop=LoopConfig(),
            data=prepared,
            out=tmp_path / "wide",
            origin=origin,
        ).train("generator")
    six = NANO.with_values({"image_autoencoder.latent_channels": "6"})
    with pytest.raises(
        UserError, match=r"latent_channels 4, the preset wants 6: add --set image_autoencoder.latent_channels=4"
    ):
        TrainingRun(preset=six, loop=LoopConfig(), data=prepared, out=tmp_path / "six", origin=origin).train(
            "generator"
        )
    other = ReportTokenizer.train(["heart", "lungs"], vocab_size=300, max_tokens=NANO.max_tokens)
    other.save(tmp_path / "other" / "model" / "tokenizer")
    with pytest.raises(UserError, match="another tokenizer"):
        TrainingRun(preset=NANO, loop=LoopConfig(), data=prepared, out=tmp_path / "other", origin=origin).train(
            "prompt-encoders"
        )


def test_names_of_origins(model_folder: Path, tmp_path: Path) -> None:
    bundled = Origin.named("bundled")
    assert Origin.named("") is None
    assert Origin.named(str(model_folder)) == Origin(model_folder)
    assert bundled and isinstance(bundled.component("image_autoencoder", ImageAutoencoder), Component)
    with pytest.raises(UserError, match="is not a model folder"):
        Origin.named(str(tmp_path))
