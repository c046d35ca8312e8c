"""Many studies from a model: a prepared data set whose bytes do not depend on how many workers generate it, or on how
often they die.

Item i has a random generator of its own, seeded with (seed, i), and one thread; items are grouped into shards, and a
shard is written whole or not at all. A shard that exists is done, so the same command resumes; the manifest is written
last.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch

from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.files import claim, output_folder, sha256, write_json
from omnicxr.data.manifest import MANIFEST, Manifest, write_manifest
from omnicxr.data.processes import TRIES, run_in_processes, working_on
from omnicxr.data.shards import is_shard, read_notes
from omnicxr.domain import Modality, Task, UserError
from omnicxr.domain.settings import Between, Guidance, SamplingSteps, Seed, Settings
from omnicxr.models.folder import load_judge, model_hash
from omnicxr.pipeline import AnyToAnyPipeline
from omnicxr.synthesis.gate import Gate
from omnicxr.synthesis.noticed import ACCOUNT, Reading, choose_known
from omnicxr.synthesis.prompts import COMPOSED_FROM, Prompts, Wish, choose, prompts_for
from omnicxr.synthesis.shards import SPLIT, Recipe, ShardWriter

RECORD = "synthesis.json"
Progress = Callable[[int, int], None]
Shard = tuple[range, Path]
"""The items of a shard, and its file."""


@dataclass(frozen=True, kw_only=True)
class SynthesisConfig(Settings):
    """What is generated and how. Equal configs with equal prompts and model give equal bytes."""

    task: Task
    """For instance report->frontal+lateral or nothing->frontal+report."""
    wish: Wish
    seed: Seed = 0
    """Equal seeds give equal results."""
    steps: SamplingSteps | None = None
    """Sampling steps; None: the model's."""
    guidance: Guidance | None = None
    """Guidance scale, 1 for none; None: the model's."""
    gate: Gate = field(default_factory=Gate)
    raw: bool = False
    """Take reports as they stand, and check no picture."""
    keep_given: bool = False
    """Put given pictures into the data set too; off, so that it holds no patient's picture."""
    shard_size: Annotated[int, Between(1, 100_000)] = 32
    """Studies in a shard: what a kill can cost at most, per worker."""
    data: Path | None = None
    """Prepared data set whose studies are the prompts."""
    split: str = "train"
    table: Path | None = None
    """Table of sentences that are the prompts."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.gate.alignment is not None and not self.task.given:
            raise UserError("With nothing given there is nothing to be aligned with: leave the alignment gate out.")
        if self.gate.known and (self.raw or not self.task.given):
            why = "--raw has nothing checked" if self.raw else "With nothing given there is nothing to be known"
            raise UserError(f"{why}: leave --gate-known out.")
        if self.wish.of_some and not self.task.given:
            raise UserError(
                "With nothing given, findings, sex and age cannot be asked for: give reports or views, or leave "
                "--balance, --per-finding, --findings, --sex and --ages out."
            )

    def prompts(self) -> Prompts:
        """What the studies are generated from. Raises as `prompts_for`."""
        return prompts_for(self.task, data=self.data, split=self.split, table=self.table, seed=self.seed)

    def choose(self, prompts: Prompts, pipe: AnyToAnyPipeline) -> tuple[np.ndarray, Reading]:
        """The prompt [n] of every study, and what the model makes of these prompts: reports are read before anything is
        generated, pictures only where the gate asks for known ones. Raises as `choose_known`."""
        if self.gate.known:
            reading = Reading(pipe, prompts, self.task)
            return choose_known(reading, self.wish, self.seed), reading
        chosen = choose(prompts, self.wish, self.seed)
        reading = Reading(pipe, prompts, self.task)
        if Modality.REPORT in self.task.given and pipe.door is not None and not self.raw:
            reading = Reading(pipe, prompts, Task((Modality.REPORT,), self.task.generate))
            for prompt in np.unique(chosen).tolist():
                reading.doubtful(prompt)
        return chosen, reading

    def pipeline(self, model: Path, device: str) -> AnyToAnyPipeline:
        """The model, which samples as this says."""
        pipe = AnyToAnyPipeline.from_pretrained(model, device=device)
        pipe.sampling = pipe.sampling.changed(num_inference_steps=self.steps, guidance_scale=self.guidance)
        return pipe


def synthesize(
    config: SynthesisConfig,
    model: Path,
    out: Path,
    *,
    workers: int = 1,
    devices: tuple[str, ...] = ("cpu",),
    use_ray: bool = False,
    progress: Progress | None = None,
    tell: Callable[[str], None] | None = None,
) -> Manifest:
    """Write the data set; returns its manifest. `tell` is told what the model makes of the prompts before anything is
    generated, in a line, where there is something to say.

    Raises UserError for prompts, gate or folder that cannot be used, and where workers keep dying.
    """
    prompts = config.prompts()
    choose(prompts, config.wish, config.seed)  # what cannot be wished for is refused before a model is loaded
    if config.gate.agreement is not None and not (model / "judge").is_dir():
        raise UserError(f"{model} has no judge for the agreement gate: train one, or leave the gate out.")
    pipe = config.pipeline(model, "cpu")
    if config.gate.agreement is not None:
        load_judge(model, pipe.tokenizer)  # refused before any work is done
    if config.gate.known and pipe.door is None:
        raise UserError(f"{model} has no checks for --gate-known: train it again, or leave the gate out.")
    _check_size(config, pipe.image_size)
    chosen, reading = config.choose(prompts, pipe)
    total = len(chosen)
    settings = _settings(config, prompts) | {"model_hash": model_hash(model), "sampling": asdict(pipe.sampling)}
    starts = range(0, total, config.shard_size)
    shards = [
        (range(i, min(i + config.shard_size, total)), out / f"{SPLIT}-{n:06d}.parquet") for n, i in enumerate(starts)
    ]
    run = _with_ray if use_ray else _with_processes
    with output_folder(out, results=("*.parquet",)):
        if (out / MANIFEST).exists() and not (out / RECORD).exists():
            raise UserError(f"{out} holds another data set: choose another folder.")
        claim(out / RECORD, settings, what="a synthesis")
        if len(reading):
            write_json(out / ACCOUNT, reading.account())
        if tell and (summary := reading.summary()):
            tell(f"{summary}; see {out / ACCOUNT}")
        todo = [(items, path) for items, path in shards if not is_shard(path)]
        done = total - sum(len(items) for items, _ in todo)
        for count in run(_Job(config, model, chosen), todo, workers=workers, devices=devices):
            done += count
            if progress:
                progress(done, total)
        return _finish([path for _, path in shards], out, total=total, image_size=pipe.image_size)


def _check_size(config: SynthesisConfig, size: int) -> None:
    """Given pictures must have the size that the model works at, pixels."""
    if not config.data or not any(m.is_image for m in config.task.given):
        return
    found = PreparedDataset(config.data, config.split).image_size
    if found != size:
        raise UserError(f"{config.data} has pictures of {found} px, the model works at {size}: prepare it again.")


def _settings(config: SynthesisConfig, prompts: Prompts) -> dict[str, Any]:
    """What decides the bytes: of prompts their hash, wherever they lie."""
    origin = prompts.data.manifest_hash if prompts.data else sha256(config.table) if config.table else COMPOSED_FROM
    return asdict(config) | {"task": str(config.task), "data": None, "table": None, "prompts": origin}


def _finish(shards: list[Path], out: Path, *, total: int, image_size: int) -> Manifest:
    gate, noticed = Counter[str](), Counter[str]()
    for path in shards:
        notes = read_notes(path)
        gate.update(notes["gate"])
        noticed.update(notes.get("about_studies", {}))
    settings = json.loads((out / RECORD).read_text())
    about = {
        "settings": settings,
        "model_hash": settings["model_hash"],
        "draws": gate["tries"],
        "below_the_gate": gate["failed"],
        "noticed": dict(sorted(noticed.items())),
    }
    options = {"kind": "synthetic", "image_size": image_size}
    return write_manifest(
        out, shards, options=options, studies_seen=total, dropped={}, images_left_out={}, synthetic=about
    )


@dataclass(frozen=True)
class _Job:
    """What a worker needs to set itself up."""

    config: SynthesisConfig
    model: Path
    chosen: np.ndarray
    """The prompt [n] of every study."""

    def writer(self, device: str) -> ShardWriter:
        config, prompts = self.config, self.config.prompts()
        pipe = config.pipeline(self.model, device)
        asked = config.gate.agreement is not None
        judge = load_judge(self.model, pipe.tokenizer).to(device) if asked else None
        recipe = Recipe(
            task=config.task,
            seed=config.seed,
            gate=config.gate,
            raw=config.raw,
            keep_given=config.keep_given,
            model_hash=model_hash(self.model),
        )
        return ShardWriter(pipe=pipe, judge=judge, prompts=prompts, chosen=self.chosen, recipe=recipe)


def _begin(job: _Job, device: str) -> Callable[[Shard], int]:
    """In a worker process."""
    writer = job.writer(device)

    def write(shard: Shard) -> int:
        items, path = shard
        working_on(path.name)
        writer.write(items, path)
        return len(items)

    return write


def _with_processes(job: _Job, todo: list[Shard], *, workers: int, devices: tuple[str, ...]) -> Iterator[int]:
    """Shards in worker processes, even for one worker: each has one thread."""
    return run_in_processes(partial(_begin, job), todo, workers, devices=devices)


def _with_ray(job: _Job, todo: list[Shard], *, workers: int, devices: tuple[str, ...]) -> Iterator[int]:
    """Shards as actors' tasks on a Ray cluster that shares the file system; Ray starts dead actors again and repeats
    their task."""
    try:
        import ray
        import ray.exceptions
        import ray.util
    except ImportError:
        raise UserError("Ray is not installed: run `pip install omnicxr[ray]`, or leave --ray out.") from None

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # nothing is sent anywhere
    ray.init(ignore_reinit_error=True, log_to_driver=False, include_dashboard=False)
    gpus = 1 if devices[0].startswith("cuda") else 0

    @ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=TRIES, max_task_retries=TRIES)
    class Worker:
        def __init__(self) -> None:
            torch.set_num_threads(1)
            self.writer = job.writer("cuda" if gpus else "cpu")

        def write(self, items: range, path: Path) -> int:
            self.writer.write(items, path)
            return len(items)

    try:
        actors = [Worker.remote() for _ in range(min(workers, max(len(todo), 1)))]  # pyright: ignore[reportAttributeAccessIssue]
        pool = ray.util.ActorPool(actors)
        for count in pool.map_unordered(lambda worker, shard: worker.write.remote(*shard), todo):
            yield int(count)  # pyright: ignore[reportArgumentType]
    except ray.exceptions.RayTaskError as error:
        raise error.cause if isinstance(error.cause, UserError) else error from None
    except ray.exceptions.RayActorError as error:
        raise UserError(
            f"Ray's workers keep dying ({str(error)[:120]}): what is done is kept. Run the same command with fewer"
            " --workers."
        ) from None
    finally:
        ray.shutdown()
