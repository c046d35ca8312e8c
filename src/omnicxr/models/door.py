"""The door of a model: what it can say of pictures, and of pictures beside reports, before anything is generated.

What a model has seen is known from its own training studies, and where its limits lie from its own validation studies,
so that a limit is passed by `FALSE_ALARMS` of them; `omnicxr.training.door` works both out at the end of training.
docs/door.md has the reasons and the figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from omnicxr.data.files import whole_file, write_json
from omnicxr.data.vocabulary import Vocabulary
from omnicxr.domain import Fit, Modality, PictureNote, UserError
from omnicxr.models.component import REMEDY, WEIGHTS, read_json, read_weights, save_tensors
from omnicxr.models.efficientnet import TEXTURES
from omnicxr.models.image_autoencoder import ImageAutoencoder, pixels_from_uint8

FOLDER, FILE = "door", "door.json"
FALSE_ALARMS = 0.02
"""Share of a model's own validation studies that a limit calls unlike."""
SHRINKAGE = 1e-3
"""Added to the variance along each direction of the standardised textures, so that no direction without any counts
for everything."""


@torch.no_grad()
def redrawing_error(autoencoder: ImageAutoencoder, pictures: UInt8[Tensor, "b s s"]) -> Float[Tensor, " b"]:
    """Logarithm of the mean square difference between the middle quarter of pictures and what the autoencoder makes of
    it: the whole says no more, and costs four times as much."""
    cell = autoencoder.config.pixels_per_latent
    side = max(pictures.shape[-1] // (2 * cell), 1) * cell
    start = (pictures.shape[-1] - side) // 2
    middle = pictures[:, start : start + side, start : start + side]
    x = pixels_from_uint8(middle).to(autoencoder.device)
    return (autoencoder.decode(autoencoder.encode(x)) - x).square().mean((1, 2, 3)).clamp(min=1e-8).log()


@dataclass(frozen=True)
class Limit:
    """From a statistic to how far it is off: 0 at the median of the validation pictures, 1 at the limit."""

    median: float
    limit: float

    def off(self, values: Tensor) -> Tensor:
        """Over 1 is beyond the limit."""
        return (values - self.median) / max(self.limit - self.median, 1e-6)


@dataclass(frozen=True)
class ViewCheck:
    """What pictures of one view look like, of which a model has learned."""

    mean: Float[Tensor, " d"]
    """Of the textures of the training pictures."""
    whitening: Float[Tensor, "d d"]
    """textures - mean => components of about unit variance among the training pictures."""
    limits: Mapping[str, Limit]
    """`texture` and `redrawing`."""

    def statistics(self, textures: Float[Tensor, "b d"], errors: Float[Tensor, " b"]) -> dict[str, Float[Tensor, " b"]]:
        """`texture`: logarithm of the Mahalanobis distance to the training pictures; `redrawing`: `redrawing_error`."""
        white = (textures.cpu() - self.mean).double() @ self.whitening.double()
        return {"texture": white.square().mean(1).log(), "redrawing": errors.cpu().double()}

    def off(self, textures: Float[Tensor, "b d"], errors: Float[Tensor, " b"]) -> dict[str, Float[Tensor, " b"]]:
        """How far pictures are off by each statistic, see `Limit.off`."""
        return {name: self.limits[name].off(v) for name, v in self.statistics(textures, errors).items()}


def whitened(textures: Float[Tensor, "n d"]) -> tuple[Tensor, Tensor]:
    """Mean [d], and the matrix [d, d] that makes the covariance of textures of training pictures the identity, but for
    `SHRINKAGE`: distances between whitened pictures are Mahalanobis'."""
    x = textures.double()
    mean, scale = x.mean(0), x.std(0).clamp(min=1e-6)
    standardised = (x - mean) / scale
    variances, directions = torch.linalg.eigh(standardised.T @ standardised / len(x))
    return mean.float(), (directions / (variances.clamp(min=0) + SHRINKAGE).sqrt() / scale[:, None]).float()


@dataclass(frozen=True, kw_only=True)
class Door:
    """The checks of one model."""

    vocabulary: Vocabulary
    made_with: str = ""
    """Hashes of the networks and the data that it was worked out with."""
    views: Mapping[Modality, ViewCheck] = field(default_factory=dict)
    """Of each view that it has seen."""
    agreement: Mapping[Modality, float] = field(default_factory=dict)
    """View => the cosine of the prompt embeddings of a picture and its report that all but `FALSE_ALARMS` of the
    validation studies reach."""

    def look(
        self,
        modality: Modality,
        pictures: UInt8[Tensor, "b s s"],
        *,
        textures: Float[Tensor, "b d"],
        autoencoder: ImageAutoencoder,
    ) -> list[PictureNote]:
        """Are pictures, of those textures, like those that the model has seen?"""
        if modality not in self.views:
            reason = f"none of the studies that it learned from has a {modality} view"
            return [PictureNote(modality=modality, fit=Fit.UNLIKE, reason=reason)] * len(pictures)
        off = self.views[modality].off(textures, redrawing_error(autoencoder, pictures))
        return [_note(modality, {name: float(v[i]) for name, v in off.items()}) for i in range(len(pictures))]

    def save(self, root: Path) -> None:
        """Write ROOT/door: `door.json` and the weights."""
        folder = root / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        with whole_file(folder / WEIGHTS) as temporary:
            tensors = {f"{m}.{name}": getattr(v, name) for m, v in self.views.items() for name in ("mean", "whitening")}
            save_tensors(tensors, temporary)
        limits = {m: {name: [v.median, v.limit] for name, v in view.limits.items()} for m, view in self.views.items()}
        write_json(
            folder / FILE,
            {
                "false_alarms": FALSE_ALARMS,
                "made_with": self.made_with,
                "limits": limits,
                "agreement": dict(self.agreement),
                "words": dict(self.vocabulary.words),
            },
        )

    @classmethod
    def load(cls, root: Path) -> Door | None:
        """The door of a model folder; None where it has none, as those of earlier versions. Raises UserError naming a
        file that is damaged."""
        folder = root / FOLDER
        if not (folder / FILE).exists():
            return None
        values, weights = read_json(folder / FILE), read_weights(folder / WEIGHTS)
        try:
            views = {Modality(m): _view(weights, m, limits) for m, limits in values["limits"].items()}
            agreement = {Modality(m): _number(v, -1.0, 1.0) for m, v in values["agreement"].items()}
            words = {word: int(_number(count, 0.0, 1e12)) for word, count in values["words"].items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f"{folder} is damaged ({error!r}): {REMEDY}.") from error
        return cls(
            vocabulary=Vocabulary(words), views=views, agreement=agreement, made_with=str(values.get("made_with", ""))
        )


def _view(weights: Mapping[str, Tensor], modality: str, limits: Mapping[str, Any]) -> ViewCheck:
    mean, whitening = weights[f"{modality}.mean"], weights[f"{modality}.whitening"]
    if mean.shape != (TEXTURES,) or whitening.shape != (TEXTURES, TEXTURES):
        raise ValueError(f"shape of {modality}")
    found = {name: Limit(*(_number(v, -1e6, 1e6) for v in limits[name])) for name in ("texture", "redrawing")}
    return ViewCheck(mean, whitening, found)


def _number(value: Any, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{value!r} is no number of {low:g} to {high:g}")
    return float(value)


def _note(modality: Modality, off: Mapping[str, float]) -> PictureNote:
    measured = {name: round(value, 2) for name, value in off.items()}
    if max(off.values()) <= 1:
        return PictureNote(modality=modality, fit=Fit.AS_KNOWN, measured=measured)
    names = {"texture": "its texture is {:.1f} times", "redrawing": "the error of redrawing it {:.1f} times"}
    far = " and ".join(names[name].format(value) for name, value in off.items() if value > 1)
    reason = f"{far} as far off as it may be, so that what is made from it says nothing about the patient"
    return PictureNote(modality=modality, fit=Fit.UNLIKE, reason=reason, measured=measured)
