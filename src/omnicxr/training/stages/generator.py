"""Last stage: the any-to-any generator, on cached latents."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from omnicxr.data.dataset import PreparedDataset
from omnicxr.domain import Modality, Task
from omnicxr.flow.path import add_noise, coarse_to_fine_error, sample_times, velocity_target
from omnicxr.models.generator import Generator
from omnicxr.models.prompts import symmetric_contrastive_loss
from omnicxr.pipeline import AnyToAnyPipeline
from omnicxr.training.batches import TaskSampler
from omnicxr.training.config import Preset
from omnicxr.training.latents import Latents
from omnicxr.training.loop import Losses
from omnicxr.training.sheets import save_grid

TIED_TIMES = 0.7
"""Share of micro-batches in which all generated streams have the same time, as in sampling; else each has its own."""


class GeneratorStage:
    """Loss: velocity error (coarse to fine for images), averaged over the generated streams, plus the contrastive term between streams."""

    name = "generator"

    def __init__(self, preset: Preset, data: PreparedDataset, held_out: PreparedDataset, latents: Latents, parts: AnyToAnyPipeline,
                 *, seed: int, world_size: int) -> None:  # fmt: skip
        self.model = parts.generator
        self.parts, self.held_out, self.latents = parts, held_out, latents
        self.drop_given, self.contrastive_weight = preset.drop_given, preset.contrastive_weight
        self.drop_prompt = preset.drop_prompt if preset.coupling != "none" else 0.0  # without coupling the prompt is all that there is
        self.time_shift, self.coarse_levels = preset.time_shift, preset.coarse_levels
        for m in Modality:
            if preconditioner := self.model.stream(m).preconditioner:
                preconditioner.set_statistics(*latents.statistics(m, data.having(m)))
        batch = preset.optimization[self.name].batch_size
        self.sampler = TaskSampler(data, (*Task.all(), Task.from_nothing()), batch, seed=seed, world_size=world_size)
        self.seed = seed

    def losses(self, model: Generator, step: int, rank: int) -> Losses:
        task, rows = self.sampler.batch(step, rank)
        common = torch.Generator().manual_seed(int(np.random.SeedSequence([self.seed, step, 8]).generate_state(1)[0]))
        dropped, tied, tokens_only = (torch.rand(3, generator=common) < torch.tensor([self.drop_given, TIED_TIMES, self.drop_prompt])).tolist()
        task = Task((), task.generate) if dropped else task
        own = torch.default_generator
        shared_t = sample_times(len(rows), own, shift=self.time_shift)
        x_0, t = {}, {}
        for m in task.generate:
            x_0[m] = self.latents.rows(m, rows).to(model.device)
            t[m] = (shared_t if tied else sample_times(len(rows), own, shift=self.time_shift)).to(model.device)
        noise = {m: torch.randn(x.shape).to(model.device) for m, x in x_0.items()}
        given = {m: self.latents.rows(m, rows).to(model.device) for m in task.given}
        prompt = None if tokens_only else self.latents.prompt(task.given, rows)
        out = model(given, {m: add_noise(x, noise[m], t[m]) for m, x in x_0.items()}, t, None if prompt is None else prompt.to(model.device))
        errors = {m: out.velocity[m] - velocity_target(x, noise[m]) for m, x in x_0.items()}
        parts = [coarse_to_fine_error(e, self.coarse_levels) if m.is_image else (e**2).mean() for m, e in errors.items()]
        loss = torch.stack(parts).mean()
        result: Losses = {f"velocity_{m}": (e.detach() ** 2).mean() for m, e in errors.items()}
        if len(out.features) > 1 and self.contrastive_weight:
            contrast = symmetric_contrastive_loss(out.features, model.logit_scale)
            result["contrastive"] = contrast.detach()
            loss = loss + self.contrastive_weight * contrast
        return {"loss": loss, **result}

    def finish(self) -> None:
        pass

    def sample_sheet(self, path: Path) -> None:
        """Held-out frontal and lateral views above what is generated from their reports, then what each view gives for the other."""
        rows = self.held_out.having(*Modality)[:6]
        reports = [self.held_out.reports[i] for i in rows]
        real = {m: self.held_out.images(m, rows) for m in (Modality.FRONTAL, Modality.LATERAL)}
        frontal, lateral = list(real[Modality.FRONTAL]), list(real[Modality.LATERAL])
        both = self.parts(report=reports, generate=("frontal", "lateral"))
        rest = self.parts(frontal=frontal, generate=("lateral", "report"))
        back = self.parts(lateral=lateral, generate=("frontal",))
        save_grid([_interleave(frontal, lateral), _interleave(both.frontal, both.lateral), _interleave(back.frontal, rest.lateral)], path)
        lines = [f"{a.lower()}\n    frontal => {b}\n" for a, b in zip(reports, rest.report or [], strict=True)]
        path.with_suffix(".txt").write_text("".join(lines))


def _interleave(a: object, b: object) -> np.ndarray:
    return np.stack([np.asarray(x) for pair in zip(a, b, strict=True) for x in pair])  # type: ignore[call-overload]


