"""What every stage is given: settings, data, and its place among the processes that train together."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from omnicxr.data.dataset import PreparedDataset
from omnicxr.training.config import Preset


@dataclass(frozen=True, kw_only=True)
class StageContext:
    """Settings, training and validation studies, and the processes."""

    preset: Preset
    data: PreparedDataset
    held_out: PreparedDataset
    seed: int = 0
    world_size: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def batch_size(self, stage: str) -> int:
        """Of each process."""
        return self.preset.optimization[stage].batch_size
