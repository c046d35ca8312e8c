"""Starting from a trained model instead of from chance: fine-tuning, and networks that change in part."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from omnicxr.domain import UserError
from omnicxr.models.component import CONFIG, WEIGHTS, Component, read_config, read_weights
from omnicxr.models.folder import BUNDLED, component_folder, model_hash, read_index
from omnicxr.models.generator.network import Generator, GeneratorConfig
from omnicxr.models.image_autoencoder import ImageAutoencoder, ImageAutoencoderConfig, more_pixels
from omnicxr.models.tokenizer import ReportTokenizer

READS_REPORTS = ("report-autoencoder", "prompt-encoders", "judge")
"""Stages whose weights are of no use with another tokenizer."""


def component_of(stage: str) -> str:
    """Stage => the network that it trains, named as in COMPONENT_TYPES."""
    return stage.replace("-", "_")


@dataclass(frozen=True)
class Origin:
    """The model folder that training starts from."""

    folder: Path

    @classmethod
    def named(cls, name: str) -> Origin | None:
        """A model folder, "bundled" for the one that comes with the package, or "" for none.

        Raises UserError for any other folder, and for a model of another format.
        """
        if not name:
            return None
        folder = BUNDLED if name == "bundled" else Path(name)
        read_index(folder)
        return cls(folder)

    @cached_property
    def hash(self) -> str:
        return model_hash(self.folder)

    def tokenizer(self, max_tokens: int) -> ReportTokenizer:
        return ReportTokenizer.load(self.folder / "tokenizer", max_tokens=max_tokens)

    def component(self, stage: str, kind: Any) -> Any:
        """The trained network of a stage, as it is."""
        return kind.load(component_folder(self.folder, component_of(stage)))

    def take_over(self, stage: str, model: Component, tokenizer: ReportTokenizer | None) -> list[str]:
        """Copy into `model` every parameter that has the same name and shape here; returns the names of those that
        start anew.

        Buffers are not copied: they are statistics, worked out on the data at hand. An image autoencoder for larger
        pictures begins as the one it comes from on pictures averaged down. A deeper generator begins as good as the one
        it comes from, and so does one that gets principal axes, without trust in them. Raises UserError if less than
        half of the network fits, for a generator that would lose its principal axes or layers, and for weights that go
        with another tokenizer than the run's, which is given for stages that read reports.
        """
        if tokenizer and tokenizer.tokenizer.to_str() != self.tokenizer(tokenizer.max_tokens).tokenizer.to_str():
            raise UserError(
                f"{self.folder} reads reports with another tokenizer than this run: train '{stage}' without --from."
            )
        theirs, ours = (
            read_weights(component_folder(self.folder, component_of(stage)) / WEIGHTS),
            dict(model.named_parameters()),
        )
        if isinstance(model, ImageAutoencoder):
            theirs = self._for_pictures_of(model.config, theirs)
        fitting = {name for name, p in ours.items() if name in theirs and theirs[name].shape == p.shape}
        if 2 * sum(ours[name].numel() for name in fitting) < sum(p.numel() for p in ours.values()):
            raise UserError(
                f"Most of '{stage}' in {self.folder} has other shapes than the preset wants: choose the preset it was"
                " trained with."
            )
        if isinstance(model, Generator):
            their_config = self._config("generator", GeneratorConfig)
            theirs_axes = their_config.principal_axes
            if theirs_axes and not model.config.principal_axes:
                raise UserError(
                    f"The generator in {self.folder} counts from principal axes: train with --set"
                    f" principal_axes={theirs_axes}."
                )
            if not theirs_axes:
                model.distrust_axes()
            if (layers := their_config.depth) > model.config.depth:
                raise UserError(
                    f"The generator in {self.folder} has {layers} layers: train with --set generator_depth={layers}."
                )
            model.silence_layers(layers)
        with torch.no_grad():
            for name in fitting:
                ours[name].copy_(theirs[name])
        return sorted(set(ours) - fitting)

    def _config(self, stage: str, kind: Any) -> Any:
        """The sizes of a stage's network."""
        return kind(**read_config(component_folder(self.folder, component_of(stage)) / CONFIG, kind))

    def _for_pictures_of(self, wanted: ImageAutoencoderConfig, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """The image autoencoder's weights for more pixels per latent, if that is what is wanted."""
        old, new = self._config("image-autoencoder", ImageAutoencoderConfig).pixels_per_latent, wanted.pixels_per_latent
        return more_pixels(weights, old, new) if new > old and new % old == 0 else weights
