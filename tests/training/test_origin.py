"""Training that starts from a trained model."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from omnicxr.domain import Modality, UserError
from omnicxr.models.component import Component
from omnicxr.models.folder import model_hash, model_provenance
from omnicxr.models.generator.network import Generator
from omnicxr.models.image_autoencoder import ImageAutoencoder
from omnicxr.models.tokenizer import ReportTokenizer
from omnicxr.pipeline import AnyToAnyPipeline
from omnicxr.training.config import get_preset
from omnicxr.training.loop import LoopConfig
from omnicxr.training.origin import Origin
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
    assert origin.take_over("image-autoencoder", same, None) == []
    last = f"encoder.{len(wider.encoder) - 1}"
    assert origin.take_over("image-autoencoder", wider, None) == ["decoder.0.weight", f"{last}.bias", f"{last}.weight"]
    for model, fits in (
        (same, lambda _: True),
        (wider, lambda name: theirs[name].shape == wider.get_parameter(name).shape),
    ):
        assert all(torch.equal(p, theirs[name]) for name, p in model.named_parameters() if fits(name))
        assert torch.equal(model.latent_mean, torch.zeros_like(model.latent_mean))
    assert not torch.equal(theirs["latent_mean"], same.latent_mean), "or the test above says nothing"


def test_one_command_fine_tunes_the_generator(model_folder: Path, prepared: Path, tmp_path: Path) -> None:
    """Everything else comes from the model as it is, and one step at a small rate leaves the generator near it."""
    run = TrainingRun(NANO.with_steps(1), LoopConfig(), prepared, tmp_path, Origin(model_folder))
    run.train("generator")
    for component in ("image_autoencoder", "report_autoencoder", "prompts", "refiner"):
        ours, theirs = weights(tmp_path / "model", component), weights(model_folder, component)
        assert all(torch.equal(ours[k], v) for k, v in theirs.items())
    ours, theirs = weights(tmp_path / "model", "generator"), weights(model_folder, "generator")
    moved = max(float((ours[k] - v).abs().max()) for k, v in theirs.items())
    assert 0 < moved <= 1.1 * NANO.optimization["generator"].learning_rate
    assert json.loads((tmp_path / "generator" / "from.json").read_text()) == {"model": str(model_folder), "anew": []}
    AnyToAnyPipeline.from_pretrained(tmp_path / "model")
    assert model_provenance(tmp_path / "model")["from"] == model_hash(model_folder)
    with pytest.raises(UserError, match="another from"):
        replace(run, origin=None).train("generator")


def test_a_generator_that_gets_principal_axes_begins_as_good_as_the_one_it_comes_from(model_folder: Path) -> None:
    """Whatever the axes tell: it gives the same, until it learns to see and trust them."""
    old = Generator.load(model_folder / "generator")
    new = Generator(NANO.with_values({"principal_axes": "8"}).generator_config())
    anew = Origin(model_folder).take_over("generator", new, None)
    assert anew == [
        f"streams.{m}.axes.{part}.{kind}"
        for m in ("frontal", "lateral")
        for part in ("see", "trust")
        for kind in ("bias", "weight")
    ]
    with torch.no_grad():
        for m in Modality:
            ours, theirs = new.stream(m).preconditioner, old.stream(m).preconditioner
            assert ours and theirs
            for name in ("mean", "std"):
                ours.get_buffer(name).copy_(theirs.get_buffer(name))
            if m.is_image:
                ours.get_buffer("axis_std").mul_(3)
                ours.get_buffer("regression").normal_()
        x = {m: torch.randn(3, *old.config.latent_shape(m)) for m in Modality}
        t, prompt = torch.tensor([0.1, 0.5, 1.0]), torch.randn(3, old.config.prompt_dim)
        task = (
            {Modality.REPORT: x[Modality.REPORT]},
            {Modality.FRONTAL: x[Modality.FRONTAL]},
            {Modality.FRONTAL: t},
            prompt,
        )
        before, untrusted = old(*task).velocity[Modality.FRONTAL], new(*task).velocity[Modality.FRONTAL]
        torch.testing.assert_close(untrusted, before)
        axes = new.stream(Modality.FRONTAL).axes
        assert axes
        axes.trust.bias.fill_(1)
        assert (new(*task).velocity[Modality.FRONTAL] - before).abs().mean() > 0.1, "or the test above says nothing"


def test_trust_in_principal_axes_is_learned(model_folder: Path, prepared: Path, tmp_path: Path) -> None:
    """From none, within a few steps; a run that goes on from there keeps it."""
    preset = NANO.with_values({"principal_axes": "8", "optimization.generator.learning_rate": "0.002"})
    TrainingRun(preset, LoopConfig(), prepared, tmp_path / "first", Origin(model_folder)).train("generator")
    found = weights(tmp_path / "first" / "model", "generator")["streams.frontal.axes.trust.bias"]
    assert 0.005 < found.item() < 1
    with pytest.raises(UserError, match="train with --set principal_axes=8"):
        TrainingRun(
            NANO.with_steps(1), LoopConfig(), prepared, tmp_path / "none", Origin(tmp_path / "first" / "model")
        ).train("generator")
    TrainingRun(
        preset.with_steps(1), LoopConfig(), prepared, tmp_path / "then", Origin(tmp_path / "first" / "model")
    ).train("generator")
    kept = weights(tmp_path / "then" / "model", "generator")["streams.frontal.axes.trust.bias"]
    assert abs(kept - found).item() < 0.004


def test_an_autoencoder_for_larger_pictures_begins_as_the_one_it_comes_from(model_folder: Path) -> None:
    """On pictures averaged down, whose reconstruction it writes with every pixel several times."""
    old = ImageAutoencoder.load(model_folder / "image_autoencoder")
    for times in (2, 3):
        new = ImageAutoencoder(replace(NANO.image_autoencoder, pixels_per_latent=8 * times))
        assert Origin(model_folder).take_over("image-autoencoder", new, None) == []
        x = torch.rand(2, 1, 64 * times, 64 * times) * 2 - 1
        with torch.no_grad():
            small = F.avg_pool2d(x, times)
            for ours, theirs in zip(new.moments(x), old.moments(small), strict=True):
                torch.testing.assert_close(ours, theirs)
            z = old.moments(small)[0]
            torch.testing.assert_close(new.decode_raw(z), F.interpolate(old.decode_raw(z), scale_factor=times))


def test_a_deeper_generator_begins_as_the_one_it_comes_from(model_folder: Path) -> None:
    old = Generator.load(model_folder / "generator")
    new = Generator(NANO.with_values({"generator_depth": "4"}).generator_config())
    anew = Origin(model_folder).take_over("generator", new, None)
    assert anew and all(name.split(".")[3] in ("2", "3") for name in anew)
    new.load_state_dict(dict(old.named_buffers()), strict=False)
    x = {m: torch.randn(3, *old.config.latent_shape(m)) for m in Modality}
    t = {m: torch.tensor([0.1, 0.5, 1.0]) for m in Modality}
    task = ({Modality.FRONTAL: x.pop(Modality.FRONTAL)}, x, t, torch.randn(3, old.config.prompt_dim))
    with torch.no_grad():
        before, after = old(*task).velocity, new(*task).velocity
        for m in x:
            torch.testing.assert_close(after[m], before[m])
        torch.nn.init.normal_(new.layer(Modality.LATERAL, 3).out.weight)
        assert (new(*task).velocity[Modality.LATERAL] - before[Modality.LATERAL]).abs().max() > 0, (
            "or the test above says nothing"
        )
    with pytest.raises(UserError, match="has 2 layers: train with --set generator_depth=2"):
        Origin(model_folder).take_over(
            "generator", Generator(NANO.with_values({"generator_depth": "1"}).generator_config()), None
        )


def test_a_model_goes_on_with_more_pixels_per_latent(model_folder: Path, prepared: Path, tmp_path: Path) -> None:
    """A model goes on with half as many latents along each side of a picture; the generator asks for such an
    autoencoder first."""
    half = NANO.with_steps(1).with_values({"image_autoencoder.pixels_per_latent": "16"})
    run = TrainingRun(half, LoopConfig(), prepared, tmp_path, Origin(model_folder))
    with pytest.raises(
        UserError, match=r"pixels_per_latent 8, the preset wants 16.*or train the stage 'image-autoencoder' first"
    ):
        TrainingRun(half, LoopConfig(), prepared, tmp_path / "other", Origin(model_folder)).train("generator")
    for stage in ("image-autoencoder", "refiner", "generator"):
        run.train(stage)
    pipe = AnyToAnyPipeline.from_pretrained(tmp_path / "model")
    assert pipe.generator.config.latent_size == 4
    frontal = pipe(report="Clear lungs.", generate=["frontal"], num_inference_steps=2).frontal
    assert frontal and frontal[0].size == (64, 64)


def test_a_decoder_alone_is_trained_on_and_latents_stay(model_folder: Path, prepared: Path, tmp_path: Path) -> None:
    """Encoder and the statistics of the latents keep every bit, so that the generator still fits; pictures come back
    better for the decoder."""
    preset = NANO.with_values({"image_decoder_only": "true", "optimization.image-autoencoder.learning_rate": "0.002"})
    run = TrainingRun(preset, LoopConfig(), prepared, tmp_path / "run", Origin(model_folder))
    run.train("image-autoencoder")
    ours, theirs = weights(tmp_path / "run" / "model", "image_autoencoder"), weights(model_folder, "image_autoencoder")
    kept = {name for name, value in theirs.items() if torch.equal(ours[name], value)}
    assert kept == {name for name in theirs if not name.startswith("decoder.")}
    losses = [
        json.loads(line) for line in (tmp_path / "run" / "image-autoencoder" / "metrics.jsonl").read_text().splitlines()
    ]
    assert losses[-1]["l1"] < losses[0]["l1"]
    assert "kl" not in losses[0]
    with pytest.raises(UserError, match="add --from MODEL"):
        TrainingRun(preset, LoopConfig(), prepared, tmp_path / "chance").train("image-autoencoder")
    six = preset.with_values({"image_autoencoder.latent_channels": "6"})
    with pytest.raises(UserError, match="other sizes than the preset wants"):
        TrainingRun(six, LoopConfig(), prepared, tmp_path / "six", Origin(model_folder)).train("image-autoencoder")


def test_weights_that_cannot_be_gone_on_from(model_folder: Path, prepared: Path, tmp_path: Path) -> None:
    origin = Origin(model_folder)
    with pytest.raises(UserError, match=r"Most of 'generator' .* other shapes"):
        TrainingRun(
            NANO.with_values({"generator_width": "64"}), LoopConfig(), prepared, tmp_path / "wide", origin
        ).train("generator")
    six = NANO.with_values({"image_autoencoder.latent_channels": "6"})
    with pytest.raises(
        UserError, match=r"latent_channels 4, the preset wants 6: add --set image_autoencoder.latent_channels=4"
    ):
        TrainingRun(six, LoopConfig(), prepared, tmp_path / "six", origin).train("generator")
    other = ReportTokenizer.train(["heart", "lungs"], vocab_size=300, max_tokens=NANO.max_tokens)
    other.save(tmp_path / "other" / "model" / "tokenizer")
    with pytest.raises(UserError, match="another tokenizer"):
        TrainingRun(NANO, LoopConfig(), prepared, tmp_path / "other", origin).train("prompt-encoders")


def test_names_of_origins(model_folder: Path, tmp_path: Path) -> None:
    bundled = Origin.named("bundled")
    assert Origin.named("") is None
    assert Origin.named(str(model_folder)) == Origin(model_folder)
    assert bundled and isinstance(bundled.component("image-autoencoder", ImageAutoencoder), Component)
    with pytest.raises(UserError, match="is not a model folder"):
        Origin.named(str(tmp_path))
