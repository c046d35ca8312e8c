"""One evaluation: get the generated studies of every task, score them and the reference predictors, write metrics.json.

Generation and scoring are apart: what was generated stays under OUT/generated, so the same command resumes, and scores again without generating.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import omnicxr
from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.files import check_writable, sha256, whole_file, write_json
from omnicxr.domain import Finding, Modality, Task, UserError
from omnicxr.domain.measures import MEASURES
from omnicxr.evaluation import clinical, comparison, metrics, uncertainty
from omnicxr.evaluation.chexbert import CheXbertLabeler
from omnicxr.evaluation.extractors import frechet_name
from omnicxr.evaluation.generation import (
    MADE_BY,
    FolderGenerations,
    ModelGenerations,
    TableGenerations,
    read_generations,
    save_parts,
    task_name,
    touched,
)
from omnicxr.evaluation.radgraph import RadGraphScorer
from omnicxr.evaluation.reader import Classifier, Labeler, Reader, mean_of_views
from omnicxr.evaluation.reconstruction import image_reconstruction, report_reconstruction, through_autoencoder
from omnicxr.evaluation.references import NAMES, Parts, References
from omnicxr.evaluation.suite import SUITES, Suite, SuiteSize, measured
from omnicxr.evaluation.xrv import XrvClassifier
from omnicxr.models.component import WEIGHTS
from omnicxr.models.judge import Judge
from omnicxr.pipeline import AnyToAnyPipeline, model_hash, model_provenance

Progress = Callable[[int, int, str], None]
"""(done, total, what is being done)."""
CLASSIFIERS: dict[str, Callable[[str], Classifier] | None] = {"judge": None, "xrv-densenet121": XrvClassifier}
LABELERS: dict[str, Callable[[str], Labeler] | None] = {"rules": None, "chexbert": CheXbertLabeler}
"""Name => maker for a device; None for what every reader has."""


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """What is measured, on the same studies for every task."""

    tasks: tuple[Task, ...] = ()
    """Empty: every task that the studies of the data set allow."""
    suite: str = "quick"
    """quick or full (`suite.SUITES`)."""
    num: int | None = None
    """Studies of the split at most; None for the suite's number."""
    split: str = "test"
    """`validate` is for choosing settings such as guidance; figures to report come from `test`."""
    extractors: tuple[str, ...] = ()
    """Names of feature extractors (`extractors`); empty for the suite's."""
    classifier: str = "judge"
    """Who reads the findings of frontal views: a name of CLASSIFIERS."""
    labeler: str = "rules"
    """Who reads the findings of reports: a name of LABELERS."""
    radgraph: bool = False
    """Score reports by RadGraph F1 too."""
    seed: int = 0
    steps: int | None = None
    guidance: float | None = None
    guidance_interval: tuple[float, float] | None = None
    order: str | None = None

    def __post_init__(self) -> None:
        for kind, chosen, names in (("classifier", self.classifier, CLASSIFIERS), ("labeler", self.labeler, LABELERS)):
            if chosen not in names:
                raise UserError(f"Unknown {kind} '{chosen}': choose from {', '.join(names)}.")
        if self.suite not in SUITES:
            raise UserError(f"Unknown suite '{self.suite}': choose from {', '.join(SUITES)}.")

    @property
    def size(self) -> SuiteSize:
        suite = SUITES[self.suite]
        return replace(suite, studies=self.num or suite.studies, extractors=self.extractors or suite.extractors)


