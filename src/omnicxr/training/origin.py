"""Starting from a trained model instead of from chance: fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from omnicxr.domain import UserError
from omnicxr.models.component import CONFIG, WEIGHTS, Component, read_json, read_weights
from omnicxr.models.folder import BUNDLED, component_folder, load_tokenizer, model_hash, read_index
from omnicxr.models.tokenizer import ReportTokenizer


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
        """Of the weights."""
        return model_hash(self.folder)

    def tokenizer(self, max_tokens: int) -> ReportTokenizer:
        """The model's tokenizer, cutting reports at `max_tokens`."""
        return load_tokenizer(self.folder, max_tokens=max_tokens)

    def component(self, name: str, kind: Any) -> Any:
        """A trained network as it is, named as in COMPONENT_TYPES."""
        return kind.load(component_folder(self.folder, name))

    def initialise(self, name: str, model: Component, tokenizer: ReportTokenizer | None) -> list[str]:
        """Copy into `model` every parameter that has the same name and shape here; returns the names of the others.

        Buffers are not copied: they are statistics, worked out on the data at hand. Raises UserError if less than half
        of the network fits, and for weights that go with another tokenizer than the run's, which is given for networks
        that read reports.
        """
        if tokenizer and tokenizer.fingerprint != self.tokenizer(tokenizer.max_tokens).fingerprint:
            raise UserError(
                f"{self.folder} reads reports with another tokenizer than this run: train '{name}' without --from."
            )
        folder, ours = component_folder(self.folder, name), dict(model.named_parameters())
        _, theirs = model.from_older(read_json(folder / CONFIG), read_weights(folder / WEIGHTS), folder)
        fitting = {name for name, p in ours.items() if name in theirs and theirs[name].shape == p.shape}
        if 2 * sum(ours[n].numel() for n in fitting) < sum(p.numel() for p in ours.values()):
            raise UserError(
                f"Most of '{name}' in {self.folder} has other shapes than the preset wants: choose the preset it was"
                " trained with."
            )
        with torch.no_grad():
            for parameter in fitting:
                ours[parameter].copy_(theirs[parameter])
        return sorted(set(ours) - fitting)
