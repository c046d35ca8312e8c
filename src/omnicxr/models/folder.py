"""A model folder on disk: `model_index.json`, and a sub-folder for each network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from omnicxr.data.files import sha256
from omnicxr.domain import UserError
from omnicxr.domain.settings import Between, ImageSize, Settings, build, check, shown
from omnicxr.models.component import REMEDY, WEIGHTS, Component, read_json
from omnicxr.models.generator.network import Generator
from omnicxr.models.image_autoencoder import ImageAutoencoder
from omnicxr.models.judge import Judge
from omnicxr.models.prompt_encoders import PromptEncoders
from omnicxr.models.refiner import Refiner
from omnicxr.models.report_autoencoder import ReportAutoencoder
from omnicxr.models.tokenizer import ReportTokenizer

BUNDLED = Path(__file__).parent.parent / "bundled"
INDEX = "model_index.json"
Design = Literal["any-to-any", "published"]
FORMAT, READABLE = 3, (2, 3)
"""Format 2 has settings of designs that are gone, and weights of a contrastive term (`Component.from_older`)."""

COMPONENT_TYPES: dict[str, type[Component]] = {
    "image_autoencoder": ImageAutoencoder,
    "refiner": Refiner,
    "report_autoencoder": ReportAutoencoder,
    "prompt_encoders": PromptEncoders,
    "generator": Generator,
    "guide": Generator,
}
OPTIONAL = ("guide",)
SAME = (
    ("image_autoencoder.latent_channels", "refiner.latent_channels", "generator.image_channels"),
    ("report_autoencoder.latent_tokens", "generator.report_tokens"),
    ("report_autoencoder.latent_channels", "generator.report_channels"),
    ("report_autoencoder.vocab_size", "prompt_encoders.vocab_size"),
    ("report_autoencoder.max_tokens", "prompt_encoders.max_tokens"),
    ("prompt_encoders.dim", "generator.prompt_dim"),
    *(
        (f"generator.{name}", f"guide.{name}")
        for name in ("image_channels", "latent_size", "report_tokens", "report_channels", "prompt_dim")
    ),
)
"""Settings of different networks that are equal in every model."""


def component_folder(root: Path, name: str) -> Path:
    """Where a model folder keeps a network, named as in COMPONENT_TYPES."""
    return root / ("prompts" if name == "prompt_encoders" else name)


@dataclass(frozen=True, kw_only=True)
class ModelIndex(Settings):
    """`model_index.json`: what the folder holds and how it wants to be used."""

    format: Annotated[int, Between(min(READABLE), max(READABLE))] = FORMAT
    image_size: ImageSize
    design: Design = "any-to-any"
    """Which generator: the own one, or a baseline's (`pipeline.DESIGNS`)."""
    tokenizer: str = ""
    """Fingerprint of the tokenizer that the networks were trained with; folders of earlier versions say nothing."""
    sampling: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)


def read_index(root: Path) -> ModelIndex:
    """`model_index.json` of a model folder. Raises UserError for any other folder, and for a model of another
    format."""
    check("The model folder", root, Path)
    if not (root / INDEX).is_file():
        raise UserError(
            f"{root} is not a model folder ({INDEX} is missing): name RUN/model of a finished run, or leave it out for"
            " the bundled one."
        )
    values = read_json(root / INDEX)
    if (found := values.get("format", FORMAT)) not in READABLE:
        raise UserError(
            f"{root / INDEX} has format {shown(found)}, this version reads {FORMAT}: use the matching version."
        )
    return build(ModelIndex, values, root / INDEX)


def components_of(root: Path) -> list[str]:
    """Those that a model folder must have, and those of the others that it has."""
    return [name for name in COMPONENT_TYPES if name not in OPTIONAL or component_folder(root, name).is_dir()]


def model_hash(folder: Path | None = None) -> str:
    """SHA-256 over the weight files of a model folder. Raises UserError naming one that is missing."""
    root = folder or BUNDLED
    files = [component_folder(root, name) / WEIGHTS for name in components_of(root)]
    if missing := [f for f in files if not f.is_file()]:
        raise UserError(f"The weights {missing[0]} are missing: get the model folder again.")
    return sha256(*files)


def model_provenance(folder: Path | None = None) -> dict[str, Any]:
    """How the model was made, from its `model_index.json`."""
    return read_index(folder or BUNDLED).provenance


def load_tokenizer(root: Path, *, max_tokens: int) -> ReportTokenizer:
    """The tokenizer of a model folder, cutting reports at `max_tokens`. Raises UserError for that of another model."""
    tokenizer = ReportTokenizer.load(root / "tokenizer", max_tokens=max_tokens)
    if read_index(root).tokenizer not in ("", tokenizer.fingerprint):
        raise UserError(f"{root / 'tokenizer'} is not the tokenizer that this model was trained with: {REMEDY}.")
    return tokenizer


def load_judge(root: Path, tokenizer: ReportTokenizer) -> Judge:
    """The judge of a model folder. Raises UserError for one that reads reports with another tokenizer."""
    judge = Judge.load(root / "judge")
    _check_same(root, {"judge.vocab_size": judge.config.vocab_size, "tokenizer": tokenizer.vocab_size})
    return judge


def check_parts(root: Path, parts: Mapping[str, Component], *, image_size: int, tokenizer: ReportTokenizer) -> None:
    """Raises UserError where the networks, each whole by itself, are not of one model.

    parts: named as in COMPONENT_TYPES.
    """
    known = {f"{name}.{key}": value for name, part in parts.items() for key, value in vars(part.config).items()}
    for same in SAME:
        _check_same(root, {name: known[name] for name in same if name in known})
    pixels = known["generator.latent_size"] * known["image_autoencoder.pixels_per_latent"]
    _check_same(root, {"image_size of model_index.json": image_size, "pixels of the generator's latents": pixels})
    words = known["report_autoencoder.vocab_size"]
    _check_same(root, {"report_autoencoder.vocab_size": words, "tokenizer": tokenizer.vocab_size})


def _check_same(root: Path, values: Mapping[str, int]) -> None:
    (first, wanted), *others = values.items()
    for name, value in others:
        if value != wanted:
            raise UserError(f"{root} is not one model ({first} is {wanted}, {name} {value}): {REMEDY}.")
