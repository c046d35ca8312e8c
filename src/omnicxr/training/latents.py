"""Latents and prompt embeddings of a whole split, worked out once before the generator is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.files import whole_file
from omnicxr.domain import Modality
from omnicxr.models.image_autoencoder import ImageAutoencoder
from omnicxr.models.prompts import PromptEncoders
from omnicxr.models.report_autoencoder import ReportAutoencoder
from omnicxr.models.tokenizer import ReportTokenizer
from omnicxr.training.stages.prompts import study_inputs

CHUNK, STATISTICS_ROWS = 64, 4096


@dataclass(frozen=True)
class Latents:
    """float16 arrays, memory-mapped; rows of studies without the modality are zero."""

    latents: dict[Modality, np.ndarray]
    """[n, *latent shape]"""
    embeds: dict[Modality, np.ndarray]
    """[n, prompt_dim], length 1"""

    def rows(self, modality: Modality, rows: np.ndarray) -> Tensor:
        return torch.from_numpy(self.latents[modality][rows].astype(np.float32))

    def statistics(self, modality: Modality, rows: np.ndarray) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of every latent over `STATISTICS_ROWS` of the rows, evenly chosen, in the shape of one study's latents."""
        chosen = rows[np.linspace(0, len(rows) - 1, min(STATISTICS_ROWS, len(rows))).astype(int)]
        values = self.rows(modality, chosen).double()
        return values.mean(0).float(), values.std(0).float()

    def prompt(self, modalities: tuple[Modality, ...], rows: np.ndarray) -> Tensor | None:
        """Mean prompt embedding [b, d] of some modalities; None for none."""
        if not modalities:
            return None
        return torch.from_numpy(np.mean([self.embeds[m][rows].astype(np.float32) for m in modalities], axis=0))


@torch.no_grad()
def cache_latents(
    data: PreparedDataset, images: ImageAutoencoder, reports: ReportAutoencoder, prompts: PromptEncoders, tokenizer: ReportTokenizer,
    folder: Path, *, progress: Callable[[int, int], None] | None = None,
) -> Latents:  # fmt: skip
    """Encode every study of a split into `folder`; files that are there are used as they are."""
    latents, embeds = {}, {}
    there = [m for m in Modality if len(data.having(m))]
    for done, modality in enumerate(there):
        paths = [folder / f"{data.split}-{modality}-{kind}.npy" for kind in ("latents", "embeds")]
        if not all(p.exists() for p in paths):
            autoencoder = images if modality.is_image else reports
            rows = data.having(modality)
            outputs: list[list[Tensor]] = [[], []]
            for i in range(0, len(rows), CHUNK):
                x = study_inputs(data, rows[i : i + CHUNK], (modality,), tokenizer)[modality].to(autoencoder.device)
                outputs[0].append(autoencoder.encode(x).half().cpu())
                outputs[1].append(prompts.embed(modality, x).half().cpu())
            for path, parts in zip(paths, outputs, strict=True):
                values = torch.cat(parts).numpy()
                whole = np.zeros((len(data), *values.shape[1:]), np.float16)
                whole[rows] = values
                with whole_file(path) as temporary, temporary.open("wb") as file:
                    np.save(file, whole, allow_pickle=False)
        latents[modality], embeds[modality] = (np.load(p, mmap_mode="r", allow_pickle=False) for p in paths)
        if progress:
            progress(done + 1, len(there))
    return Latents(latents, embeds)
