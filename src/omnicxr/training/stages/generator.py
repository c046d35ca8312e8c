"""The any-to-any generator, on cached latents; and its guide, which is trained alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from omnicxr.data.dataset import PreparedDataset
from omnicxr.domain import Modality, Task
from omnicxr.flow.path import (
    add_noise,
    coarse_to_fine_error,
    noise_from_velocity,
    sample_diffusion_times,
    sample_times,
    velocity_target,
)
from omnicxr.models.generator.network import Generator
from omnicxr.models.prompt_encoders import symmetric_contrastive_loss
from omnicxr.pipeline import AnyToAnyPipeline, StudyOutput
from omnicxr.training.batches import GroupSampler, by_what_is_generated, studies_by_task
from omnicxr.training.config import Preset
from omnicxr.training.latents import Latents
from omnicxr.training.loop import Losses
from omnicxr.training.sheets import save_grid
from omnicxr.training.statistics import latent_statistics

HELD_OUT_BATCHES, HELD_OUT_BATCH_SIZE = 12, 32
TIED_TIMES = 0.7
"""Share of micro-batches in which all generated streams have the same time, as in sampling; else each has its own."""


class GeneratorStage:
    """Loss: error of what is predicted (coarse to fine for images), averaged over generated streams, plus the
    contrastive term between streams."""

    def __init__(
        self,
        preset: Preset,
        data: PreparedDataset,
        held_out: PreparedDataset,
        latents: tuple[Latents, Latents],
        parts: AnyToAnyPipeline,
        *,
        seed: int,
        world_size: int,
        name: str = "generator",
    ) -> None:
        """`latents`: those of `data` and of `held_out`. `parts.generator` is what is trained, as the stage `name`."""
        self.name, self.model = name, parts.generator
        self.parts, self.held_out = parts, held_out
        self.latents, self.held_out_latents = latents
        self.drop_given, self.contrastive_weight = preset.drop_given, preset.contrastive_weight
        self.report_draws = preset.report_draws
        self.drop_prompt = (
            preset.drop_prompt if preset.coupling != "none" else 0.0
        )  # without coupling the prompt is all that there is
        self.diffusion = preset.prediction == "noise"
        self.coarse_levels = preset.coarse_levels
        of_views, of_reports = (
            (preset.time_shift, preset.time_spread),
            (preset.report_time_shift, preset.report_time_spread),
        )
        self.times = {m: of_views if m.is_image else of_reports for m in Modality}
        for m in (m for m in Modality if len(data.having(m))):
            if preconditioner := self.model.stream(m).preconditioner:
                preconditioner.set_statistics(latent_statistics(self.latents, data, m, self.model))
        self.seed, tasks = seed, (*Task.all(), Task.from_nothing())
        groups, held_out_groups = studies_by_task(data, tasks), studies_by_task(held_out, tasks)
        weights = by_what_is_generated(groups, preset.together_share, preset.report_share)
        self.sampler = GroupSampler(
            groups, preset.optimization[self.name].batch_size, seed=seed, world_size=world_size, weights=weights
        )
        weights = by_what_is_generated(held_out_groups, preset.together_share, preset.report_share)
        self.held_out_sampler = (
            GroupSampler(held_out_groups, HELD_OUT_BATCH_SIZE, seed=seed, weights=weights) if weights else None
        )

    def losses(self, model: Generator, step: int, rank: int) -> Losses:
        (task, _), rows = self.sampler.batch(step, rank)
        return self._losses(model, self.latents, task, rows, step)

    def held_out_losses(self, model: Generator) -> list[Losses]:
        """Tasks come up as in training, apart from chance."""
        if not self.held_out_sampler:
            return []
        batches = [self.held_out_sampler.batch(step) for step in range(HELD_OUT_BATCHES)]
        return [
            self._losses(model, self.held_out_latents, task, rows, step)
            for step, ((task, _), rows) in enumerate(batches)
        ]

    def _losses(self, model: Generator, latents: Latents, task: Task, rows: np.ndarray, step: int) -> Losses:
        common = torch.Generator().manual_seed(int(np.random.SeedSequence([self.seed, step, 8]).generate_state(1)[0]))
        dropped, tied, tokens_only = (
            torch.rand(3, generator=common) < torch.tensor([self.drop_given, TIED_TIMES, self.drop_prompt])
        ).tolist()
        task = Task((), task.generate) if dropped else task
        draws = self.report_draws if task.generate == (Modality.REPORT,) else 1
        count, device = len(rows) * draws, model.device
        shared_t = self._times(task.generate[0], count, device)  # those of a view, if there is one
        x_0, t = {}, {}
        for m in task.generate:
            x_0[m] = latents.rows(m, rows).to(device).repeat_interleave(draws, 0)
            t[m] = shared_t if tied else self._times(m, count, device)
        noise = {m: torch.randn_like(x) for m, x in x_0.items()}
        given = {m: latents.rows(m, rows).to(device) for m in task.given}
        prompt = None if tokens_only else latents.prompt(task.given, rows)
        x_t = {m: add_noise(x, noise[m], t[m]) for m, x in x_0.items()}
        out = model(given, x_t, t, None if prompt is None else prompt.to(device), draws)
        if self.diffusion:
            errors = {m: noise_from_velocity(x_t[m], out.velocity[m], t[m]) - noise[m] for m in x_0}
        else:
            errors = {m: out.velocity[m] - velocity_target(x, noise[m]) for m, x in x_0.items()}
        parts = [
            coarse_to_fine_error(e, self.coarse_levels) if m.is_image else (e**2).mean() for m, e in errors.items()
        ]
        loss = torch.stack(parts).mean()
        result: Losses = {f"{self.model.config.prediction}_{m}": (e.detach() ** 2).mean() for m, e in errors.items()}
        if len(out.features) > 1 and self.contrastive_weight:
            contrast = symmetric_contrastive_loss({m: f[::draws] for m, f in out.features.items()}, model.logit_scale)
            result["contrastive"] = contrast.detach()
            loss = loss + self.contrastive_weight * contrast
        return {"loss": loss, **result}

    def _times(self, modality: Modality, batch: int, device: torch.device) -> Tensor:
        if self.diffusion:
            return sample_diffusion_times(batch).to(device)
        shift, spread = self.times[modality]
        return sample_times(batch, shift=shift, spread=spread, device=device)

    def finish(self) -> None:
        pass

    def sample_sheet(self, path: Path) -> None:
        """The views of held-out studies, below them what each part gives for the views that are not given; beside it
        the reports, a file."""
        parts = self.held_out.common_parts(1)
        rows = self.held_out.having(*parts)[:6]
        if not len(rows):
            return
        real: dict[Modality, Any] = {m: list(self.held_out.images(m, rows)) for m in parts if m.is_image}
        real[Modality.REPORT] = [self.held_out.reports[i] for i in rows]
        made = {m: self._from(m, real[m], tuple(o for o in parts if o is not m)) for m in parts}
        views = [m for m in parts if m.is_image]
        lines = [
            {v: real[v] for v in views},
            *({v: getattr(out, v) or real[v] for v in views} for out in made.values()),
        ]
        save_grid([np.stack([np.asarray(line[v][i]) for i in range(len(rows)) for v in views]) for line in lines], path)
        if Modality.REPORT in parts:
            said = {v: made[v].report or [] for v in views}
            lines_of = [
                [text.lower(), *(f"    {v} => {said[v][i]}" for v in views)]
                for i, text in enumerate(real[Modality.REPORT])
            ]
            path.with_suffix(".txt").write_text("".join(f"{line}\n" for study in lines_of for line in study))

    def _from(self, given: Modality, part: Any, generate: tuple[Modality, ...]) -> StudyOutput:
        values: dict[str, Any] = {str(given): part}
        return self.parts(**values, generate=generate)
