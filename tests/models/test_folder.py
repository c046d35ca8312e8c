"""A model folder is one model, whole, or it is refused in one sentence before anything is drawn."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from omnicxr.domain import UserError
from omnicxr.models.component import WEIGHTS
from omnicxr.models.folder import BUNDLED, INDEX, load_judge, read_index
from omnicxr.models.generator.network import Generator
from omnicxr.models.image_autoencoder import ImageAutoencoder
from omnicxr.models.prompt_encoders import PromptEncoders, PromptEncodersConfig
from omnicxr.models.refiner import Refiner, RefinerConfig
from omnicxr.models.report_autoencoder import ReportAutoencoder, ReportAutoencoderConfig
from omnicxr.models.tokenizer import ReportTokenizer
from omnicxr.pipeline import AnyToAnyPipeline
from omnicxr.training.presets import get_preset
from tests.conftest import Once

NANO = get_preset("nano")
Harm = Callable[[Path], object]


def tokenizer(words: str) -> ReportTokenizer:
    return ReportTokenizer.train([words] * 3, vocab_size=262, max_tokens=NANO.max_tokens)


def write_model(folder: Path) -> None:
    """Of random weights."""
    words = tokenizer("clear lungs")
    sizes: dict[str, Any] = {"vocab_size": words.vocab_size, "max_tokens": NANO.max_tokens}
    AnyToAnyPipeline(
        image_autoencoder=ImageAutoencoder(NANO.image_autoencoder),
        refiner=Refiner(RefinerConfig(latent_channels=4, channels=16)),
        report_autoencoder=ReportAutoencoder(ReportAutoencoderConfig(**sizes, **asdict(NANO.report_autoencoder))),
        tokenizer=words,
        prompt_encoders=PromptEncoders(
            PromptEncodersConfig(**sizes, dim=NANO.prompt_dim, image_channels=NANO.trunk_channels, image_size=64)
        ),
        generator=Generator(NANO.generator_config()),
        guide=Generator(NANO.guide_config()),
        image_size=64,
    ).save_pretrained(folder)


@pytest.fixture
def folder(once: Once, tmp_path: Path) -> Path:
    return Path(shutil.copytree(once("random-model", write_model), tmp_path / "model"))


def settings(file: str, **values: Any) -> Harm:
    """Settings changed, those that are ... taken out."""

    def harm(folder: Path) -> None:
        changed = json.loads((folder / file).read_text()) | values
        (folder / file).write_text(json.dumps({k: v for k, v in changed.items() if v is not ...}))

    return harm


def text(file: str, written: str) -> Harm:
    return lambda folder: (folder / file).write_text(written)


def weights(component: str, change: Callable[[Tensor], Tensor]) -> Harm:
    def harm(folder: Path) -> None:
        path = folder / component / WEIGHTS
        state = load_file(path)
        name = max(k for k, v in state.items() if v.numel() > 1)
        save_file(state | {name: change(state[name]).contiguous()}, path)

    return harm


def filled(value: float) -> Callable[[Tensor], Tensor]:
    return lambda old: old.index_fill(0, torch.tensor([0]), value)


def special(file: str, make: Callable[[Path], object]) -> Harm:
    def harm(folder: Path) -> None:
        (folder / file).unlink()
        make(folder / file)

    return harm


def pipe(path: Path) -> None:
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def other_tokenizer(folder: Path) -> None:
    tokenizer("heart size").save(folder / "tokenizer")


def old_other_tokenizer(folder: Path) -> None:
    """Without a fingerprint the number of words still tells."""
    shutil.copy(BUNDLED / "tokenizer" / "tokenizer.json", folder / "tokenizer" / "tokenizer.json")
    settings(INDEX, tokenizer=...)(folder)


HARM = {
    "index-null": (text(INDEX, "null"), "holds no JSON object"),
    "index-list": (text(INDEX, "[]"), "holds no JSON object"),
    "index-deep": (text(INDEX, "[" * 100_000), "damaged"),
    "index-empty": (text(INDEX, "{}"), "'image_size' is missing"),
    "size-0": (settings(INDEX, image_size=0), "image_size is 0: give a whole number from 32"),
    "size-65": (settings(INDEX, image_size=65), "not one model .image_size of model_index.json is 65"),
    "size-text": (settings(INDEX, image_size="64"), "image_size is '64'"),
    "size-huge": (settings(INDEX, image_size=10**9), "image_size is 1000000000"),
    "design": (settings(INDEX, design="x"), "design is 'x': give one of"),
    "format": (settings(INDEX, format=[]), r"has format \[\]"),
    "sampling-null": (settings(INDEX, sampling=None), "sampling is None"),
    "sampling-text": (settings(INDEX, sampling={"num_inference_steps": "x"}), "num_inference_steps is 'x'"),
    "sampling-old": (settings(INDEX, sampling={"guidance_interval": [1]}), r"guidance_interval=\[1\]"),
    "nan": (settings("generator/config.json", depth=float("nan")), "NaN is no number"),
    "depth": (settings("generator/config.json", depth=10**7), "depth is 10000000: give a whole number from 1 to 256"),
    "depth-float": (settings("generator/config.json", depth=2.5), "depth is 2.5"),
    "null": (settings("report_autoencoder/config.json", latent_channels=None), "latent_channels is None"),
    "missing": (settings("report_autoencoder/config.json", vocab_size=...), "'vocab_size' is missing"),
    "larger": (settings("generator/config.json", width=8192, depth=256), "the network has more"),
    "smaller": (settings("generator/config.json", width=16), "does not fit its config.json .shape of"),
    "empty": (text("refiner/config.json", "{}"), "does not fit its config.json"),
    "weights-nan": (weights("prompts", filled(float("nan"))), "not finite"),
    "weights-inf": (weights("generator", filled(float("inf"))), "not finite"),
    "weights-huge": (weights("generator", lambda old: old.double() + 1e300), "not finite"),
    "weights-int": (weights("refiner", lambda old: old.int()), "have torch.int32"),
    "weights-shape": (weights("guide", lambda old: old[:1]), "does not fit its config.json .shape of"),
    "pipe": (special("generator/model.safetensors", pipe), "no plain file"),
    "device": (special("generator/config.json", endless), "no plain file"),
    "folder": (special("tokenizer/tokenizer.json", Path.mkdir), "no plain file"),
    "tokenizer-list": (text("tokenizer/tokenizer.json", "[]"), "holds no JSON object"),
    "tokenizer-other": (other_tokenizer, "not the tokenizer that this model was trained with"),
    "tokenizer-old": (old_other_tokenizer, "not one model .report_autoencoder.vocab_size is"),
    "other-latents": (
        lambda f: shutil.rmtree(f / "refiner") or write_refiner(f / "refiner"),
        "not one model .image_auto",
    ),
}


def write_refiner(folder: Path) -> None:
    Refiner(RefinerConfig(latent_channels=8, channels=8)).save(folder)


@pytest.mark.parametrize("name", HARM)
def test_what_is_not_one_whole_model_is_refused(folder: Path, name: str) -> None:
    harm, said = HARM[name]
    harm(folder)
    with pytest.raises(UserError, match=said) as caught:
        AnyToAnyPipeline.from_pretrained(folder)
    assert str(folder) in str(caught.value)


def test_a_whole_model_is_read_with_and_without_a_fingerprint(folder: Path) -> None:
    assert AnyToAnyPipeline.from_pretrained(folder).image_size == 64
    settings(INDEX, tokenizer=...)(folder)
    assert AnyToAnyPipeline.from_pretrained(folder).image_size == 64


def test_the_bundled_model_knows_its_tokenizer() -> None:
    own = ReportTokenizer.load(BUNDLED / "tokenizer", max_tokens=96)
    assert read_index(BUNDLED).tokenizer == own.fingerprint != tokenizer("clear lungs").fingerprint
    load_judge(BUNDLED, own)
    with pytest.raises(UserError, match=r"not one model .judge\.vocab_size is 622"):
        load_judge(BUNDLED, tokenizer("clear lungs"))


def test_weights_that_overflow_are_noticed(folder: Path) -> None:
    model = AnyToAnyPipeline.from_pretrained(folder)
    model.generator.streams["frontal"].head.bias.fill_(3e38)  # type: ignore[union-attr]
    model.generator.streams["frontal"].local.after[-1].weight.fill_(3e38)  # type: ignore[union-attr,index]
    with pytest.raises(UserError, match="no finite numbers"):
        model(report="Clear lungs.", generate=["frontal"], num_inference_steps=1)


def test_devices_that_are_not_there(folder: Path) -> None:
    for device in ("tpu", "meta", "cuda:99", ""):
        with pytest.raises(UserError, match="device"):
            AnyToAnyPipeline.from_pretrained(folder, device=device)
