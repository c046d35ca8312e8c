"""The any-to-any generator, on cached latents; its guide, which is trained alike; and the published baseline."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from omnicxr.baselines import published
from omnicxr.data.files import write_text
from omnicxr.data.seeds import derived_seed
from omnicxr.domain import Modality, Task
from omnicxr.flow.path import add_noise, sample_times, velocity_target
from omnicxr.models.generator.network import Generator
from omnicxr.models.generator.statistics import PromptedRows, latent_statistics
from omnicxr.models.generator.stream import prompt_or_null
from omnicxr.pipeline import AnyToAnyPipeline, StudyOutput
from omnicxr.training.batches import GroupSampler, evenly, picture_rng, studies_by_task, task_weights
from omnicxr.training.latents import Latents, Places
from omnicxr.training.loop import Losses
from omnicxr.training.sheets import save_grid
from omnicxr.training.stages.context import StageContext

HELD_OUT_BATCHES, HELD_OUT_BATCH_SIZE = 12, 32
STATISTICS_ROWS = 16_384
"""Studies that statistics are taken from, evenly chosen."""
DROP_GIVEN = 0.1
"""Share of micro-batches whose given modalities are dropped, for guidance."""
DROP_PROMPT = 0.3
"""Share of the others in which only the tokens of what is given are seen and its prompt embedding is not: with the
embedding always there, the tokens are never learned from (docs/decisions.md, "Prompt left out")."""
REPORT_SHARE = 0.1
"""Share of the micro-batches that generate a report, which has several draws in each: more, and reports are learned by
heart while views still improve (docs/decisions.md, "Report share")."""
REPORT_DRAWS = 4
"""Times and noises drawn for each study where its report is generated; what is given, the costly part, is worked out
once for them."""


class Times(NamedTuple):
    """Of training: mean and standard deviation of their logits (docs/decisions.md, "Training times")."""

    shift: float
    spread: float


VIEW_TIMES = Times(-0.3, 1.6)
"""Near data, where rims, vessels and leads are."""
REPORT_TIMES = Times(0.35, 1.3)
"""Nearer to noise: reports have nothing fine."""


class GeneratorStage:
    """Loss: mean square error of the velocity of one part, given some of the others."""

    tasks = tuple(t for t in Task.all() if len(t.generate) == 1)
    kind_shares: Mapping[Hashable, float] = {Modality.REPORT: REPORT_SHARE, "view": 1 - REPORT_SHARE}

    def __init__(
        self,
        context: StageContext,
        *,
        name: str,
        pipe: AnyToAnyPipeline,
        latents: Sequence[Latents],
        held_out_latents: Latents,
    ) -> None:
        """`pipe.generator` is what is trained, as the stage `name`; latents: of every version of the training pictures,
        as they are first, and of validation studies."""
        self.name, self.model, self.pipe = name, pipe.generator, pipe
        self.seed, self.data, self.held_out = context.seed, context.data, context.held_out
        self.versions, self.held_out_latents = latents, held_out_latents
        self.set_statistics(context)
        self.sampler = self._sampler(
            studies_by_task(context.data, self.tasks), context.batch_size(name), world_size=context.world_size
        )
        held_out = studies_by_task(context.held_out, self.tasks)
        self.held_out_sampler = self._sampler(held_out, HELD_OUT_BATCH_SIZE) if held_out else None

    def _sampler(self, groups: dict[Any, np.ndarray], batch_size: int, *, world_size: int = 1) -> GroupSampler[Any]:
        weights = task_weights(groups, self.kind_shares, self.kind)
        return GroupSampler(groups, batch_size, seed=self.seed, world_size=world_size, weights=weights)

    def kind(self, task: Task) -> Hashable:
        """Tasks of a kind come up equally often, kinds by `kind_shares`."""
        return Modality.REPORT if task.generate == (Modality.REPORT,) else "view"

    def set_statistics(self, context: StageContext) -> None:
        """Give every stream the statistics of its latents, and of the prompts of all that can be given for it."""
        network = self.pipe.generator
        assert isinstance(network, Generator)
        for m in (m for m in Modality if len(context.data.having(m))):
            rows = context.data.having(m)
            rows = rows[evenly(len(rows), STATISTICS_ROWS)]
            rank = network.config.axes(m)
            prompted = self._prompted(context, m, rows) if rank else []
            values = self.versions[0].rows(m, rows).cpu()
            statistics = latent_statistics(values, rank=rank, prompt_dim=network.config.prompt_dim, prompted=prompted)
            network.stream(m).preconditioner.set_statistics(statistics)

    def _prompted(self, context: StageContext, modality: Modality, rows: np.ndarray) -> list[PromptedRows]:
        others = [m for m in Modality if m is not modality]
        out = []
        for given in (s for n in range(1, len(others) + 1) for s in combinations(others, n)):
            there = np.isin(rows, context.data.having(modality, *given))
            embeds = self.versions[0].prompt(given, dict.fromkeys(given, rows[there])) if there.any() else None
            if embeds is not None:
                null = self.pipe.generator.null_embeds.detach().cpu()
                prompts = prompt_or_null(embeds.cpu(), null, len(embeds)) - null
                out.append(PromptedRows(rows=torch.from_numpy(there), prompts=prompts))
        return out

    def losses(self, model: Any, step: int, rank: int) -> Losses:
        """Of one micro-batch: its task is the same on every process."""
        (task, _), rows = self.sampler.batch(step, rank)
        rng = picture_rng(self.seed, step, rank)
        places = {m: self.data.drawn(rows, m, rng) for m in task.modalities}
        latents = self.versions[int(rng.integers(len(self.versions)))]
        return self.task_losses(model, latents, task, places=places, step=step)

    def held_out_losses(self, model: Any) -> list[Losses]:
        """Tasks come up as in training, apart from chance."""
        if not self.held_out_sampler:
            return []
        batches = [self.held_out_sampler.batch(step) for step in range(HELD_OUT_BATCHES)]
        return [
            self.task_losses(model, self.held_out_latents, task, places=dict.fromkeys(task.modalities, rows), step=step)
            for step, ((task, _), rows) in enumerate(batches)
        ]

    def task_losses(self, model: Any, latents: Latents, task: Task, *, places: Places, step: int) -> Losses:
        """Of some studies, by the places of their parts; whether what is given is dropped follows from the step."""
        given, tokens_only = self.dropped(task, step)
        (modality,) = task.generate
        draws = REPORT_DRAWS if modality is Modality.REPORT else 1
        x_0 = latents.rows(modality, places[modality]).to(model.device).repeat_interleave(draws, 0)
        times = VIEW_TIMES if modality.is_image else REPORT_TIMES
        t = sample_times(len(x_0), shift=times.shift, spread=times.spread, device=x_0.device)
        noise = torch.randn_like(x_0)
        prompt = None if tokens_only else latents.prompt(given, places)
        velocity = model(
            modality,
            add_noise(x_0, noise, t),
            t,
            given={m: latents.rows(m, places[m]).to(model.device) for m in given},
            prompt_embeds=None if prompt is None else prompt.to(model.device),
            draws=draws,
        )
        loss = (velocity - velocity_target(x_0, noise)).square().mean()
        return {"loss": loss, f"velocity_{modality}": loss.detach()}

    def dropped(self, task: Task, step: int) -> tuple[tuple[Modality, ...], bool]:
        """What is given in a step, and whether only its tokens are: the same on every process."""
        rng = torch.Generator().manual_seed(derived_seed(self.seed, step, 8))
        nothing, tokens_only = (torch.rand(2, generator=rng) < torch.tensor([DROP_GIVEN, DROP_PROMPT])).tolist()
        return () if nothing else task.given, tokens_only

    def finish(self) -> None:
        """Nothing: statistics were set before training."""

    def sample_sheet(self, path: Path) -> None:
        """The views of held-out studies, below them what each part gives for the views that are not given; beside it
        the reports, a file."""
        parts = self.held_out.common_parts(1)
        rows = self.held_out.having(*parts)[:6]
        if not len(rows):
            return
        shown: dict[Modality, Any] = {m: list(self.held_out.images(m, rows)) for m in parts if m.is_image}
        shown[Modality.REPORT] = [self.held_out.reports[i] for i in rows]
        generated = {m: self._from(m, shown[m], tuple(o for o in parts if o is not m)) for m in parts}
        views = [m for m in parts if m.is_image]
        lines = [{v: shown[v] for v in views}]
        lines += [{v: getattr(out, v) or shown[v] for v in views} for out in generated.values()]
        save_grid([np.stack([np.asarray(line[v][i]) for i in range(len(rows)) for v in views]) for line in lines], path)
        if Modality.REPORT in parts:
            text = []
            for i, report in enumerate(shown[Modality.REPORT]):
                text += [report.lower(), *(f"    {v} => {(generated[v].report or [])[i]}" for v in views)]
            write_text(path.with_suffix(".txt"), "".join(f"{line}\n" for line in text))

    def _from(self, given: Modality, part: Any, generate: tuple[Modality, ...]) -> StudyOutput:
        values: dict[str, Any] = {str(given): part}
        return self.pipe(**values, generate=generate, prepared=True)


class PublishedStage(GeneratorStage):
    """The baseline: loss and network of `baselines/published.py`, every task of the published system as often."""

    tasks = (*Task.all(), Task.from_nothing())
    kind_shares: Mapping[Hashable, float] = {"any": 1.0}

    def kind(self, task: Task) -> Hashable:
        """All alike."""
        return "any"

    def set_statistics(self, context: StageContext) -> None:
        """Nothing: it knows none."""

    def task_losses(self, model: Any, latents: Latents, task: Task, *, places: Places, step: int) -> Losses:
        """Of some studies; what is given counts by its prompt embedding alone."""
        given, _ = self.dropped(task, step)
        x_0 = {m: latents.rows(m, places[m]).to(model.device) for m in task.generate}
        prompt = latents.prompt(given, places)
        return published.losses(model, x_0, None if prompt is None else prompt.to(model.device))
