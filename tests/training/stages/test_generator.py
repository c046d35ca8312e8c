from pathlib import Path

import torch

from omnicxr.data.dataset import PreparedDataset
from omnicxr.domain import Modality
from omnicxr.pipeline import AnyToAnyPipeline
from omnicxr.training.latents import Latents, load_latents
from omnicxr.training.presets import get_preset
from omnicxr.training.stages.context import StageContext
from omnicxr.training.stages.generator import GeneratorStage


def test_versions_of_pictures_come_up_alike_and_are_not_measured_on(run_folder: Path, prepared: Path) -> None:
    """Three versions, told apart by their latents: 0, 1 and 2 everywhere."""
    data, held_out = (PreparedDataset(prepared, split) for split in ("train", "validate"))
    plain, known = (load_latents(split, run_folder / "latents") for split in (data, held_out))
    versions = [
        plain,
        *(Latents({m: torch.full_like(x, n) for m, x in plain.latents.items()}, plain.embeds) for n in (1, 2)),
    ]
    stage = GeneratorStage(
        StageContext(preset=get_preset("nano"), data=data, held_out=held_out),
        name="generator",
        pipe=AnyToAnyPipeline.from_pretrained(run_folder / "model"),
        latents=versions,
        held_out_latents=known,
    )
    used = list[Latents]()
    stage.task_losses = lambda model, latents, task, **_: used.append(latents) or {}  # type: ignore[method-assign, func-returns-value]
    for step in range(300):
        stage.losses(stage.model, step, rank=0)
    counts = [sum(latents is version for latents in used) for version in versions]
    assert sum(counts) == 300 and min(counts) > 70, counts
    before, used[:] = used[:20], []
    for step in range(20):
        stage.losses(stage.model, step, rank=0)
    assert all(a is b for a, b in zip(used, before, strict=True)), "a step draws the same whenever it is taken"
    used.clear()
    stage.held_out_losses(stage.model)
    assert used and all(latents is known for latents in used)
    frontal = stage.model.stream(Modality.FRONTAL).preconditioner  # type: ignore[union-attr]
    rows = data.having(Modality.FRONTAL)
    assert torch.allclose(frontal.mean, plain.rows(Modality.FRONTAL, rows).mean(0), atol=0.05), (
        "of pictures as they are"
    )
