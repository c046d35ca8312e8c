"""Starting from a trained model instead of from chance: fine-tuning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from omnicxr.domain import UserError
from omnicxr.models.component import CONFIG, WEIGHTS, Component, read_json, read_weights
from omnicxr.models.folder import BUNDLED, component_folder, load_tokenizer, model_hash, read_index
from omnicxr.models.tokenizer import ReportTokenizer
from omnicxr.models.trunks import Trunks


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

        Buffers are not copied: they are statistics, worked out on the data at hand. Where image trunks are of another
        kind, what reads pictures stays as it is. `tokenizer`, the run's, is given for networks that read reports: where
        it is another one, embeddings go by the text of the tokens (`of_other_tokens`). Raises UserError if less than
        half of the rest of the network fits.
        """
        folder, ours = component_folder(self.folder, name), dict(model.named_parameters())
        settings, theirs = model.from_older(read_json(folder / CONFIG), read_weights(folder / WEIGHTS), folder)
        if tokenizer:
            theirs = of_other_tokens(theirs, self.tokenizer(tokenizer.max_tokens), tokenizer, ours=ours)
        comparable = ours.keys() - (model.apart_from(settings) if isinstance(model, Trunks) else set())
        fitting = {name for name in comparable if name in theirs and theirs[name].shape == ours[name].shape}
        if 2 * sum(ours[n].numel() for n in fitting) < sum(ours[n].numel() for n in comparable):
            raise UserError(
                f"Most of '{name}' in {self.folder} has other shapes than the preset wants: choose the preset it was"
                " trained with."
            )
        with torch.no_grad():
            for parameter in fitting:
                ours[parameter].copy_(theirs[parameter])
        return sorted(set(ours) - fitting)


def of_other_tokens(
    theirs: Mapping[str, Tensor], old: ReportTokenizer, new: ReportTokenizer, *, ours: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Weights that go with the tokenizer `old` => for networks that read with `new`, which have the weights `ours`.

    The embedding of a token is the mean of those of the old tokens that its text is cut into, as in vocabulary
    transfer (Gee et al. 2022); positions that the old network does not have stay as they are in `ours`.
    """
    pieces = old.pieces_of(new) if old.fingerprint != new.fingerprint else None
    out = dict(theirs)
    for name, value in theirs.items():
        if pieces and name.endswith("embed.weight") and len(value) == old.vocab_size:
            out[name] = torch.stack([value[ids].mean(0) for ids in pieces])
        elif name.endswith("position") and name in ours and ours[name].shape[1:] == value.shape[1:]:
            positions = ours[name].detach().clone()
            least = min(len(positions), len(value))
            positions[:least] = value[:least]
            out[name] = positions
    return out
