"""Generate all tasks on a held-out split, then score them with the judge: the first form of the evaluation.

Generation is saved task by task under OUT/generated, so that the same command resumes and scoring alone can be run again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import omnicxr
from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.files import check_writable, whole_file, write_json
from omnicxr.data.labeler import label_report
from omnicxr.domain import IMAGE_MODALITIES, Finding, LabelState, Modality, Task, UserError
from omnicxr.evaluation import metrics, uncertainty
from omnicxr.evaluation.reconstruction import image_reconstruction, report_reconstruction
from omnicxr.evaluation.references import Parts, parts_of
from omnicxr.models.judge import MEASURES, Judge
from omnicxr.pipeline import AnyToAnyPipeline, StudyOutput, model_hash

CHUNK = 16
Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """What is measured. `num` studies of the split at most, the same for every task."""

    tasks: tuple[Task, ...] = Task.all()
    num: int = 500
    split: str = "test"
    """`validate` is for choosing settings such as guidance; figures to report come from `test`."""
    seed: int = 0
    steps: int | None = None
    guidance: float | None = None


def evaluate(
    config: EvaluationConfig, model: Path, data: Path, out: Path, *, device: str = "cpu", progress: Progress | None = None
) -> dict[str, Any]:
    """Write OUT/metrics.json and return it. Raises UserError for a model without a judge or a test split that is too small."""
    test, validate = PreparedDataset(data, config.split), PreparedDataset(data, "validate")
    rows = test.having(*Modality)[: config.num]
    if len(rows) < 2 * metrics.MIN_CASES:
        raise UserError(f"Only {len(rows)} complete {config.split} studies in {data}: at least {2 * metrics.MIN_CASES} are needed.")
    pipe = AnyToAnyPipeline.from_pretrained(model, device=device)
    if test.image_size != pipe.image_size:
        raise UserError(f"{data} has pictures of {test.image_size} px, the model works at {pipe.image_size}: prepare it again.")
    if not (model / "judge").is_dir():
        raise UserError(f"{model} has no judge to measure with: run `omnicxr train judge` in its run folder.")
    scorer = Scorer(pipe, Judge.load(model / "judge").to(device), validate)
    check_writable(out)
    _claim(config, model, test, rows, out)
    real = parts_of(test, rows)
    labels = test.labels[rows] == 1
    result: dict[str, Any] = {
        "about": _about(config, pipe, model, test, len(rows)),
        "real": scorer.real(real, labels),
        "autoencoders": _autoencoders(pipe, real),
        "tasks": {},
    }
    for done, task in enumerate(config.tasks):
        generated = _generate(task, config, pipe, real, out / "generated")
        result["tasks"][str(task)] = scorer.task(task, generated, real, labels)
        if progress:
            progress(done + 1, len(config.tasks))
    result = _finite(result)
    write_json(out / "metrics.json", result)
    return result


def _about(config: EvaluationConfig, pipe: AnyToAnyPipeline, model: Path, test: PreparedDataset, n: int) -> dict[str, Any]:
    """What every result must carry."""
    return {
        "version": omnicxr.__version__, "model_hash": model_hash(model), "data_manifest": test.manifest_hash, "split": test.split, "studies": n,
        "seed": config.seed, "steps": config.steps or pipe.sampling.num_inference_steps,
        "guidance": pipe.sampling.guidance_scale if config.guidance is None else config.guidance, "solver": pipe.sampling.solver,
        "scored_by": "judge of the model folder", "findings": list(Finding), "measures": list(MEASURES),
        "interval": f"95 %, {uncertainty.RESAMPLES} bootstrap resamples over studies",
    }  # fmt: skip


def _claim(config: EvaluationConfig, model: Path, test: PreparedDataset, rows: np.ndarray, out: Path) -> None:
    path = out / "generated" / "settings.json"
    wanted = {"model": model_hash(model), "data": test.manifest_hash, "split": config.split, "studies": len(rows), "seed": config.seed,
              "steps": config.steps, "guidance": config.guidance}  # fmt: skip
    if path.exists() and json.loads(path.read_text()) != wanted:
        raise UserError(f"{out} holds an evaluation with other settings: choose another folder.")
    write_json(path, wanted)


def _autoencoders(pipe: AnyToAnyPipeline, real: Parts) -> dict[str, Any]:
    views = {str(m): image_reconstruction(pipe.image_autoencoder, real[m]) for m in IMAGE_MODALITIES}
    return {**views, "report": report_reconstruction(pipe.report_autoencoder, pipe.tokenizer, real[Modality.REPORT])}


def _generate(task: Task, config: EvaluationConfig, pipe: AnyToAnyPipeline, real: Parts, folder: Path) -> Parts:
    """Generate one task for all studies, or read what an earlier run saved."""
    path = folder / f"{str(task).replace('->', '_to_')}.npz"
    if not path.exists():
        outputs = _run_pipeline(task, config, pipe, real)
        with whole_file(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **{m: np.array(v) for m, v in outputs.items()})  # pyright: ignore[reportArgumentType]
    with np.load(path, allow_pickle=False) as saved:
        return {m: saved[m] if m.is_image else saved[m].tolist() for m in task.generate}


def _run_pipeline(task: Task, config: EvaluationConfig, pipe: AnyToAnyPipeline, real: Parts) -> Parts:
    n = len(real[Modality.REPORT])
    outputs: dict[Modality, list[Any]] = {m: [] for m in task.generate}
    for start in range(0, n, CHUNK):
        chosen = slice(start, min(start + CHUNK, n))
        given: dict[str, Any] = {str(m): list(real[m][chosen]) for m in task.given}
        size = chosen.stop - chosen.start
        generators = [torch.Generator().manual_seed(config.seed * 1_000_003 + i) for i in range(start, chosen.stop)]
        part: StudyOutput = pipe(**given, generate=task.generate, num=1 if given else size, generator=generators, batch_size=CHUNK,
                                 num_inference_steps=config.steps, guidance_scale=config.guidance)  # fmt: skip
        for m in task.generate:
            outputs[m] += [np.asarray(v) if m.is_image else v for v in getattr(part, m)]
    return outputs


class Scorer:
    """The judge with thresholds chosen on validation studies, and the prompt encoders for matching views."""

    def __init__(self, pipe: AnyToAnyPipeline, judge: Judge, validate: PreparedDataset) -> None:
        self.pipe, self.judge = pipe, judge
        rows = validate.having(*Modality)
        labels = validate.labels[rows] == 1
        scores = {m: self.read(m, part)[0] for m, part in parts_of(validate, rows).items()}
        self.thresholds = {m: metrics.best_thresholds(labels, s) for m, s in scores.items()}
        self.both_views = metrics.best_thresholds(labels, _mean_views(scores))

    @torch.no_grad()
    def read(self, modality: Modality, part: Any) -> tuple[np.ndarray, np.ndarray]:
        """Pictures or reports => finding probabilities [n, 14] and continuous measures [n, 7] in their own units."""
        config, out = self.judge.config, []
        for start in range(0, len(part), 64):
            x = self.pipe.network_input(modality, list(part[start : start + 64]))
            logits, measures = self.judge(modality, x)
            out.append((logits.sigmoid().cpu().numpy(), measures.cpu().numpy()))
        probabilities, standardised = (np.concatenate(o) for o in zip(*out, strict=True))
        return probabilities, standardised * np.array(config.measure_std) + np.array(config.measure_mean)

    @torch.no_grad()
    def embed(self, modality: Modality, part: Any) -> np.ndarray:
        """Prompt embeddings [n, d] of length 1."""
        parts = [self.pipe.prompts.embed(modality, self.pipe.network_input(modality, list(part[i : i + 64]))).cpu().numpy()
                 for i in range(0, len(part), 64)]  # fmt: skip
        return np.concatenate(parts)

    def real(self, parts: Parts, labels: np.ndarray) -> dict[str, Any]:
        """The bounds: what the judge makes of the real test studies."""
        scores = {m: self.read(m, parts[m])[0] for m in Modality}
        views = {str(m): self._image(scores[m], labels) for m in IMAGE_MODALITIES}
        own = _mean_views(scores) > self.both_views
        return {
            **views,
            "report": self._report(parts[Modality.REPORT], parts[Modality.REPORT], labels),
            "judge_from_both_views": _f1s(labels, own),
            "views_agree": self._views_agree(parts),
        }

    def task(self, task: Task, generated: Parts, real: Parts, labels: np.ndarray) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for m in task.generate:
            if m.is_image:
                out[m] = self._image(self.read(m, generated[m])[0], labels)
            else:
                out[m] = self._report(generated[m], real[m], labels)
        if all(m in task.generate for m in IMAGE_MODALITIES):
            out["views_agree"] = self._views_agree(generated)
        return out

    def _image(self, scores: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
        per_finding = metrics.auroc(labels, scores)
        return {
            "auroc_macro": metrics.with_interval(lambda y, s: metrics.macro(metrics.auroc(y, s)), labels, scores),
            "auroc": dict(zip(Finding, map(float, per_finding), strict=True)),
        }

    def _report(self, reports: Sequence[str], references: Sequence[str], labels: np.ndarray) -> dict[str, Any]:
        predicted = self.read(Modality.REPORT, reports)[0] > self.thresholds[Modality.REPORT]
        stated = np.array([[state is LabelState.POSITIVE for state in label_report(r).values()] for r in reports])
        return {
            **_f1s(labels, predicted),
            "by_rules": _f1s(labels, stated),
            "bleu4": metrics.bleu4(reports, references),
            "distinct_share": metrics.distinct_share(reports),
        }

    def _views_agree(self, parts: Parts) -> dict[str, Any]:
        """Do frontal and lateral show the same study? Findings (kappa), continuous truth (r) and partner retrieval."""
        scores, measures = zip(*(self.read(m, parts[m]) for m in IMAGE_MODALITIES), strict=True)
        found = [s > self.thresholds[m] for s, m in zip(scores, IMAGE_MODALITIES, strict=True)]
        frontal, lateral = (self.embed(m, parts[m]) for m in IMAGE_MODALITIES)
        return {
            "finding_kappa": metrics.with_interval(lambda a, b: metrics.macro(metrics.kappa(a, b)), *found),
            "score_correlation": metrics.with_interval(lambda a, b: metrics.macro(metrics.correlation(a, b)), *scores),
            "measure_correlation": dict(zip(MEASURES, map(float, metrics.correlation(*measures)), strict=True)),
            "cardiothoracic_ratio_correlation": metrics.with_interval(lambda a, b: float(metrics.correlation(a, b)[0]), *measures),
            "partner_r_at_1_of_50": metrics.partner_rank(frontal, lateral),
        }


def _mean_views(scores: dict[Modality, np.ndarray]) -> np.ndarray:
    return np.mean([scores[m] for m in IMAGE_MODALITIES], axis=0)


def _f1s(labels: np.ndarray, predicted: np.ndarray) -> dict[str, Any]:
    return {
        "f1_micro": metrics.with_interval(metrics.micro_f1, labels, predicted),
        "f1_macro": metrics.macro_f1(labels, predicted),
    }


def _finite(value: Any) -> Any:
    """NaN => None, numbers rounded to 4 decimals, for JSON."""
    if isinstance(value, dict):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    return value