def evaluate(
    config: EvaluationConfig, model: Path, data: Path, out: Path, *, generated: Path | None = None, device: str = "cpu",
    progress: Progress | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Write OUT/metrics.json and return it; with `generated`, score the studies of that folder and use the model only to read them.

    Raises UserError for a model without a judge, too few studies, an unknown or missing extractor, and generated studies that do not fit the data.
    """
    test, training = PreparedDataset(data, config.split), PreparedDataset(data, "train")
    source = None if generated is None else read_generations(generated, test)
    config = replace(config, tasks=source.tasks if source else config.tasks or Task.among(test.common_parts(2 * metrics.MIN_CASES)))
    modalities = touched(config.tasks)
    rows = (source.rows if source else test.having(*modalities))[: config.size.studies]
    if len(rows) < 2 * metrics.MIN_CASES:
        raise UserError(f"Only {len(rows)} {config.split} studies in {data} have {' and '.join(modalities)}: at least {2 * metrics.MIN_CASES} "
                        "are needed.")  # fmt: skip
    pipe = AnyToAnyPipeline.from_pretrained(model, device=device)
    pipe.sampling = pipe.sampling.changed(num_inference_steps=config.steps, guidance_scale=config.guidance,
                                          guidance_interval=config.guidance_interval, order=config.order)  # fmt: skip
    if test.image_size != pipe.image_size:
        raise UserError(f"{data} has pictures of {test.image_size} px, the model works at {pipe.image_size}: prepare it again.")
    if not (model / "judge").is_dir():
        raise UserError(f"{model} has no judge to measure with: run `omnicxr train judge` in its run folder.")
    made = [make(device) if make else None for make in (CLASSIFIERS[config.classifier], LABELERS[config.labeler])]
    judge = Judge.load(model / "judge").to(device)
    reader = Reader(pipe, judge, PreparedDataset(data, "validate"), modalities, frontal_classifier=made[0], labeler=made[1])  # pyright: ignore[reportArgumentType]
    suite = Suite(reader, test, rows, modalities, training, config.size, device, RadGraphScorer() if config.radgraph else None)
    check_writable(out)
    about = _about(config, pipe, model, test, rows, generated)
    _claim(about, out)
    return Evaluation(config, suite, out, rows, test, source, progress).run(about)


class Evaluation:
    """The steps of one evaluation, in order."""

    def __init__(
        self, config: EvaluationConfig, suite: Suite, out: Path, rows: np.ndarray, test: PreparedDataset,
        source: FolderGenerations | TableGenerations | None, progress: Progress | None,
    ) -> None:  # fmt: skip
        self.config, self.suite, self.out, self.rows, self.test, self.source = config, suite, out, rows, test, source
        self.progress = progress or (lambda done, total, what: None)
        self.done, self.total = 0, 2 * len(config.tasks) + 2
        self.model = ModelGenerations(suite.reader.pipe, suite.real, out / "generated", seed=config.seed)

    def run(self, about: dict[str, Any]) -> dict[str, Any]:
        """Generate everything, then score everything."""
        outputs = {task: self._generate(task) for task in self.config.tasks}
        self._report("real studies")
        result: dict[str, Any] = {
            "about": about, "real": self._real(), "floor": self._floor(),
            "autoencoders": self._autoencoders() if self.source is None else None, "tasks": {}, "references": {},
        }  # fmt: skip
        for task, made in outputs.items():
            self._report(f"scoring {task}")
            result["tasks"][str(task)] = self._score(task, made)
        self._report("reference predictors")
        result["references"] = self._references(outputs)
        result = finite(result)
        write_json(self.out / "metrics.json", result)
        self._report("done")
        return result

    def _report(self, what: str) -> None:
        self.progress(self.done, self.total, what)
        self.done += 1

    def _generate(self, task: Task) -> Parts:
        self._report(f"generating {task}")
        if self.source is not None:
            made = self.source.task(task, self.rows)
            save_parts(self.model.path(task), made)
            return made
        if any(m.is_image for m in task.generate):
            self.model.samples(task, self._prompts, self.config.size.samples)
        return self.model.task(task)

    @property
    def _prompts(self) -> int:
        return min(self.config.size.prompts, len(self.rows))

    def _score(self, task: Task, made: Parts) -> dict[str, Any]:
        suite = self.suite
        readings = suite.reader.read_all(made)
        comparison.save_readings(comparison.path_of(self.out, task), readings, suite, [self._study_id(i) for i in self.rows])
        if Modality.REPORT in task.generate:
            self._write_reports(task, made[Modality.REPORT])
        out = suite.score(task, made, readings)
        for m in task.generate:
            out[m]["privacy"] = suite.privacy(m, made[m])
            if m.is_image:
                out[m]["look"] = suite.look(m, made[m])
        if self.source is None and any(m.is_image for m in task.generate):
            samples = self.model.samples(task, self._prompts, self.config.size.samples)
            for m, variety in suite.variety(samples, self.config.size.samples).items():
                out[m]["variety"] = variety
        return out

    def _write_reports(self, task: Task, reports: list[str]) -> None:
        """OUT/reports/TASK.csv, for measures of other projects."""
        with whole_file(self.out / "reports" / f"{task_name(task)}.csv") as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("study_id", "reference", "generated"))
            ids = [self._study_id(i) for i in self.rows]
            writer.writerows(zip(ids, self.suite.real[Modality.REPORT], reports, strict=True))

    def _study_id(self, row: int) -> str:
        return self.test.table.column("study_id")[int(row)].as_py()

    def _real(self) -> dict[str, Any]:
        """What the readers make of the real studies: the bound for everything."""
        suite = self.suite
        out = suite.score(Task((), suite.modalities), suite.real, suite.readings)
        if (thresholds := suite.reader.both_views) is not None:
            both = mean_of_views({m: r.scores for m, r in suite.readings.items()}) > thresholds
            out["judge_from_both_views"] = clinical.finding_scores(suite.labels, both, suite.patients)
        return out

    @property
    def _views(self) -> list[Modality]:
        return [m for m in self.suite.modalities if m.is_image]

    def _floor(self) -> dict[str, Any]:
        return {m: {name: measured(lambda n=name, v=m: self.suite.floor(n, v)) for name in self.suite.extractors} for m in self._views}

    def _autoencoders(self) -> dict[str, Any]:
        """What they lose, and how real the pictures look that went through them alone: the bound on everything generated."""
        pipe, real, patients = self.suite.reader.pipe, self.suite.real, self.suite.patients
        out: dict[str, Any] = {}
        for m in self._views:
            mean, textured = (through_autoencoder(pipe.image_autoencoder, real[m], t) for t in (None, pipe.texture))
            look = {"look": self.suite.look(m, textured), "look_without_texture": self.suite.look(m, mean)}
            out[m] = {**image_reconstruction(real[m], mean, patients), **look}
        if Modality.REPORT in real:
            out[Modality.REPORT] = report_reconstruction(pipe.report_autoencoder, pipe.tokenizer, real[Modality.REPORT], patients)
        return out

    def _references(self, outputs: dict[Task, Parts]) -> dict[str, Any]:
        """The same findings, text and agreement for predictors that need no generative model."""
        suite = self.suite
        references = References(suite.real, suite.training, suite.reader.embed)
        made: dict[str, dict[Task, Parts]] = {name: {t: references.predict(name, t) for t in outputs} for name in NAMES}
        if (whole := outputs.get(Task((), suite.modalities))) is not None:
            made["unconditional"] = {t: {m: whole[m] for m in t.generate} for t in outputs}
        return {
            name: {str(t): suite.score(t, p, suite.reader.read_all(p), slow=False) for t, p in by_task.items()} for name, by_task in made.items()
        }


def _about(
    config: EvaluationConfig, pipe: AnyToAnyPipeline, model: Path, test: PreparedDataset, rows: np.ndarray, generated: Path | None
) -> dict[str, Any]:
    """What every result must carry."""
    sampling, size = pipe.sampling, config.size
    made_by = {
        "seed": config.seed, "steps": sampling.num_inference_steps, "solver": sampling.solver, "time_shift": sampling.time_shift,
        "guidance": sampling.guidance_scale, "guidance_interval": list(sampling.guidance_interval), "order": sampling.order,
        "preset": model_provenance(model).get("preset"),
    }  # fmt: skip
    return {
        "version": omnicxr.__version__, "suite": config.suite, "data_manifest": test.manifest_hash, "split": test.split, "studies": len(rows),
        "model_hash": model_hash(model), "scored_by": "judge of the model folder", "judge_hash": sha256(model / "judge" / WEIGHTS),
        "frontal_classifier": config.classifier, "labeler": config.labeler,
        **(made_by if generated is None else {"generated": str(generated)}),
        "extractors": {name: frechet_name(name) for name in size.extractors}, "findings": list(Finding), "measures": list(MEASURES),
        "interval": f"95 %, {uncertainty.RESAMPLES} bootstrap resamples over patients",
    }  # fmt: skip


def _claim(about: dict[str, Any], out: Path) -> None:
    """Say in OUT whose results these are; raises UserError where it holds those of other settings."""
    path = out / "generated" / "settings.json"
    keys = ("model_hash", "data_manifest", "split", "studies", *MADE_BY, "generated")
    wanted = {k: about.get(k) for k in keys}
    if path.exists() and json.loads(path.read_text()) != wanted:
        raise UserError(f"{out} holds an evaluation with other settings: choose another folder.")
    write_json(path, wanted)


def finite(value: Any) -> Any:
    """NaN => None, numbers rounded to 4 decimals, for JSON."""
    if isinstance(value, dict):
        return {str(k): finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    if isinstance(value, float | np.floating):
        return round(float(value), 4) if math.isfinite(value) else None
    return value
