"""Stage 2: tokenizer and report autoencoder."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
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
"""Share of reports that are replaced by sentences of other reports."""
HIDDEN = 0.3
"""Share of the words before that the decoder does not see while it learns (Bowman et al. 2016): what it writes has to
come from the latents, and not from what is usually said."""
BAG_WEIGHT = 0.5
"""Of the cross entropy of the report's words in any order, as the latents alone tell them (Zhao et al. 2017)."""
BUCKETS = 8
"""Micro-batches that share their reports, so that each has reports of about one length and little padding."""


def recombine(reports: Sequence[str], sentences: Sequence[str], generator: torch.Generator) -> list[str]:
    """Replace a share of the reports by new mixtures of sentences, so that the autoencoder learns sentences and not
    whole reports, and what is rarely found as well as what is usually said.

    A mixture has as many sentences as the report that it replaces or one more, drawn without repetition from
    `sentences`, which holds each different one once.
    """
    out = []
    for report in reports:
        if float(torch.rand((), generator=generator)) >= RECOMBINED:
            out.append(report)
            continue
        count = len(split_sentences(report)) + int(torch.randint(0, 2, (1,), generator=generator))
        drawn = torch.randint(len(sentences), (count,), generator=generator).unique()
        order: list[int] = drawn[torch.randperm(len(drawn), generator=generator)].tolist()
        out.append(" ".join([sentences[i] for i in order]))
    return out


def split_sentences(report: str) -> list[str]:
    """At the ends of sentences."""
    return _SENTENCE_END.split(report)


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
        self.sentences = list(dict.fromkeys(s for report in self.reports for s in split_sentences(report)))
        self.seed, self.lengths = context.seed, np.array([len(report) for report in self.reports])
        self.sampler = EpochSampler(
            len(self.reports), BUCKETS * context.batch_size(self.name), seed=context.seed, world_size=context.world_size
        )

    def losses(self, model: ReportAutoencoder, step: int, rank: int) -> Losses:
        """Of one micro-batch of training."""
        reports = [self.reports[i] for i in self.batch(step, rank)]
        return self._losses(model, recombine(reports, self.sentences, torch.default_generator), hidden=HIDDEN)

    def batch(self, step: int, rank: int) -> np.ndarray:
        """Indices of reports of about one length: the next of the buckets, which come in random order."""
        together, bucket = divmod(step, BUCKETS)
        drawn = self.sampler.batch(together, rank)
        by_length = drawn[np.argsort(self.lengths[drawn], kind="stable")]
        order = np.random.default_rng([self.seed, together, 11]).permutation(BUCKETS)
        return np.array_split(by_length, BUCKETS)[order[bucket]]

    def held_out_losses(self, model: ReportAutoencoder) -> list[Losses]:
        """Of whole reports, not recombined."""
        return [
            self._losses(model, self.held_out[i : i + 64])
            for i in range(0, min(HELD_OUT_REPORTS, len(self.held_out)), 64)
        ]

    def _losses(self, model: ReportAutoencoder, reports: list[str], *, hidden: float = 0.0) -> Losses:
        """hidden: share of the words before that the decoder does not see."""
        ids = self.tokenizer.encode(reports).to(model.device)
        mean, logvar = model.moments(ids)
        z = mean + torch.randn_like(mean) * (0.5 * logvar).exp()
        before, target = ids[:, :-1], ids[:, 1:]
        if hidden:
            hide = torch.rand(before.shape, device=ids.device) < hidden
            hide[:, 0] = False
            before = before.masked_fill(hide, PAD)
        logits = model.logits(z, before)
        count = (target != PAD).sum()
        entropy = F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=PAD, reduction="sum") / count
        kl = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).sum() / count
        bag = F.linear(model.from_latents(z), model.embed.weight).logsumexp(1).log_softmax(-1)  # [b, v]
        words = -(bag.gather(1, target) * (target != PAD)).sum() / count
        right = ((logits.argmax(-1) == target) & (target != PAD)).sum() / count
        return {
            "loss": entropy + KL_WEIGHT * kl + BAG_WEIGHT * words,
            "words": words.detach(),
            "entropy": entropy.detach(),
            "kl": kl.detach(),
            "accuracy": right,
        }

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
