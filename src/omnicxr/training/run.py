"""A training run: stages in order, each in its folder, the model folder growing beside them.

RUN/config.json                     resolved preset, seed, code version, hash of the data
RUN/<stage>/config.json ...         its optimisation, curves, sample sheets, checkpoint
RUN/<stage>/from.json               with --from: which parameters were not taken over
RUN/model/                          the model folder, with the judge in model/judge
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

import omnicxr
from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.files import claim, output_folder, write_json
from omnicxr.domain import Modality, UserError
from omnicxr.models.component import CONFIG, WEIGHTS, Component
from omnicxr.models.door import Door
from omnicxr.models.folder import component_folder, model_hash
from omnicxr.models.tokenizer import ReportTokenizer
from omnicxr.pipeline import DESIGNS, AnyToAnyPipeline, component_types
from omnicxr.training.config import Preset
from omnicxr.training.door import make_door
from omnicxr.training.latents import Latents, encode_share, join_shares, load_latents
from omnicxr.training.loop import LoopConfig, Report, Stage, processes, train_stage
from omnicxr.training.origin import Origin
from omnicxr.training.stages.context import StageContext
from omnicxr.training.stages.generator import PublishedStage
from omnicxr.training.stages.table import STAGES, StageSpec, get_stage

FREE = ("version", "commit")
"""What may change while a run goes on."""


@dataclass(frozen=True, kw_only=True)
class TrainingRun:
    """One run folder, its data and settings."""

    preset: Preset
    loop: LoopConfig
    data: Path
    out: Path
    origin: Origin | None = None
    """Where stages start from, and where networks come from that this run has not trained; None: from chance."""
    new_tokenizer: bool = False
    """Train a tokenizer on the reports at hand also where there is an origin, whose own it is otherwise."""
    report: Report | None = None
    on_checkpoint: Callable[[Path], None] | None = None

    def train(self, stage: str) -> None:
        """Train one stage, or "all"; what is finished is not done again. Different stages may be trained side by side
        in one folder. Raises UserError for a stage whose inputs are missing, for one that another command trains, and
        as `train_stage`."""
        specs = self.stages() if stage == "all" else [get_stage(stage)]
        if specs[0] not in self.stages():
            raise UserError(f"The preset '{self.preset.name}' has no stage '{stage}': its generator is not guided.")
        team = processes()
        with ExitStack() as stack:
            with team.main_process_first():  # it keeps the folder for all of them
                if team.is_main_process:
                    stack.enter_context(self._kept_folder(specs))
            self._train(specs, stage)

    @contextmanager
    def _kept_folder(self, specs: list[StageSpec]) -> Iterator[None]:
        """The folder of the only stage, or that of the run, belongs to this command."""
        if len(specs) > 1:
            with output_folder(self.out, results=("*/metrics.jsonl",)):
                yield
            return
        folder, began = self.out / specs[0].name, self.out.exists()
        try:
            with output_folder(folder, results=("metrics.jsonl",)):
                yield
        finally:
            if not began and not folder.exists() and [p.name for p in self.out.glob("*")] == [CONFIG]:
                (self.out / CONFIG).unlink()
                self.out.rmdir()

    def _train(self, specs: list[StageSpec], stage: str) -> None:
        data, held_out = self._open("train"), self._open("validate")
        preset = {k: v for k, v in asdict(self.preset).items() if k != "optimization"}
        self._claim(self.out, {"preset": preset, "seed": self.loop.seed, "data": data.manifest_hash})
        for spec in specs:
            optimization = self.preset.optimization[spec.name]
            self._claim(
                self.out / spec.name,
                asdict(optimization) | {"from": self._start, "keep_best": self.loop.keep_best or None},
            )
            torch.manual_seed(self.loop.seed)
            built = self._build(spec, data, held_out)
            self._initialise(spec, built)
            model = train_stage(
                built,
                optimization,
                self._loop(spec, stage),
                folder=self.out / spec.name,
                report=self.report,
                on_checkpoint=self.on_checkpoint,
            )
            if processes().is_main_process:
                model.save(self._folder(spec.component))
                if spec.needs == "pipe":
                    self._assemble(data)
        if any(spec.needs == "pipe" for spec in specs) and processes().is_main_process:
            self._make_door(data, held_out)

    def stages(self) -> list[StageSpec]:
        """Those that the preset has, in order."""
        guided = self.preset.design == "any-to-any"
        return [spec for spec in STAGES.values() if guided or spec.name != "guide"]

    @property
    def _start(self) -> str | None:
        """Hash of the model that training starts from."""
        return self.origin.hash if self.origin else None

    def _loop(self, spec: StageSpec, wanted: str) -> LoopConfig:
        """With the stage's share of the budget."""
        if wanted != "all" or self.loop.budget_minutes is None:
            return self.loop
        return replace(self.loop, budget_minutes=self.loop.budget_minutes * spec.budget_share)

    def _folder(self, component: str) -> Path:
        """Where a trained network lies."""
        return component_folder(self.out / "model", component)

    def _open(self, split: str) -> PreparedDataset:
        data = PreparedDataset(self.data, split)
        if data.image_size != (wanted := self.preset.image_size):
            raise UserError(
                f"{self.data} has pictures of {data.image_size} px, preset '{self.preset.name}' wants {wanted}:"
                f" prepare it again with --image-size {wanted}."
            )
        return data

    def _claim(self, folder: Path, settings: dict[str, Any]) -> None:
        made_by = {"version": omnicxr.__version__, "commit": commit()}
        claim(folder / CONFIG, settings | made_by, what="training", free=FREE)

    def _tokenizer(self, data: PreparedDataset) -> ReportTokenizer:
        """The run's: the origin's, or trained on the reports at hand."""
        folder, max_tokens = self.out / "model" / "tokenizer", self.preset.max_tokens
        if not (folder / "tokenizer.json").exists():
            if self.origin and not self.new_tokenizer:
                tokenizer = self.origin.tokenizer(max_tokens)
            else:
                reports = (data.reports[i] for i in data.having(Modality.REPORT))
                tokenizer = ReportTokenizer.train(reports, vocab_size=self.preset.vocab_size, max_tokens=max_tokens)
            tokenizer.save(folder)
        return ReportTokenizer.load(folder, max_tokens=max_tokens)

    def _build(self, spec: StageSpec, data: PreparedDataset, held_out: PreparedDataset) -> Stage:
        team = processes()
        context = StageContext(
            preset=self.preset,
            data=data,
            held_out=held_out,
            seed=self.loop.seed,
            world_size=team.num_processes,
            device=team.device or torch.device("cpu"),
        )
        if spec.needs == "pipe":
            return self._build_generator(spec, context)
        with team.main_process_first():  # the others find what the first one wrote
            needs: dict[str, Any] = {}
            if spec.needs == "tokenizer":
                needs["tokenizer"] = self._tokenizer(data)
            elif spec.needs == "image_autoencoder":
                needs["autoencoder"] = self._trained("image_autoencoder")
        return spec.stage(context, **needs)

    def _build_generator(self, spec: StageSpec, context: StageContext) -> Stage:
        kind, stage = DESIGNS[self.preset.design], spec.stage
        config = self.preset.guide_config() if spec.name == "guide" else self.preset.generator_config()
        if self.preset.design == "published":
            stage = PublishedStage
        with processes().main_process_first():
            pipe = self._pipeline(context.data, kind(config))
        self._check_latents(pipe)
        pipe = pipe.to(context.device)
        versions = self.preset.picture_versions
        latents = [self._latents(context.data, pipe, number=n, versions=versions) for n in range(versions)]
        held_out = self._latents(context.held_out, pipe)
        return stage(context, name=spec.name, pipe=pipe, latents=latents, held_out_latents=held_out)

    def _latents(self, data: PreparedDataset, pipe: AnyToAnyPipeline, *, number: int = 0, versions: int = 1) -> Latents:
        """Of every study; each process works out its share. number: of the version of the pictures, of so many."""
        folder, team = self.out / "latents", processes()
        encode_share(data, pipe, folder, share=team.process_index, shares=team.num_processes, number=number)
        team.wait_for_everyone()
        if team.is_main_process:
            join_shares(data, folder, team.num_processes, number=number)
        team.wait_for_everyone()
        return load_latents(data, folder, team.device, number=number, versions=versions)

    def _initialise(self, spec: StageSpec, built: Stage) -> None:
        """From the origin, if there is one."""
        if self.origin is None or spec.from_chance:
            return
        folder, max_tokens = self.out / "model" / "tokenizer", self.preset.max_tokens
        tokenizer = ReportTokenizer.load(folder, max_tokens=max_tokens) if spec.reads_reports else None
        others = self.origin.initialise(spec.component, built.model, tokenizer)
        if processes().is_main_process:
            write_json(self.out / spec.name / "from.json", {"model": str(self.origin.folder), "from_chance": others})

    def _check_latents(self, pipe: AnyToAnyPipeline) -> None:
        """Autoencoders may come from another model (`origin`, or a copied folder): their latents must be what the
        preset's generator wants."""
        for component, field in (
            ("image_autoencoder", "latent_channels"),
            ("image_autoencoder", "pixels_per_latent"),
            ("report_autoencoder", "latent_tokens"),
            ("report_autoencoder", "latent_channels"),
        ):
            found = getattr(getattr(pipe, component).config, field)
            if found != (wanted := getattr(getattr(self.preset, component), field)):
                raise UserError(
                    f"{self.out / 'model' / component} has {field} {found}, the preset wants {wanted}: add --set"
                    f" {component}.{field}={found}, or train the stage '{component.replace('_', '-')}' first."
                )

    def _trained(self, component: str) -> Any:
        """A network that this run, or else the origin, has trained."""
        folder = self._folder(component)
        kind = component_types(self.preset.design)[component]
        if self.origin and not (folder / WEIGHTS).exists() and self._goes_with_origin(component):
            self.origin.component(component, kind).save(folder)
        if not (folder / WEIGHTS).exists():
            stage = component.replace("_", "-")
            raise UserError(
                f"The stage '{stage}' is not trained yet ({folder} is empty): run `omnicxr train {stage}` first."
            )
        return kind.load(folder)

    def _goes_with_origin(self, component: str) -> bool:
        """Whether the origin's network of that name can be used as it is: not with a tokenizer of the run's own."""
        if not get_stage(component.replace("_", "-")).reads_reports or not self.origin:
            return True
        folder, most = self.out / "model" / "tokenizer", self.preset.max_tokens
        if not folder.exists():
            return not self.new_tokenizer
        return ReportTokenizer.load(folder, max_tokens=most).fingerprint == self.origin.tokenizer(most).fingerprint

    def _pipeline(self, data: PreparedDataset, generator: Component) -> AnyToAnyPipeline:
        """Of a generator and what was trained before it. Of its guide only one trained in this run is kept."""
        guide = self._trained("guide") if (self._folder("guide") / WEIGHTS).exists() else None
        names = ("image_autoencoder", "refiner", "report_autoencoder", "prompt_encoders")
        networks: dict[str, Any] = {name: self._trained(name) for name in names}
        networks |= {"generator": generator, "guide": guide, "tokenizer": self._tokenizer(data)}
        return AnyToAnyPipeline(image_size=self.preset.image_size, **networks)

    def _assemble(self, data: PreparedDataset) -> None:
        """Write `model_index.json`, which makes RUN/model a model folder."""
        pipe = self._pipeline(data, self._trained("generator"))  # which writes what comes from the origin
        provenance = {
            "preset": self.preset.name,
            "seed": self.loop.seed,
            "data_manifest": data.manifest_hash,
            "studies": len(data),
            "version": omnicxr.__version__,
            "commit": commit(),
            "from": self._start,
        }
        pipe.save_index(self.out / "model", provenance=provenance)

    def _make_door(self, data: PreparedDataset, held_out: PreparedDataset) -> None:
        """Write the door of what was trained; one that was made with the same networks and data is kept."""
        made_with = f"{model_hash(self.out / 'model')} {data.manifest_hash}"
        door = Door.load(self.out / "model")
        if door is None or door.made_with != made_with:
            pipe = self._pipeline(data, self._trained("generator")).to(processes().device or "cpu")
            replace(make_door(pipe, data, held_out), made_with=made_with).save(self.out / "model")


def commit() -> str:
    """The commit of the source tree, "unknown" outside of one."""
    try:
        folder = Path(omnicxr.__file__).parent
        return subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
