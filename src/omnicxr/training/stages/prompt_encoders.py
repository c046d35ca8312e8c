"""Stage 3: prompt encoders."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from omnicxr.domain import Modality
from omnicxr.models.prompt_encoders import (
    HardNegatives,
    PromptEncoders,
    PromptEncodersConfig,
    symmetric_contrastive_loss,
)
from omnicxr.models.tokenizer import ReportTokenizer
from omnicxr.training.batches import GroupSampler, Modalities, by_size, picture_rng, studies_by_parts
from omnicxr.training.loop import Losses
from omnicxr.training.sheets import save_grid
from omnicxr.training.stages.context import StageContext
from omnicxr.training.trunk_inputs import TrunkInputs

_SIDE = re.compile(r"\b(left|right)\b")


def mirrored(report: str) -> str:
    """The report with left and right exchanged, in lower case; the report itself where that may mean the same ("left
    and right effusions")."""
    words = _SIDE.split(report.lower())
    exchanged = [{"left": "right", "right": "left"}.get(w, w) for w in words]
    return report if sorted(exchanged) == sorted(words) else "".join(exchanged)


class PromptEncodersStage:
    """Loss: symmetric InfoNCE over every pair of modalities that the studies of the micro-batch share.

    A view has to be told from its report with left and right exchanged, too: among other patients' reports the side
    hardly ever decides, and an embedding that leaves it out cannot bring it to the
    generator (docs/decisions.md, "Mirrored negatives").
    """

    name = "prompt-encoders"

    def __init__(self, context: StageContext, *, tokenizer: ReportTokenizer) -> None:
        preset = context.preset
        config = PromptEncodersConfig(
            vocab_size=tokenizer.vocab_size,
            max_tokens=preset.max_tokens,
            dim=preset.prompt_dim,
            image_channels=preset.trunk_channels,
            image_size=preset.trunk_image_size,
            image_trunk=preset.image_trunk,
        )
        self.model = PromptEncoders(config).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.data, self.held_out, self.tokenizer, self.seed = context.data, context.held_out, tokenizer, context.seed
        self.inputs, self.held_out_inputs = (
            TrunkInputs(data, self.model, tokenizer=tokenizer, device=context.device)
            for data in (context.data, context.held_out)
        )
        self.inputs.set_statistics()
        self.batch_size = context.batch_size(self.name)
        groups = studies_by_parts(self.data, at_least=2)
        self.sampler = GroupSampler(
            groups, self.batch_size, seed=context.seed, world_size=context.world_size, weights=by_size(groups)
        )

    def losses(self, model: PromptEncoders, step: int, rank: int) -> Losses:
        """Of one micro-batch of training."""
        rng = picture_rng(self.seed, step, rank)
        embeds, negatives = self.embed(model, self.inputs, self.sampler.batch(step, rank), rng=rng)
        embeds = {m: gather(e) for m, e in embeds.items()}
        negatives = {m: HardNegatives(gather(n.embeds), gather(n.there)) for m, n in negatives.items()}
        loss = symmetric_contrastive_loss(embeds, model.logit_scale, negatives)
        return {"loss": loss, "logit_scale": model.logit_scale.detach()}

    def held_out_losses(self, model: PromptEncoders) -> list[Losses]:
        """Of a micro-batch of this process for each set of parts that studies have."""
        groups = {parts: rows[: self.batch_size] for parts, rows in studies_by_parts(self.held_out, at_least=2).items()}
        embedded = [
            self.embed(model, self.held_out_inputs, (parts, rows)) for parts, rows in groups.items() if len(rows) > 1
        ]
        return [
            {"loss": symmetric_contrastive_loss(embeds, model.logit_scale, negatives)} for embeds, negatives in embedded
        ]

    def embed(
        self,
        model: PromptEncoders,
        of: TrunkInputs,
        batch: tuple[Modalities, np.ndarray],
        *,
        rng: np.random.Generator | None = None,
    ) -> tuple[dict[Modality, Tensor], dict[Modality, HardNegatives]]:
        """Embeddings of a micro-batch, and those of its mirrored reports."""
        parts, rows = batch
        mirror = Modality.REPORT in parts
        own = tuple(m for m in parts if m.is_image or not mirror)
        inputs = of(rows, own, rng=rng)
        if not mirror:
            return model({m: x.to(model.device) for m, x in inputs.items()}), {}
        reports = [of.data.reports[i] for i in rows]
        others = [mirrored(r) for r in reports]
        changed = [i for i, report in enumerate(reports) if others[i] != report]
        inputs[Modality.REPORT] = self.tokenizer.encode(reports + [others[i] for i in changed])
        embeds = model({m: x.to(model.device) for m, x in inputs.items()})
        embeds[Modality.REPORT], hard = embeds[Modality.REPORT].split([len(rows), len(changed)])
        wrong, there = hard.new_zeros(len(rows), hard.shape[1]), hard.new_zeros(len(rows))
        wrong[changed], there[changed] = hard, 1.0
        return embeds, {Modality.REPORT: HardNegatives(wrong, there)}

    def finish(self) -> None:
        """Nothing."""

    def sample_sheet(self, path: Path) -> None:
        """Similarity of every modality with every other over 24 held-out studies: bright diagonals are right
        partners."""
        modalities = self.held_out.common_parts(2)
        rows = self.held_out.having(*modalities)[:24]
        if len(rows) < 2:
            return
        inputs = self.held_out_inputs(rows, modalities)
        embeds = self.model({m: x.to(self.model.device) for m, x in inputs.items()})
        pairs = [(embeds[a] @ embeds[b].T).cpu().numpy() for a, b in combinations(modalities, 2)]
        save_grid(
            [
                np.stack(
                    [
                        np.kron((255 * (p.clip(-1, 1) + 1) / 2).astype(np.uint8), np.ones((6, 6), np.uint8))
                        for p in pairs
                    ]
                )
            ],
            path,
        )


def gather(x: Tensor) -> Tensor:
    """The rows of all processes, with gradients; the rows themselves on a single process."""
    if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
        return x
    from torch.distributed.nn.functional import all_gather

    return torch.cat(all_gather(x))
