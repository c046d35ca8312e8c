"""What the trunks of prompt encoders and judge are given: pictures, or, where a trunk is not trained, what it makes of
them, worked out once for each picture."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from omnicxr.data.dataset import PreparedDataset
from omnicxr.domain import Modality
from omnicxr.models.efficientnet import GRID, grid_features
from omnicxr.models.inputs import network_input
from omnicxr.models.tokenizer import ReportTokenizer
from omnicxr.models.trunks import Trunks
from omnicxr.training.batches import evenly

CHUNK, STATISTICS_PICTURES = 32, 1024


class TrunkInputs:
    """Of the studies of one data set, for one network."""

    def __init__(
        self, data: PreparedDataset, network: Trunks, *, tokenizer: ReportTokenizer, device: torch.device
    ) -> None:
        self.data, self.tokenizer, self.device = data, tokenizer, device
        self.pretrained = network.pretrained
        self.features = {m: np.empty((_size(data, m), GRID), np.float16) for m in self.pretrained if _has(data, m)}
        self.known = {m: np.zeros(len(kept), bool) for m, kept in self.features.items()}

    def set_statistics(self) -> None:
        """Give trunks that are not trained the statistics of these pictures."""
        for modality, trunk in self.pretrained.items():
            if len(rows := self.data.having(modality)):
                trunk.set_statistics(self._seen(modality, rows[evenly(len(rows), STATISTICS_PICTURES)]))

    def __call__(
        self, rows: np.ndarray, modalities: tuple[Modality, ...], *, rng: np.random.Generator | None = None
    ) -> dict[Modality, Tensor]:
        """Of some studies, which must have the modalities; `rng` draws among several pictures of a view."""
        return {m: self._of(m, self.data.drawn(rows, m, rng)) for m in modalities}

    def _of(self, modality: Modality, places: np.ndarray) -> Tensor:
        if modality in self.pretrained:
            return self._seen(modality, places)
        return network_input(modality, self.data.parts(places, (modality,))[modality], self.tokenizer)

    def _seen(self, modality: Modality, places: np.ndarray) -> Tensor:
        """[b, GRID]"""
        features, known = self.features[modality], self.known[modality]
        new = np.unique(places[~known[places]])
        for i in range(0, len(new), CHUNK):
            chosen = new[i : i + CHUNK]
            pictures = network_input(modality, self.data.images(modality, chosen), self.tokenizer)
            features[chosen] = grid_features(pictures.to(self.device)).half().cpu().numpy()
            known[chosen] = True
        return torch.from_numpy(features[places]).float()


def _has(data: PreparedDataset, modality: Modality) -> bool:
    return len(data.having(modality)) > 0


def _size(data: PreparedDataset, modality: Modality) -> int:
    """One more than the last place."""
    return int(data.places(modality).max()) + 1
