"""The door of a model, from its own studies: what it has seen from the training split, its limits from the validation
split."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.vocabulary import Vocabulary
from omnicxr.domain import IMAGE_MODALITIES, Modality
from omnicxr.models.door import FALSE_ALARMS, Door, Limit, ViewCheck, reader, redrawing_error, whitened
from omnicxr.models.efficientnet import network_pictures
from omnicxr.pipeline import AnyToAnyPipeline
from omnicxr.training.batches import evenly

PICTURES = 2000
"""Of a view and split at most, evenly over its studies: more change the limits by less than their own spread."""
CHUNK = 32


@torch.no_grad()
def make_door(pipe: AnyToAnyPipeline, data: PreparedDataset, held_out: PreparedDataset) -> Door:
    """From the training and the validation split. Views and reports that no study has, or none of the validation
    studies, have no checks."""
    views = {m: _view_check(pipe, m, data, held_out) for m in IMAGE_MODALITIES if _there(m, data, held_out)}
    agreement = {m: _agreement(pipe, m, held_out) for m in IMAGE_MODALITIES if len(held_out.having(m, Modality.REPORT))}
    reports = (data.reports[i] for i in data.having(Modality.REPORT))
    return Door(vocabulary=Vocabulary.of(reports), views=views, agreement=agreement)


def _there(modality: Modality, *splits: PreparedDataset) -> bool:
    return all(len(data.having(modality)) for data in splits)


def _view_check(
    pipe: AnyToAnyPipeline, modality: Modality, data: PreparedDataset, held_out: PreparedDataset
) -> ViewCheck:
    mean, whitening = whitened(_textures(pipe, modality, data))
    bare = ViewCheck(mean, whitening, {})
    values = bare.statistics(_textures(pipe, modality, held_out), _errors(pipe, modality, held_out))
    return ViewCheck(mean, whitening, joint_limits(values))


def joint_limits(values: dict[str, Tensor]) -> dict[str, Limit]:
    """Limits of several statistics [n], of which a share `FALSE_ALARMS` of the studies passes at least one.

    Each statistic alone gets the quantile that leaves this share above; all limits are then moved away from the medians
    by the same factor.
    """
    medians = {name: float(v.median()) for name, v in values.items()}
    alone = {name: Limit(medians[name], _upper(v)) for name, v in values.items()}
    worst = torch.stack([alone[name].off(v) for name, v in values.items()]).amax(0)
    factor = _upper(worst)
    return {name: Limit(m, m + factor * (alone[name].limit - m)) for name, m in medians.items()}


def _upper(values: Tensor) -> float:
    return float(np.quantile(values.double().numpy(), 1 - FALSE_ALARMS))


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


def _textures(pipe: AnyToAnyPipeline, modality: Modality, data: PreparedDataset) -> Tensor:
    network = reader(pipe.device)
    read = [network.textures_and_features(network_pictures(x.to(pipe.device)))[0] for x in _pictures(modality, data)]
    return torch.cat(read).cpu()


def _errors(pipe: AnyToAnyPipeline, modality: Modality, data: PreparedDataset) -> Tensor:
    return torch.cat([redrawing_error(pipe.image_autoencoder, x) for x in _pictures(modality, data)]).cpu()
