"""The judge, trained on real (or simulated) studies alone; it never sees what the generator makes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from omnicxr.data.dataset import PreparedDataset
from omnicxr.models.judge import Judge, JudgeConfig
from omnicxr.models.tokenizer import ReportTokenizer
from omnicxr.training.batches import GroupSampler, Modalities, by_size, evenly, picture_rng, studies_by_parts
from omnicxr.training.loop import Losses
from omnicxr.training.stages.context import StageContext
from omnicxr.training.trunk_inputs import TrunkInputs

HELD_OUT_STUDIES = 256


class JudgeStage:
    """Loss: binary cross entropy per finding (not mentioned counts as absent, uncertain is left out), plus smooth L1 of
    the standardised continuous truth where the data have it. Views and reports are trained side by side."""

    name = "judge"

    def __init__(self, context: StageContext, *, tokenizer: ReportTokenizer) -> None:
        preset, data = context.preset, context.data
        statistics: dict[str, Any] = {}
        if data.measures is not None:
            mean, std = np.nanmean(data.measures, 0), np.nanstd(data.measures, 0).clip(1e-3)
            statistics = {"measure_mean": tuple(map(float, mean)), "measure_std": tuple(map(float, std))}
        config = JudgeConfig(
            vocab_size=tokenizer.vocab_size,
            max_tokens=preset.max_tokens,
            image_channels=preset.trunk_channels,
            image_size=preset.trunk_image_size,
            image_trunk=preset.image_trunk,
            **statistics,
        )
        self.model = Judge(config).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        start_at_prevalence(self.model, data.labels)
        self.data, self.held_out, self.tokenizer, self.seed = data, context.held_out, tokenizer, context.seed
        self.inputs, self.held_out_inputs = (
            TrunkInputs(split, self.model, tokenizer=tokenizer, device=context.device)
            for split in (data, context.held_out)
        )
        self.inputs.set_statistics()
        groups = studies_by_parts(data, at_least=1)
        self.sampler = GroupSampler(
            groups,
            context.batch_size(self.name),
            seed=context.seed,
            world_size=context.world_size,
            weights=by_size(groups),
        )

    def losses(self, model: Judge, step: int, rank: int) -> Losses:
        """Of one micro-batch of training."""
        rng = picture_rng(self.seed, step, rank)
        return self._losses(model, self.inputs, self.sampler.batch(step, rank), rng=rng)

    def held_out_losses(self, model: Judge) -> list[Losses]:
        """Of held-out micro-batches, always the same ones."""
        groups = studies_by_parts(self.held_out, at_least=1)
        return [
            self._losses(model, self.held_out_inputs, (parts, rows[evenly(len(rows), HELD_OUT_STUDIES)]))
            for parts, rows in groups.items()
        ]

    def _losses(
        self,
        model: Judge,
        of: TrunkInputs,
        batch: tuple[Modalities, np.ndarray],
        *,
        rng: np.random.Generator | None = None,
    ) -> Losses:
        (parts, rows), data = batch, of.data
        labels = torch.from_numpy(data.labels[rows]).to(model.device)
        measures = self._standardised(data, rows)
        out: Losses = {"loss": torch.zeros((), device=model.device)}
        for modality, x in of(rows, parts, rng=rng).items():
            x = (jitter(x) if x.ndim == 4 else x).to(model.device)
            logits, read = model(modality, x)
            loss = finding_loss(logits, labels)
            out[f"findings_{modality}"] = loss.detach()
            if measures is not None:
                known = measures.isfinite()
                regression = F.smooth_l1_loss(torch.where(known, read, 0), torch.where(known, measures, 0))
                out[f"measures_{modality}"] = regression.detach()
                loss = loss + 0.6 * regression
            out["loss"] = out["loss"] + loss
        return out

    def _standardised(self, data: PreparedDataset, rows: np.ndarray) -> Tensor | None:
        """Continuous truth of some studies by the mean and spread of training; None where either data set has none."""
        if data.measures is None or self.data.measures is None:
            return None
        mean, std = (np.array(x, np.float32) for x in (self.model.config.measure_mean, self.model.config.measure_std))
        return torch.from_numpy((data.measures[rows] - mean) / std).to(self.model.device)

    def finish(self) -> None:
        """Nothing."""

    def sample_sheet(self, path: Path) -> None:
        """Nothing to see."""


@torch.no_grad()
def start_at_prevalence(judge: Judge, labels: np.ndarray) -> None:
    """Before training every finding is as likely as it is among the studies, whatever is on the pictures."""
    positive, known = (labels > 0).sum(0) + 0.5, (labels != -1).sum(0) + 1.0
    logits = torch.from_numpy(np.log(positive / (known - positive))).float()
    for head in judge.heads.values():
        last = cast(nn.Linear, cast(nn.Sequential, head)[-1])
        last.weight.zero_()
        last.bias.zero_()
        last.bias[: len(logits)] = logits


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
