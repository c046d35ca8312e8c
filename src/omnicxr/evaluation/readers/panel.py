"""What a classifier, the prompt encoder and the labeler make of the parts of studies; thresholds come from validation
studies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from omnicxr.data.dataset import Parts, PreparedDataset
from omnicxr.data.labeler import label_report
from omnicxr.domain import IMAGE_MODALITIES, LabelState, Modality
from omnicxr.domain.measures import MEASURES
from omnicxr.evaluation.measures import metrics
from omnicxr.evaluation.readers.judges import JudgeReader, measures_missing
from omnicxr.models.inputs import network_input
from omnicxr.models.judge import Judge
from omnicxr.pipeline import AnyToAnyPipeline

CHUNK = 64
Classifier = Callable[[np.ndarray], np.ndarray]
"""uint8 pictures [n, s, s] => finding scores [n, 14], NaN for a finding that it does not know."""
Labeler = Callable[[Sequence[str]], np.ndarray]
"""Reports => bool [n, 14]: findings stated as present."""


@dataclass(frozen=True)
class Reading:
    """One part of every study, read."""

    scores: np.ndarray
    """[n, 14] finding probabilities, NaN for a finding that the classifier does not know."""
    found: np.ndarray
    """bool [n, 14]: scores above the thresholds of that part."""
    measures: np.ndarray
    """[n, measures] continuous truth (`MEASURES`) as the judge estimates it, in its own units; NaN from a judge that
    has not learned it."""
    embeds: np.ndarray
    """[n, d] prompt embeddings of length 1."""
    stated: np.ndarray | None = None
    """bool [n, 14], reports only: what the labeler finds stated."""

    @property
    def known(self) -> np.ndarray:
        """bool [14]: the findings that the classifier knows."""
        return np.asarray(np.isfinite(self.scores).all(0))


class Panel:
    """All who read the studies of one evaluation: judge, prompt encoders, and others in the judge's place."""

    def __init__(
        self,
        pipe: AnyToAnyPipeline,
        judge: Judge | JudgeReader,
        validate: PreparedDataset,
        *,
        modalities: tuple[Modality, ...] = tuple(Modality),
        frontal_classifier: Classifier | None = None,
        labeler: Labeler | None = None,
    ) -> None:
        """`judge`: one that reads reports with a tokenizer of its own is a `JudgeReader`.

        `modalities`: the parts that it will read; thresholds come from the studies of `validate` that have all of
        them.

        `frontal_classifier` reads the findings of frontal views instead of the judge, `labeler` reports instead of the
        rules.
        """
        self.pipe = pipe
        self.judge, self.tokenizer = (
            (judge.judge, judge.tokenizer) if isinstance(judge, JudgeReader) else (judge, pipe.tokenizer)
        )
        self.measures_missing = measures_missing(self.judge)
        """Why continuous truth is not estimated; empty where it is."""
        self.frontal_classifier, self.labeler = frontal_classifier, labeler or stated_findings
        rows = validate.having(*modalities)
        labels = validate.labels[rows] == 1
        scores = {m: self._scores(m, part)[0] for m, part in validate.parts(rows, modalities).items()}
        self.thresholds = {m: metrics.best_thresholds(labels, s) for m, s in scores.items()}
        self.both_views = (
            metrics.best_thresholds(labels, mean_of_views(scores)) if set(scores) >= set(IMAGE_MODALITIES) else None
        )
        """Thresholds for the mean of the scores of the two views, where both are read."""

    def read(self, modality: Modality, part: Any) -> Reading:
        """uint8 pictures [n, s, s], or n reports."""
        scores, measures = self._scores(modality, part)
        stated = None if modality.is_image else self.labeler(part)
        return Reading(scores, scores > self.thresholds[modality], measures, self.embed(modality, part), stated)

    def read_all(self, parts: Parts) -> dict[Modality, Reading]:
        """Every part of the same studies."""
        return {m: self.read(m, part) for m, part in parts.items()}

    @torch.no_grad()
    def embed(self, modality: Modality, part: Any) -> np.ndarray:
        """Prompt embeddings [n, d] of length 1."""
        chunks = [self.pipe.prompt_encoders.embed(modality, x) for x in self._inputs(modality, part)]
        return torch.cat(chunks).float().cpu().numpy()

    @torch.no_grad()
    def judge_features(self, modality: Modality, part: Any) -> np.ndarray:
        """The features [n, c] before the judge's head."""
        features = [self.judge.features(modality, x) for x in self._judge_inputs(modality, part)]
        return torch.cat(features).float().cpu().numpy()

    def _scores(self, modality: Modality, part: Any) -> tuple[np.ndarray, np.ndarray]:
        """Finding scores [n, 14], NaN for a finding that the classifier does not know, and measures [n, measures]."""
        scores, measures = self._judge(modality, part)
        replaced = self.frontal_classifier is not None and modality is Modality.FRONTAL
        return (self.frontal_classifier(part) if replaced else scores), measures  # pyright: ignore[reportOptionalCall]

    @torch.no_grad()
    def _judge(self, modality: Modality, part: Any) -> tuple[np.ndarray, np.ndarray]:
        outputs = [self.judge(modality, x) for x in self._judge_inputs(modality, part)]
        logits, standardised = (torch.cat(o).float().cpu() for o in zip(*outputs, strict=True))
        mean, std = (np.array(v) for v in (self.judge.config.measure_mean, self.judge.config.measure_std))
        measures = np.full((len(part), len(MEASURES)), np.nan) if self.measures_missing else None
        return logits.sigmoid().numpy().round(5), standardised.numpy() * std + mean if measures is None else measures

    def _judge_inputs(self, modality: Modality, part: Any) -> Any:
        chunks = (part[i : i + CHUNK] for i in range(0, len(part), CHUNK))
        return (network_input(modality, list(chunk), self.tokenizer).to(self.judge.device) for chunk in chunks)

    def _inputs(self, modality: Modality, part: Any) -> Any:
        return (self.pipe.network_input(modality, list(part[i : i + CHUNK])) for i in range(0, len(part), CHUNK))


def mean_of_views(scores: dict[Modality, np.ndarray]) -> np.ndarray:
    """Scores of frontal and lateral => their mean."""
    return np.mean([s for m, s in scores.items() if m.is_image], axis=0)


def stated_findings(reports: Sequence[str]) -> np.ndarray:
    """bool [n, 14]: the labeler's positive mentions."""
    return np.array([[state is LabelState.POSITIVE for state in label_report(r).values()] for r in reports])


def truth_of(data: PreparedDataset, rows: np.ndarray) -> np.ndarray | None:
    """[n, measures] continuous truth of some studies, or None where any of them has none."""
    truth = None if data.measures is None else data.measures[rows].astype(float)
    return None if truth is None or np.isnan(truth).any() else truth


def held_out_noun(data: PreparedDataset, rows: np.ndarray) -> str:
    """What studies of a data set are to be called: real is for patients."""
    if data.measures is None:
        return "real"
    simulated = ~np.isnan(data.measures[rows]).any(1)
    if not simulated.any():
        return "real"
    return "held-out simulated" if simulated.all() else "held-out"
