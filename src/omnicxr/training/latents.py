"""Latents and prompt embeddings of a whole split, every picture's, worked out once before the generator is trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.files import whole_file
from omnicxr.domain import Modality, UserError
from omnicxr.models.inputs import network_input
from omnicxr.pipeline import AnyToAnyPipeline
from omnicxr.training.augmentation import version
from omnicxr.training.batches import has_room

CHUNK = 64
Places = dict[Modality, np.ndarray]
"""Of the parts of the studies of a micro-batch, see `PreparedDataset.places`."""


@dataclass(frozen=True)
class Latents:
    """float16, memory-mapped or on an accelerator, by `PreparedDataset.places`: a study's row is the place of its first
    picture. Rows of studies without the modality are zero."""

    latents: dict[Modality, Tensor]
    """[places, *latent shape]"""
    embeds: dict[Modality, Tensor]
    """[places, prompt_dim], length 1"""

    def rows(self, modality: Modality, places: np.ndarray) -> Tensor:
        """Latents [b, ...] of some studies, float32."""
        return self.latents[modality][torch.from_numpy(places)].float()

    def prompt(self, modalities: tuple[Modality, ...], places: Places) -> Tensor | None:
        """Mean prompt embedding [b, d] of some modalities; None for none."""
        if not modalities:
            return None
        return torch.stack([self.embeds[m][torch.from_numpy(places[m])].float() for m in modalities]).mean(0)


@torch.no_grad()
def encode_share(
    data: PreparedDataset, pipe: AnyToAnyPipeline, folder: Path, *, share: int, shares: int, number: int = 0
) -> None:
    """Encode every `shares`-th place of a split, from number `share`, into `folder`; what is there already is not done
    again.

    number: of the version of the pictures (`augmentation.version`); of reports there is only one.
    """
    for modality in _modalities(data, number):
        whole = _paths(folder, data, modality, number=number)
        parts = [_part(p, share, shares) for p in whole]
        if all(_is_whole(p, data, modality) for p in whole) or all(p.exists() for p in parts):
            continue
        autoencoder = pipe.image_autoencoder if modality.is_image else pipe.report_autoencoder
        places = data.places(modality)[share::shares]
        outputs: list[list[Tensor]] = [[], []]
        for i in range(0, len(places), CHUNK):
            chosen = places[i : i + CHUNK]
            part = data.parts(chosen, (modality,))[modality]
            if number:
                part = version(part, chosen, number=number)
            x = network_input(modality, part, pipe.tokenizer).to(autoencoder.device)
            outputs[0].append(autoencoder.encode(x).half().cpu())
            outputs[1].append(pipe.prompt_encoders.embed(modality, x).half().cpu())
        for path, values in zip(parts, outputs, strict=True):
            _save(path, torch.cat(values).numpy() if values else np.zeros(0, np.float16))


def join_shares(data: PreparedDataset, folder: Path, shares: int, *, number: int = 0) -> None:
    """Put what `encode_share` wrote together, one row for each place of the split."""
    for modality in _modalities(data, number):
        places = data.places(modality)
        for path in _paths(folder, data, modality, number=number):
            parts = [_part(path, i, shares) for i in range(shares)]
            if not _is_whole(path, data, modality):
                values = [_load(p) for p in parts]
                whole = np.zeros((_size(data, modality), *values[0].shape[1:]), np.float16)
                for i, value in enumerate(values):
                    if len(value):
                        whole[places[i::shares]] = value
                _save(path, whole)
            for part in folder.glob(f"{path.stem}-*-of-*.npy"):
                part.unlink()


def load_latents(
    data: PreparedDataset, folder: Path, device: torch.device | None = None, *, number: int = 0, versions: int = 1
) -> Latents:
    """What `join_shares` wrote: on a GPU if `device` is one that has room for them, and for the versions that come
    after number `number` of `versions`, else memory-mapped.

    From a memory map and over the bus, the rows of a micro-batch take a GPU longer to get than to learn from.
    """
    paths = {m: _paths(folder, data, m, number=number if m.is_image else 0) for m in _modalities(data)}
    mapped = [{m: _load(p[kind], mmap_mode="c") for m, p in paths.items()} for kind in range(2)]
    size = sum(x.nbytes for arrays in mapped for x in arrays.values())
    there = device if device and has_room(device, (versions - number) * size) else torch.device("cpu")
    latents, embeds = ({m: torch.from_numpy(x).to(there) for m, x in arrays.items()} for arrays in mapped)
    return Latents(latents, embeds)


def _modalities(data: PreparedDataset, number: int = 0) -> list[Modality]:
    """Those that there are, and of which there is such a version."""
    return [m for m in Modality if len(data.having(m)) and (m.is_image or number == 0)]


def _size(data: PreparedDataset, modality: Modality) -> int:
    """Rows of the whole: of every study, and of every further picture."""
    return max(len(data), int(data.places(modality).max()) + 1)


def _is_whole(path: Path, data: PreparedDataset, modality: Modality) -> bool:
    """Whether it is there, with a row for each place: before studies had several pictures, they had one row each."""
    return path.exists() and len(_load(path, mmap_mode="c")) == _size(data, modality)


def _paths(folder: Path, data: PreparedDataset, modality: Modality, *, number: int) -> list[Path]:
    of = f"{data.split}-{modality}" + (f"-version{number}" if number else "")
    return [folder / f"{of}-{kind}.npy" for kind in ("latents", "embeds")]


def _part(path: Path, share: int, shares: int) -> Path:
    return path.with_name(f"{path.stem}-{share}-of-{shares}.npy")


def _save(path: Path, values: np.ndarray) -> None:
    with whole_file(path) as temporary, temporary.open("wb") as file:
        np.save(file, values, allow_pickle=False)


def _load(path: Path, *, mmap_mode: Literal["c"] | None = None) -> np.ndarray:
    try:
        return np.load(path, mmap_mode=mmap_mode, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path} is missing or damaged ({error}): remove it and run the same command again.") from error
