"""Many studies from a model: a prepared data set whose bytes do not depend on how many workers made it, or on how often
they died.

Item i is drawn from its own random generator, made from (seed, i), by one thread; items are grouped into shards, and a
shard is written whole or not at all. A shard that exists is done, so the same command resumes; the manifest is written
last.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.files import check_writable, sha256, write_json
from omnicxr.data.prepare import MANIFEST, write_manifest
from omnicxr.data.processes import end_with_parent, worker_pool
from omnicxr.data.shards import shard_notes
from omnicxr.domain import Task, UserError
from omnicxr.flow.sampling import SamplingConfig
from omnicxr.models.folder import model_hash
from omnicxr.models.judge import Judge
from omnicxr.pipeline import AnyToAnyPipeline
from omnicxr.synthesis.gate import Gate
from omnicxr.synthesis.prompts import Prompts, Wish, choose, prompts_for
from omnicxr.synthesis.shards import SPLIT, Maker, Recipe

RECORD = "synthesis.json"
MAX_DEATHS = 3
"""Workers that may die one after the other without a shard getting done in between."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class SynthesisConfig:
    """What is made and how. Equal configs with equal prompts and model give equal bytes."""

    task: Task
    """For instance report->frontal+lateral or nothing->frontal+report."""
    wish: Wish
    seed: int = 0
    """Equal seeds give equal results."""
    steps: int | None = None
    """Sampling steps; None: the model's."""
    guidance: float | None = None
    """Guidance scale, 1 for none; None: the model's."""
    gate: Gate = field(default_factory=Gate)
    keep_given: bool = False
    """Put given pictures into the data set too; off, so that it holds no patient's picture."""
    shard_size: int = 32
    """Studies in a shard: what a kill can cost at most, per worker."""
    data: Path | None = None
    """Prepared data set whose studies are the prompts."""
    split: str = "train"
    table: Path | None = None
    """Table of sentences that are the prompts."""

    def __post_init__(self) -> None:
        if self.shard_size < 1:
            raise UserError(f"Shards of {self.shard_size} studies cannot be written: choose at least 1.")
        if self.gate.alignment is not None and not self.task.given:
            raise UserError("With nothing given there is nothing to be aligned with: leave the alignment gate out.")
        if self.wish.of_some and not self.task.given:
            raise UserError(
                "With nothing given, findings, sex and age cannot be asked for: give reports or views, or leave "
                "--balance, --per-finding, --findings, --sex and --ages out."
            )


