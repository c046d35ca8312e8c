"""A training run: stages in order, each in its folder, the model folder growing beside them.

RUN/config.json                     resolved preset, seed, code version, hash of the data
RUN/<stage>/config.json ...         its optimisation, curves, sample sheets, checkpoint
RUN/<stage>/from.json               with --from: which parameters were not taken over
RUN/model/                          the model folder, with the judge in model/judge
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

import omnicxr
from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.files import check_writable, write_json
from omnicxr.domain import Modality, UserError
from omnicxr.models.component import WEIGHTS
from omnicxr.models.folder import component_folder
from omnicxr.models.generator.network import Generator
from omnicxr.models.image_autoencoder import ImageAutoencoder
from omnicxr.models.prompt_encoders import PromptEncoders
from omnicxr.models.refiner import Refiner
from omnicxr.models.report_autoencoder import ReportAutoencoder
from omnicxr.models.tokenizer import ReportTokenizer
from omnicxr.pipeline import AnyToAnyPipeline
from omnicxr.training.config import Preset
from omnicxr.training.latents import Latents, encode_share, join_shares, load_latents
from omnicxr.training.loop import LoopConfig, Report, Stage, processes, train_stage
from omnicxr.training.origin import READS_REPORTS, Origin, component_of
from omnicxr.training.stages.generator import GeneratorStage
from omnicxr.training.stages.image_autoencoder import ImageAutoencoderStage
from omnicxr.training.stages.judge import JudgeStage
from omnicxr.training.stages.prompt_encoders import PromptEncodersStage
from omnicxr.training.stages.refiner import RefinerStage
from omnicxr.training.stages.report_autoencoder import ReportAutoencoderStage

STAGES = ("image-autoencoder", "report-autoencoder", "prompt-encoders", "refiner", "generator", "guide", "judge")
"""In the order in which `all` trains them. "judge" needs only the tokenizer of "report-autoencoder"."""
GENERATORS = ("generator", "guide")
BUDGET_SHARES = {
    "image-autoencoder": 0.22,
    "report-autoencoder": 0.1,
    "prompt-encoders": 0.07,
    "refiner": 0.1,
    "generator": 0.4,
    "guide": 0.04,
    "judge": 0.07,
}
"""How `all` spends a budget of time."""


@dataclass(frozen=True)
class TrainingRun:
    """One run folder, its data and settings."""

    preset: Preset
    loop: LoopConfig
    data: Path
    out: Path
    origin: Origin | None = None
    """Where stages start from, and where stages come from that this run has not trained; None: from chance."""
    report: Report | None = None
    on_checkpoint: Callable[[Path], None] | None = None

    def train(self, stage: str) -> None:
        """Train one stage, or "all"; what is finished is not done again. Raises UserError for a stage whose inputs are
        missing."""
        if stage != "all" and stage not in STAGES:
            raise UserError(f"Unknown stage '{stage}': choose from {', '.join(STAGES)}, all.")
        check_writable(self.out)
        data, held_out = self._open("train"), self._open("validate")
        self._claim(data)
        for name in STAGES if stage == "all" else (stage,):
            self._settle(
                self.out / name / "config.json", asdict(self.preset.optimization[name]) | {"from": self._start}
            )
            torch.manual_seed(self.loop.seed)
            built = self._build(name, data, held_out)
            self._take_over(name, built)
            model = train_stage(
                built,
                self.preset.optimization[name],
                self._loop(name, stage),
                self.out / name,
                report=self.report,
                on_checkpoint=self.on_checkpoint,
            )
            if processes().is_main_process:
                model.save(self.folder_of(name))
                if name in GENERATORS:
                    self._assemble(data)

    @property
    def _start(self) -> str | None:
        """Hash of the model that training starts from."""
        return self.origin.hash if self.origin else None

    def _loop(self, name: str, wanted: str) -> LoopConfig:
        """With the stage's share of the budget."""
        if wanted != "all" or self.loop.budget_minutes is None:
            return self.loop
        return replace(self.loop, budget_minutes=self.loop.budget_minutes * BUDGET_SHARES[name])

    def folder_of(self, stage: str) -> Path:
        """Where the trained network of a stage lies."""
        return component_folder(self.out / "model", component_of(stage))

    @property
    def tokenizer_folder(self) -> Path:
        return self.out / "model" / "tokenizer"

    def _open(self, split: str) -> PreparedDataset:
        data = PreparedDataset(self.data, split)
        if data.image_size != self.preset.image_size:
            wanted = self.preset.image_size
            raise UserError(
                f"{self.data} has pictures of {data.image_size} px, preset '{self.preset.name}' wants {wanted}: "
                f"prepare it again with --image-size {wanted}."
            )
        return data

    def _claim(self, data: PreparedDataset) -> None:
        """Write what the whole run shares, or check that it is as it was."""
        shared = {k: v for k, v in asdict(self.preset).items() if k != "optimization"}
        self._settle(self.out / "config.json", {"preset": shared, "seed": self.loop.seed, "data": data.manifest_hash})

    def _settle(self, path: Path, settings: dict[str, Any]) -> None:
        wanted = json.loads(json.dumps(settings))
        if path.exists():
            found = json.loads(path.read_text())
            if different := [k for k in wanted if found.get(k) != wanted[k]]:
                raise UserError(
                    f"{path.parent} was begun with another {different[0]} (see {path.name}): use the same settings or"
                    " another folder."
                )
        elif processes().is_main_process:
            write_json(path, wanted | {"version": omnicxr.__version__, "commit": commit()})

    def _tokenizer(self, data: PreparedDataset) -> ReportTokenizer:
        if not (self.tokenizer_folder / "tokenizer.json").exists():
            reports = (data.reports[i] for i in data.having(Modality.REPORT))
            shape = {"vocab_size": self.preset.vocab_size, "max_tokens": self.preset.max_tokens}
            made = (
                self.origin.tokenizer(self.preset.max_tokens)
                if self.origin
                else ReportTokenizer.train(reports, **shape)
            )
            made.save(self.tokenizer_folder)
        return ReportTokenizer.load(self.tokenizer_folder, max_tokens=self.preset.max_tokens)

    def _build(self, name: str, data: PreparedDataset, held_out: PreparedDataset) -> Stage:
        common, device = (
            {"seed": self.loop.seed, "world_size": processes().num_processes},
            processes().device or torch.device("cpu"),
        )
        if name == "image-autoencoder":
            return ImageAutoencoderStage(
                self.preset, data, held_out, device=device, decoder_of=self._decoder_of(), **common
            )
        if name in GENERATORS:
            with processes().main_process_first():
                config = self.preset.generator_config() if name == "generator" else self.preset.guide_config()
                parts = self._pipeline(self._tokenizer(data), Generator(config))
            self._check_latents(parts)
            parts = parts.to(device)
            latents = self._latents(data, parts), self._latents(held_out, parts)
            return GeneratorStage(self.preset, data, held_out, latents, parts, name=name, **common)
        with processes().main_process_first():
            if name == "refiner":
                return RefinerStage(
                    self.preset,
                    data,
                    held_out,
                    self._trained("image-autoencoder", ImageAutoencoder),
                    device=device,
                    **common,
                )
            tokenizer = self._tokenizer(data)
        kind = {
            "report-autoencoder": ReportAutoencoderStage,
            "prompt-encoders": PromptEncodersStage,
            "judge": JudgeStage,
        }[name]
        return kind(self.preset, data, held_out, tokenizer, **common)

    def _decoder_of(self) -> ImageAutoencoder | None:
        """The autoencoder whose decoder alone is trained, if the preset asks for that."""
        if not self.preset.image_decoder_only:
            return None
        if self.origin is None:
            raise UserError("image_decoder_only trains the decoder of a model that there is: add --from MODEL.")
        whole = self.origin.component("image-autoencoder", ImageAutoencoder)
        if whole.config != self.preset.image_autoencoder:
            raise UserError(
                f"The image autoencoder of {self.origin.folder} has other sizes than the preset wants: to train its"
                " decoder on, choose the preset it was trained with."
            )
        return whole

    def _latents(self, data: PreparedDataset, parts: AnyToAnyPipeline) -> Latents:
        """Of every study; each process works out its share."""
        folder, team = self.out / "latents", processes()
        encode_share(
            data,
            parts.image_autoencoder,
            parts.report_autoencoder,
            parts.prompt_encoders,
            parts.tokenizer,
            folder,
            team.process_index,
            team.num_processes,
        )
        team.wait_for_everyone()
        if team.is_main_process:
            join_shares(data, folder, team.num_processes)
        team.wait_for_everyone()
        return load_latents(data, folder, team.device)

    def _take_over(self, name: str, built: Stage) -> None:
        if self.origin and name != "guide":  # a guide is to be worse than the generator: it begins from chance
            tokenizer = (
                ReportTokenizer.load(self.tokenizer_folder, max_tokens=self.preset.max_tokens)
                if name in READS_REPORTS
                else None
            )
            anew = self.origin.take_over(name, built.model, tokenizer)
            if processes().is_main_process:
                write_json(self.out / name / "from.json", {"model": str(self.origin.folder), "anew": anew})

    def _check_latents(self, parts: AnyToAnyPipeline) -> None:
        """Autoencoders may come from another model (`origin`, or a copied folder): their latents must be what the
        preset's generator wants."""
        made = {
            "image_autoencoder.latent_channels": parts.image_autoencoder.config.latent_channels,
            "image_autoencoder.pixels_per_latent": parts.image_autoencoder.config.pixels_per_latent,
            "report_autoencoder.latent_tokens": parts.report_autoencoder.config.latent_tokens,
            "report_autoencoder.latent_channels": parts.report_autoencoder.config.latent_channels,
        }
        for setting, found in made.items():
            part, field = setting.split(".")
            if found != (wanted := getattr(getattr(self.preset, part), field)):
                raise UserError(
                    f"{self.out / 'model' / part} has {field} {found}, the preset wants {wanted}: "
                    f"add --set {setting}={found}, or train the stage '{part.replace('_', '-')}' first."
                )

    def _trained(self, stage: str, kind: Any) -> Any:
        folder = self.folder_of(stage)
        if self.origin and not (folder / WEIGHTS).exists():
            self.origin.component(stage, kind).save(folder)
        if not (folder / WEIGHTS).exists():
            raise UserError(
                f"The stage '{stage}' is not trained yet ({folder} is empty): run `omnicxr train {stage}` first."
            )
        return kind.load(folder)

    def _pipeline(
        self, tokenizer: ReportTokenizer, generator: Generator, guide: Generator | None = None
    ) -> AnyToAnyPipeline:
        """Of a generator and what was trained before it."""
        return AnyToAnyPipeline(
            image_autoencoder=self._trained("image-autoencoder", ImageAutoencoder),
            refiner=self._trained("refiner", Refiner),
            report_autoencoder=self._trained("report-autoencoder", ReportAutoencoder),
            tokenizer=tokenizer,
            prompt_encoders=self._trained("prompt-encoders", PromptEncoders),
            generator=generator,
            guide=guide,
            image_size=self.preset.image_size,
        )

    def _assemble(self, data: PreparedDataset) -> None:
        """Write `model_index.json`, which makes RUN/model a model folder. Of its guide only one trained in this run is
        kept."""
        guide = Generator.load(self.folder_of("guide")) if (self.folder_of("guide") / WEIGHTS).exists() else None
        pipe = self._pipeline(self._tokenizer(data), self._trained("generator", Generator), guide)
        provenance = {
            "preset": self.preset.name,
            "seed": self.loop.seed,
            "data_manifest": data.manifest_hash,
            "studies": len(data),
            "version": omnicxr.__version__,
            "commit": commit(),
            "from": self._start,
        }
        pipe.save_pretrained(self.out / "model", half=False, provenance=provenance)


def commit() -> str:
    """The commit of the source tree, "unknown" outside of one."""
    try:
        folder = Path(omnicxr.__file__).parent
        return subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
