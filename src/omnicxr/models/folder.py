"""A model folder on disk: `model_index.json`, and a sub-folder for each network."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omnicxr.data.files import sha256
from omnicxr.domain import UserError
from omnicxr.models.component import WEIGHTS, Component, known_settings, read_json
from omnicxr.models.generator.network import Generator
from omnicxr.models.image_autoencoder import ImageAutoencoder
from omnicxr.models.prompt_encoders import PromptEncoders
from omnicxr.models.refiner import Refiner
from omnicxr.models.report_autoencoder import ReportAutoencoder

BUNDLED = Path(__file__).parent.parent / "bundled"
INDEX = "model_index.json"
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


def component_folder(root: Path, name: str) -> Path:
    """Where a model folder keeps a network, named as in COMPONENT_TYPES."""
    return root / ("prompts" if name == "prompt_encoders" else name)


@dataclass(frozen=True, kw_only=True)
class ModelIndex:
    """`model_index.json`: what the folder holds and how it wants to be used."""

    format: int = FORMAT
    image_size: int
    design: str = "any-to-any"
    """Which generator: the own one, or a baseline's (`pipeline.DESIGNS`)."""
    sampling: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)


def read_index(root: Path) -> ModelIndex:
    """`model_index.json` of a model folder. Raises UserError for any other folder, and for a model of another
    format."""
    if not (root / INDEX).is_file():
        raise UserError(
            f"{root} is not a model folder ({INDEX} is missing): name RUN/model of a finished run, or leave it out for"
            " the bundled one."
        )
    index = ModelIndex(**known_settings(read_json(root / INDEX), ModelIndex, root / INDEX))
    if index.format not in READABLE:
        raise UserError(
            f"{root / INDEX} has format {index.format}, this version reads {FORMAT}: use the matching version."
        )
    return index


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