def synthesize(
    config: SynthesisConfig,
    model: Path,
    out: Path,
    *,
    workers: int = 1,
    devices: tuple[str, ...] = ("cpu",),
    use_ray: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write the data set; returns its manifest. Raises UserError for prompts, gate or folder that cannot be used, and
    where workers keep dying."""
    prompts = _prompts(config)
    chosen = choose(prompts, config.wish, config.seed)
    if config.gate.agreement is not None and not (model / "judge").is_dir():
        raise UserError(f"{model} has no judge for the agreement gate: train one, or leave the gate out.")
    pipe = _pipeline(config, model, "cpu")
    image_size = pipe.image_size
    if (
        config.data
        and any(m.is_image for m in config.task.given)
        and (found := PreparedDataset(config.data, config.split).image_size) != image_size
    ):
        raise UserError(f"{config.data} has pictures of {found} px, the model works at {image_size}: prepare it again.")
    check_writable(out)
    _claim(config, prompts, pipe.sampling, model, out)
    shards = {
        out / f"{SPLIT}-{n:06d}.parquet": range(i, min(i + config.shard_size, len(chosen)))
        for n, i in enumerate(range(0, len(chosen), config.shard_size))
    }
    todo = [(items, path) for path, items in shards.items() if not path.exists()]
    done = len(chosen) - sum(len(items) for items, _ in todo)
    run = _with_ray if use_ray else _with_processes
    for made in run(_Job(config, model), todo, workers, devices):
        done += made
        if progress:
            progress(done, len(chosen))
    return _finish(model, len(chosen), list(shards), image_size, out)


def _prompts(config: SynthesisConfig) -> Prompts:
    return prompts_for(config.task, data=config.data, split=config.split, table=config.table, seed=config.seed)


def _pipeline(config: SynthesisConfig, model: Path, device: str) -> AnyToAnyPipeline:
    """The model, which samples as the config says."""
    pipe = AnyToAnyPipeline.from_pretrained(model, device=device)
    pipe.sampling = pipe.sampling.changed(num_inference_steps=config.steps, guidance_scale=config.guidance)
    return pipe


def _claim(config: SynthesisConfig, prompts: Prompts, sampling: SamplingConfig, model: Path, out: Path) -> None:
    path = out / RECORD
    if not path.exists() and (out / MANIFEST).exists():
        raise UserError(f"{out} holds another data set: choose another folder.")
    origin = prompts.data.manifest_hash if prompts.data else sha256(config.table) if config.table else "composed"
    settings = asdict(config) | {
        "task": str(config.task),
        "data": None,
        "table": None,
        "prompts": origin,
        "model_hash": model_hash(model),
        "sampling": asdict(sampling),
    }
    wanted = json.loads(json.dumps(settings, default=str))
    if path.exists() and json.loads(path.read_text()) != wanted:
        raise UserError(f"{out} holds a synthesis with other settings (see {RECORD}): choose another folder.")
    write_json(path, wanted)


def _finish(model: Path, count: int, shards: list[Path], image_size: int, out: Path) -> dict[str, Any]:
    gate = Counter[str]()
    for path in shards:
        gate.update(shard_notes(path)["gate"])
    settings = json.loads((out / RECORD).read_text())
    account = {"studies_seen": count, "dropped": {}, "images_left_out": {}}
    options = {"kind": "synthetic", "image_size": image_size}
    about = {
        "settings": settings,
        "model_hash": model_hash(model),
        "draws": gate["tries"],
        "below_the_gate": gate["failed"],
    }
    return write_manifest(options, account, shards, out, synthetic=about)


@dataclass(frozen=True)
class _Job:
    """What a worker needs to set itself up."""

    config: SynthesisConfig
    model: Path

    def maker(self, device: str) -> Maker:
        config = self.config
        prompts = _prompts(config)
        judge = Judge.load(self.model / "judge").to(device).eval() if config.gate.agreement is not None else None
        recipe = Recipe(
            task=config.task,
            seed=config.seed,
            gate=config.gate,
            keep_given=config.keep_given,
            model_hash=model_hash(self.model),
        )
        return Maker(
            _pipeline(config, self.model, device), judge, prompts, choose(prompts, config.wish, config.seed), recipe
        )


_maker: Maker | None = None


def _set_up(job: _Job, devices: Any) -> None:
    """In a worker process: one thread, so that sums are in the same order everywhere, and the next device."""
    global _maker
    end_with_parent()
    torch.set_num_threads(1)
    _maker = job.maker(devices.get())


def _make(items: range, path: Path) -> int:
    assert _maker is not None
    _maker.write(items, path)
    return len(items)


def _with_processes(job: _Job, todo: list[tuple[range, Path]], workers: int, devices: tuple[str, ...]) -> Iterator[int]:
    """Shards in worker processes; a pool that a dying worker has broken is made anew for what is left."""
    deaths = 0
    while todo:
        finished = set()
        try:
            with worker_pool(min(workers, len(todo)), _set_up, job, devices) as pool:
                futures = {pool.submit(_make, items, path): path for items, path in todo}
                for future in as_completed(futures):
                    made = future.result()
                    finished.add(futures[future])
                    yield made
        except BrokenProcessPool:
            deaths = 1 if finished else deaths + 1
            if deaths >= MAX_DEATHS:
                left = sum(len(items) for items, path in todo if not path.exists())
                raise UserError(
                    f"Workers died {deaths} times in a row without finishing a shard: most likely memory ran out."
                    f" {left} studies are left; what is done is kept. Run the same command with fewer --workers."
                ) from None
        todo = [(items, path) for items, path in todo if not path.exists()]


def _with_ray(job: _Job, todo: list[tuple[range, Path]], workers: int, devices: tuple[str, ...]) -> Iterator[int]:
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

    @ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=MAX_DEATHS, max_task_retries=MAX_DEATHS)
    class Worker:
        def __init__(self) -> None:
            torch.set_num_threads(1)
            self.maker = job.maker("cuda" if gpus else "cpu")

        def make(self, items: range, path: Path) -> int:
            self.maker.write(items, path)
            return len(items)

    try:
        actors = [Worker.remote() for _ in range(min(workers, max(len(todo), 1)))]  # pyright: ignore[reportAttributeAccessIssue]
        pool = ray.util.ActorPool(actors)
        for made in pool.map_unordered(lambda worker, shard: worker.make.remote(*shard), todo):
            yield int(made)  # pyright: ignore[reportArgumentType]
    except ray.exceptions.RayTaskError as error:
        raise error.cause if isinstance(error.cause, UserError) else error from None
    except ray.exceptions.RayActorError as error:
        raise UserError(
            f"Ray's workers keep dying ({str(error)[:120]}): what is done is kept. Run the same command with fewer"
            " --workers."
        ) from None
    finally:
        ray.shutdown()
