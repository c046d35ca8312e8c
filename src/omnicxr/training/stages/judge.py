"""The judge, trained on real (or simulated) studies alone; it never sees what the generator makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from omnicxr.data.dataset import PreparedDataset
from omnicxr.models.judge import Judge, JudgeConfig
from omnicxr.models.tokenizer import ReportTokenizer
from omnicxr.training.batches import GroupSampler, by_size, studies_by_parts
from omnicxr.training.config import Preset
from omnicxr.training.loop import Losses
from omnicxr.training.stages.prompts import study_inputs


class JudgeStage:
    """Loss: binary cross entropy per finding (not mentioned counts as absent, uncertain is left out), plus smooth L1 of the
    standardised continuous truth where the data have it. Views and reports are trained side by side."""

    name = "judge"

    def __init__(self, preset: Preset, data: PreparedDataset, held_out: PreparedDataset, tokenizer: ReportTokenizer,
                 *, seed: int, world_size: int) -> None:  # fmt: skip
        self.measures = data.measures
        statistics: dict[str, Any] = {}
        if self.measures is not None:
            mean, std = np.nanmean(self.measures, 0), np.nanstd(self.measures, 0).clip(1e-3)
            statistics = {"measure_mean": tuple(map(float, mean)), "measure_std": tuple(map(float, std))}
            self.measures = (self.measures - mean) / std
        config = JudgeConfig(vocab_size=tokenizer.vocab_size, max_tokens=preset.max_tokens, image_channels=preset.image_channels, **statistics)
        self.model = Judge(config).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.data, self.held_out, self.tokenizer = data, held_out, tokenizer
        batch = preset.optimization[self.name].batch_size
        groups = studies_by_parts(data, at_least=1)
        self.sampler = GroupSampler(groups, batch, seed=seed, world_size=world_size, weights=by_size(groups))

    def losses(self, model: Judge, step: int, rank: int) -> Losses:
        parts, rows = self.sampler.batch(step, rank)
        labels = torch.from_numpy(self.data.labels[rows]).to(model.device)
        out: Losses = {"loss": torch.zeros((), device=model.device)}
        for modality, x in study_inputs(self.data, rows, parts, self.tokenizer).items():
            x = jitter(x).to(model.device) if modality.is_image else x.to(model.device)
            logits, measures = model(modality, x)
            loss = finding_loss(logits, labels)
            out[f"findings_{modality}"] = loss.detach()
            if self.measures is not None:
                target = torch.from_numpy(self.measures[rows]).to(model.device)
                known = target.isfinite()
                regression = F.smooth_l1_loss(torch.where(known, measures, 0), torch.where(known, target, 0))
                out[f"measures_{modality}"] = regression.detach()
                loss = loss + 0.6 * regression
            out["loss"] = out["loss"] + loss
        return out

    def finish(self) -> None:
        pass

    def sample_sheet(self, path: Path) -> None:
        pass


def finding_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross entropy; labels 1, 0, NaN (taken as 0) and -1 (left out)."""
    known = labels != -1
    return F.binary_cross_entropy_with_logits(logits, torch.where(labels > 0, 1.0, 0.0), known.float())


def jitter(x: Tensor) -> Tensor:
    """Small random changes of contrast, brightness and place, so that the judge reads findings and not exposures."""
    b = len(x)
    gain, offset = 1 + 0.15 * (torch.rand(b, 1, 1, 1) - 0.5), 0.15 * (torch.rand(b, 1, 1, 1) - 0.5)
    dx, dy = (int(v) for v in torch.randint(-4, 5, (2,)))
    return torch.roll((x * gain + offset).clamp(-1, 1), (dy, dx), (2, 3))
