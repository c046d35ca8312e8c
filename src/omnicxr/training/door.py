"""The door of a model, from its own studies: what it has seen from the training split, its limits from the validation
split."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.vocabulary import Vocabulary
from omnicxr.domain import IMAGE_MODALITIES, Modality
from omnicxr.models.door import FALSE_ALARMS, Door, Limit, ViewCheck, redrawing_error, whitened
from omnicxr.models.efficientnet import network_pictures, reader
from omnicxr.pipeline import AnyToAnyPipeline
from omnicxr.training.batches import evenly

PICTURES = 2000
"""Of a view and split at most, evenly over its studies: more change the limits by less than their own spread."""
DRAWN = 200
"""Studies that the model draws itself at most, from so many reports of the validation split."""
PARTS = {"texture": 0.75, "redrawing": 0.25}
"""Of the false alarms: most that is unlike is so by its texture (docs/door.md)."""
CHUNK = 32


@torch.no_grad()
def make_door(pipe: AnyToAnyPipeline, data: PreparedDataset, held_out: PreparedDataset) -> Door:
    """From the training and the validation split. Views and reports that no study has, or none of the validation
    studies, have no checks."""
    seen = [m for m in IMAGE_MODALITIES if _there(m, data, held_out)]
    drawn = _drawn(pipe, seen, held_out)
    views = {m: _view_check(pipe, m, data=data, held_out=held_out, drawn=drawn[m]) for m in seen}
    agreement = {m: _agreement(pipe, m, held_out) for m in IMAGE_MODALITIES if len(held_out.having(m, Modality.REPORT))}
    reports = (data.reports[i] for i in data.having(Modality.REPORT))
    return Door(vocabulary=Vocabulary.of(reports), views=views, agreement=agreement)


def _there(modality: Modality, *splits: PreparedDataset) -> bool:
    return all(len(data.having(modality)) for data in splits)


def _drawn(pipe: AnyToAnyPipeline, views: list[Modality], held_out: PreparedDataset) -> dict[Modality, list[Tensor]]:
    """Pictures of each view that the model draws: they count as seen, as they are given back to it. From reports of the
    validation split, or from nothing where it has none."""
    if not views:
        return {}
    rows = held_out.having(Modality.REPORT)
    reports = [held_out.reports[i] for i in rows[evenly(len(rows), DRAWN)]]
    given: dict[str, Any] = {"report": reports} if reports else {"num": min(DRAWN, len(held_out))}
    output = pipe(**given, generate=views, raw=True)
    pictures = {m: np.stack([np.asarray(p) for p in getattr(output, m)]) for m in views}
    return {m: list(torch.from_numpy(x).split(CHUNK)) for m, x in pictures.items()}


def _view_check(
    pipe: AnyToAnyPipeline, modality: Modality, *, data: PreparedDataset, held_out: PreparedDataset, drawn: list[Tensor]
) -> ViewCheck:
    trained, validation = _pictures(modality, data), _pictures(modality, held_out)
    mean, whitening = whitened(_textures(pipe, [*trained, *drawn]))
    values = ViewCheck(mean, whitening, {}).statistics(_textures(pipe, validation), _errors(pipe, validation))
    return ViewCheck(mean, whitening, joint_limits(values))


def joint_limits(values: dict[str, Tensor]) -> dict[str, Limit]:
    """Limits of several statistics [n], of which a share `FALSE_ALARMS` of the studies passes at least one.

    Each statistic alone gets the quantile that leaves its part of this share above; all limits are then moved away from
    the medians by the same factor, so that together they leave the whole of it.
    """
    medians = {name: float(v.median()) for name, v in values.items()}
    alone = {name: Limit(medians[name], _upper(v, FALSE_ALARMS * PARTS[name])) for name, v in values.items()}
    worst = torch.stack([alone[name].off(v) for name, v in values.items()]).amax(0)
    factor = _upper(worst, FALSE_ALARMS)
    return {name: Limit(m, m + factor * (alone[name].limit - m)) for name, m in medians.items()}


def _upper(values: Tensor, share: float) -> float:
    return float(np.quantile(values.double().numpy(), 1 - share))


def _agreement(pipe: AnyToAnyPipeline, modality: Modality, held_out: PreparedDataset) -> float:
    rows = _some(held_out.having(modality, Modality.REPORT))
    cosines = []
    for i in range(0, len(rows), CHUNK):
        parts = held_out.parts(rows[i : i + CHUNK], (modality, Modality.REPORT))
        picture, report = (pipe.prompt_encoders.embed(m, pipe.network_input(m, part)) for m, part in parts.items())
        cosines.append((picture * report).sum(1).cpu())
    return float(np.quantile(torch.cat(cosines).numpy(), FALSE_ALARMS))


def _some(rows: np.ndarray) -> np.ndarray:
    return rows[evenly(len(rows), PICTURES)]


def _pictures(modality: Modality, data: PreparedDataset) -> list[Tensor]:
    rows = _some(data.having(modality))
    return [torch.from_numpy(data.images(modality, rows[i : i + CHUNK])) for i in range(0, len(rows), CHUNK)]


def _textures(pipe: AnyToAnyPipeline, pictures: list[Tensor]) -> Tensor:
    network = reader(pipe.device)
    return torch.cat([network.textures(network_pictures(x.to(pipe.device))) for x in pictures]).cpu()


def _errors(pipe: AnyToAnyPipeline, pictures: list[Tensor]) -> Tensor:
    return torch.cat([redrawing_error(pipe.image_autoencoder, x) for x in pictures]).cpu()
