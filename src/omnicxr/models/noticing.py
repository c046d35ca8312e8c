"""What is noticed about the parts that are given, before anything is generated from them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from omnicxr.data.prompts import understand
from omnicxr.data.views import what_is_wrong
from omnicxr.domain import Fit, Modality, Notes, PictureNote, PromptNote, UserError
from omnicxr.models.door import FALSE_ALARMS, Door
from omnicxr.models.efficientnet import network_pictures, reader
from omnicxr.models.image_autoencoder import ImageAutoencoder
from omnicxr.models.inputs import network_input
from omnicxr.models.prompt_encoders import PromptEncoders
from omnicxr.models.radiographs import NO_RADIOGRAPH, ChestRadiographs
from omnicxr.models.tokenizer import ReportTokenizer

BATCH = 32
"""Pictures that are looked at together on a GPU; on a CPU one, so that nothing depends on how many there are."""
NO_DOOR = "the model folder holds no checks; `omnicxr train all` adds them to that of a run"


class InputWarning(UserWarning):
    """Something that is given is not what the model has learned from: what is generated means little or nothing."""


@dataclass(frozen=True, kw_only=True)
class Doorkeeper:
    """Looks at what is given, with the networks of one model."""

    door: Door | None
    autoencoder: ImageAutoencoder
    prompt_encoders: PromptEncoders
    tokenizer: ReportTokenizer

    def notice(self, given: Mapping[Modality, Sequence[Any]]) -> list[Notes]:
        """Squared uint8 pictures [s, s] and texts, each a list with one for every study => the notes of every study."""
        if not given:
            return []
        pictures = {m: self.pictures(m, np.stack(list(values))) for m, values in given.items() if m.is_image}
        prompts: list[PromptNote | None] = [None] * len(next(iter(given.values())))
        if Modality.REPORT in given and self.door is not None:
            prompts = [self.prompt(text) for text in given[Modality.REPORT]]
        notes = [
            Notes(pictures=tuple(found[i] for found in pictures.values()), prompt=prompt)
            for i, prompt in enumerate(prompts)
        ]
        return [replace(n, disagreement=self._disagreement(n, given, i)) for i, n in enumerate(notes)]

    def prompt(self, text: str) -> PromptNote:
        """How a report is understood; the model has a door."""
        assert self.door is not None
        return understand(text, self.door.vocabulary, fits=self.tokenizer.fits)

    def pictures(self, modality: Modality, pictures: np.ndarray) -> list[PictureNote]:
        """uint8 [n, s, s] => a note each."""
        size = BATCH if self.autoencoder.device.type == "cuda" else 1
        batches = [pictures[i : i + size] for i in range(0, len(pictures), size)]
        return [note for batch in batches for note in self._batch(modality, batch)]

    @torch.no_grad()
    def _batch(self, modality: Modality, pictures: np.ndarray) -> list[PictureNote]:
        x = torch.from_numpy(pictures).to(self.autoencoder.device)
        textures, features = reader(x.device).textures_and_features(network_pictures(x))
        no_chest = ChestRadiographs.pretrained().score(features.cpu()) > 1
        if self.door is None:
            notes = [PictureNote(modality=modality, fit=Fit.NOT_CHECKED, reason=NO_DOOR)] * len(x)
        else:
            notes = self.door.look(modality, x, textures=textures, autoencoder=self.autoencoder)
        return [_unusable(n, picture, bool(no)) for n, picture, no in zip(notes, pictures, no_chest, strict=True)]

    @torch.no_grad()
    def _disagreement(self, notes: Notes, given: Mapping[Modality, Sequence[Any]], study: int) -> str:
        """Only of what is known: nothing can be said of how foreign pictures or words go with others."""
        if self.door is None or notes.prompt is None or notes.fit is not Fit.AS_KNOWN:
            return ""
        text = self._embed(Modality.REPORT, notes.prompt.understood_as)
        for modality in (m for m in given if m in self.door.agreement):
            cosine = float((text * self._embed(modality, given[modality][study])).sum())
            if cosine < (least := self.door.agreement[modality]):
                return (
                    f"The {modality} view and the report do not go together and may contradict each other (cosine of"
                    f" their prompt embeddings {cosine:.2f}; {1 - FALSE_ALARMS:.0%} of known pairs have at least"
                    f" {least:.2f})."
                )
        return ""

    def _embed(self, modality: Modality, part: Any) -> torch.Tensor:
        x = network_input(modality, [part], self.tokenizer).to(self.prompt_encoders.device)
        return self.prompt_encoders.embed(modality, x)[0]


def tell(notes: Sequence[Notes], *, strict: bool, quiet: bool) -> None:
    """Say, in an InputWarning for each study, what its inputs are not fit for, unless `quiet`. Raises UserError instead
    where `strict`."""
    for i, note in enumerate(notes):
        if note.doubtful:
            study = f"Study {i}: " if len(notes) > 1 else ""
            text = study + " ".join(note.sentences())
            if strict:
                raise UserError(f"{text} Nothing was generated, as strict was asked for.")
            if not quiet:
                warnings.warn(text, InputWarning, stacklevel=5)


def as_understood(given: Mapping[Modality, list[Any]], notes: Sequence[Notes]) -> dict[Modality, list[Any]]:
    """What is given, each text as it was understood."""
    texts = given.get(Modality.REPORT, [])
    understood = [n.prompt.understood_as if n.prompt else text for text, n in zip(texts, notes, strict=False)]
    return {**given, Modality.REPORT: understood} if texts else dict(given)


def _unusable(note: PictureNote, picture: np.ndarray, no_chest: bool) -> PictureNote:
    """Not usable for what it is, whatever the model has seen."""
    reason = NO_RADIOGRAPH if no_chest else what_is_wrong(picture, note.modality)
    return replace(note, fit=Fit.NOT_USABLE, reason=reason) if reason else note
