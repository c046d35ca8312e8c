"""Training that starts from a trained model."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from omnicxr.domain import UserError
from omnicxr.models.component import Component, count_parameters
from omnicxr.models.folder import component_folder, model_hash, model_provenance
from omnicxr.models.image_autoencoder import ImageAutoencoder
from omnicxr.models.prompt_encoders import PromptEncoders, PromptEncodersConfig
from omnicxr.models.report_autoencoder import ReportAutoencoder, ReportAutoencoderConfig
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
    with pytest.raises(UserError, match="'report-autoencoder' is not trained yet"):  # theirs reads other tokens
        TrainingRun(preset=NANO, loop=LoopConfig(), data=prepared, out=tmp_path / "other", origin=origin).train(
            "generator"
        )


def test_embeddings_of_other_tokens(model_folder: Path) -> None:
    """A token that both have keeps its embedding; another one has the mean of those that its text is cut into."""
    reports = ["granulomatous change in the left apex"] * 3
    old = Origin(model_folder).tokenizer(NANO.max_tokens)
    new = ReportTokenizer.train(reports, vocab_size=400, max_tokens=80)
    theirs = weights(model_folder, "report_autoencoder")
    sizes = {k: v for k, v in vars(ReportAutoencoder.load(model_folder / "report_autoencoder").config).items()}
    ours = ReportAutoencoder(ReportAutoencoderConfig(**sizes | {"vocab_size": new.vocab_size, "max_tokens": 80}))
    last = ours.position[-1].detach().clone()
    assert Origin(model_folder).initialise("report_autoencoder", ours, new) == []
    for name, new_id in new.tokenizer.get_vocab().items():
        ids = [old.tokenizer.token_to_id(piece) for piece in pieces(name, old.tokenizer.get_vocab())]
        for table in ("embed.weight", "trunk.embed.weight"):
            assert torch.allclose(ours.get_parameter(table)[new_id], theirs[table][ids].mean(0), atol=1e-6), name
    assert any(len(pieces(name, old.tokenizer.get_vocab())) > 2 for name in new.tokenizer.get_vocab())
    known = theirs["position"].shape[0]
    assert torch.equal(ours.position[:known], theirs["position"])
    assert len(ours.position) > known and torch.equal(ours.position[-1], last)


def pieces(text: str, known: dict[str, int]) -> list[str]:
    """The longest known beginnings of a text, one after the other."""
    out: list[str] = []
    while text:
        end = max(n for n in range(1, len(text) + 1) if text[:n] in known)
        out.append(text[:end])
        text = text[end:]
    return out


def test_a_run_may_have_words_of_its_own(model_folder: Path, prepared: Path, tmp_path: Path) -> None:
    runs = {
        name: TrainingRun(
            preset=NANO.with_steps(1).with_values({"vocab_size": "300"}),
            loop=LoopConfig(),
            data=prepared,
            out=tmp_path / name,
            origin=Origin(model_folder),
            new_tokenizer=name == "own",
        )
        for name in ("own", "theirs")
    }
    for run in runs.values():
        run.train("report-autoencoder")
    own, theirs = (ReportTokenizer.load(run.out / "model" / "tokenizer", max_tokens=64) for run in runs.values())
    assert own.vocab_size == 300
    assert theirs.fingerprint == Origin(model_folder).tokenizer(64).fingerprint != own.fingerprint


def test_another_kind_of_image_trunk_takes_over_what_reads_reports(tmp_path: Path) -> None:
    """However large the part that reads pictures is; a text trunk of another size does not go together."""
    sizes = {"dim": 6, "vocab_size": 320, "max_tokens": 8, "text_width": 8, "text_depth": 1, "text_heads": 2}
    theirs = PromptEncoders(PromptEncodersConfig(image_channels=(8,), **sizes))
    theirs.save(component_folder(tmp_path, "prompt_encoders"))
    origin, ours = Origin(tmp_path), PromptEncoders(PromptEncodersConfig(image_trunk="imagenet", **sizes))
    pictures = [f"project.{m}.{kind}" for m in ("frontal", "lateral") for kind in ("bias", "weight")]
    reads_reports = {name: p for name, p in ours.named_parameters() if name not in pictures}
    assert count_parameters(ours) > 2 * sum(p.numel() for p in reads_reports.values())
    assert origin.initialise("prompt_encoders", ours, None) == pictures
    assert all(torch.equal(p, theirs.get_parameter(name)) for name, p in reads_reports.items())
    with pytest.raises(UserError, match=r"Most of 'prompt_encoders' .* other shapes"):
        wide = replace(ours.config, text_width=64)
        origin.initialise("prompt_encoders", PromptEncoders(wide), None)


def test_names_of_origins(model_folder: Path, tmp_path: Path) -> None:
    bundled = Origin.named("bundled")
    assert Origin.named("") is None
    assert Origin.named(str(model_folder)) == Origin(model_folder)
    assert bundled and isinstance(bundled.component("image_autoencoder", ImageAutoencoder), Component)
    with pytest.raises(UserError, match="is not a model folder"):
        Origin.named(str(tmp_path))
