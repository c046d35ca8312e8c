"""Stage 2: tokenizer and report autoencoder."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

import torch
import torch.nn.functional as F

from omnicxr.data.files import write_text
from omnicxr.domain import Modality
from omnicxr.models.report_autoencoder import ReportAutoencoder, ReportAutoencoderConfig
from omnicxr.models.tokenizer import PAD, ReportTokenizer
from omnicxr.training.batches import EpochSampler
from omnicxr.training.loop import Losses
from omnicxr.training.stages.context import StageContext

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=\S)")
KL_WEIGHT = 0.004
STATISTICS_REPORTS, HELD_OUT_REPORTS = 4096, 256
RECOMBINED = 0.5
"""Share of reports that are replaced by sentences drawn from two reports of the micro-batch, in a new order."""


def recombine(reports: list[str], generator: torch.Generator) -> list[str]:
    """Replace a share of the reports by new mixtures of sentences, so that the autoencoder learns sentences and not
    whole reports.

    A mixture has as many sentences as the report that it replaces or one more, drawn without repetition from it and
    another.
    """
    split = [_SENTENCE_END.split(r) for r in reports]
    out = []
    for own, report in zip(split, reports, strict=True):
        change, other = torch.rand(2, generator=generator).tolist()
        if change >= RECOMBINED:
            out.append(report)
            continue
        pool = own + split[int(other * len(split))]
        count = min(len(pool), len(own) + int(torch.randint(0, 2, (1,), generator=generator)))
        order = torch.randperm(len(pool), generator=generator)[:count].tolist()
        out.append(" ".join(pool[i] for i in order))
    return out


class ReportAutoencoderStage:
    """Loss: cross entropy of the report's tokens (summed per report, per token on average) + beta KL of the latents."""

    name = "report-autoencoder"

    def __init__(self, context: StageContext, *, tokenizer: ReportTokenizer) -> None:
        preset, data, held_out = context.preset, context.data, context.held_out
        sizes = asdict(preset.report_autoencoder)
        self.model = ReportAutoencoder(
            ReportAutoencoderConfig(vocab_size=tokenizer.vocab_size, max_tokens=preset.max_tokens, **sizes)
        )
        self.tokenizer = tokenizer
        self.reports = [data.reports[i] for i in data.having(Modality.REPORT)]
        self.held_out = [held_out.reports[i] for i in held_out.having(Modality.REPORT)]
        self.sampler = EpochSampler(
            len(self.reports), context.batch_size(self.name), seed=context.seed, world_size=context.world_size
        )

    def losses(self, model: ReportAutoencoder, step: int, rank: int) -> Losses:
        """Of one micro-batch of training."""
        return self._losses(
            model, recombine([self.reports[i] for i in self.sampler.batch(step, rank)], torch.default_generator)
        )

    def held_out_losses(self, model: ReportAutoencoder) -> list[Losses]:
        """Of whole reports, not recombined."""
        return [
            self._losses(model, self.held_out[i : i + 64])
            for i in range(0, min(HELD_OUT_REPORTS, len(self.held_out)), 64)
        ]

    def _losses(self, model: ReportAutoencoder, reports: list[str]) -> Losses:
        ids = self.tokenizer.encode(reports).to(model.device)
        mean, logvar = model.moments(ids)
        z = mean + torch.randn_like(mean) * (0.5 * logvar).exp()
        logits, target = model.logits(z, ids[:, :-1]), ids[:, 1:]
        count = (target != PAD).sum()
        entropy = F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=PAD, reduction="sum") / count
        kl = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).sum() / count
        right = ((logits.argmax(-1) == target) & (target != PAD)).sum() / count
        return {"loss": entropy + KL_WEIGHT * kl, "entropy": entropy.detach(), "kl": kl.detach(), "accuracy": right}

    @torch.no_grad()
    def finish(self) -> None:
        """Mean and spread of every latent over training reports."""
        reports = self.reports[:STATISTICS_REPORTS]
        batches = [
            self.tokenizer.encode(reports[i : i + 256]).to(self.model.device) for i in range(0, len(reports), 256)
        ]
        latents = torch.cat([self.model.moments(ids)[0] for ids in batches])
        self.model.latent_mean.copy_(latents.mean(0))
        self.model.latent_std.copy_(latents.std(0).clamp(min=1e-4))

    def sample_sheet(self, path: Path) -> None:
        """Held-out reports and what comes back, as text."""
        reports = self.held_out[:12]
        mean, _ = self.model.moments(self.tokenizer.encode(reports).to(self.model.device))
        back = self.tokenizer.decode(self.model.decode((mean - self.model.latent_mean) / self.model.latent_std))
        lines = [f"{a.lower()}\n    => {b}\n" for a, b in zip(reports, back, strict=True)]
        write_text(path.with_suffix(".txt"), "".join(lines))
