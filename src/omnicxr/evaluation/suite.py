"""All figures of one set of generated (or reference) studies for one task. What cannot be measured is refused with its
reason, not left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from omnicxr.data.dataset import Parts, PreparedDataset
from omnicxr.domain import Finding, Modality, Task, UserError
from omnicxr.evaluation.measures import clinical, consistency, diversity, metrics, text
from omnicxr.evaluation.measures.fidelity import MIN_SAMPLES, frechet_distance, kernel_distance, manifold, mean_distance
from omnicxr.evaluation.measures.privacy import copy_embedding, nearness
from omnicxr.evaluation.measures.uncertainty import mean_estimate
from omnicxr.evaluation.readers.extractors import Extractor, load_extractor
from omnicxr.evaluation.readers.panel import Reader, Reading, truth_of
from omnicxr.evaluation.readers.radgraph import LEVELS, RadGraphScorer


@dataclass(frozen=True, kw_only=True)
class SuiteSize:
    """How much is measured."""

    studies: int
    """Test studies at most."""
    extractors: tuple[str, ...]
    training: int
    """Training studies that generated ones are compared with for copies, at most."""
    prompts: int
    """Studies for which several samples are drawn, to measure diversity."""
    samples: int


SUITES = {
    "quick": SuiteSize(studies=100, extractors=("efficientnet-lite0",), training=2000, prompts=8, samples=3),
    "full": SuiteSize(
        studies=2000, extractors=("efficientnet-lite0", "prompts", "judge"), training=20_000, prompts=50, samples=4
    ),
}


def measured(figure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The figures, or {"refused": reason} where the metric refuses its input."""
    try:
        return figure()
    except UserError as error:
        return {"refused": str(error)}


class Suite:
    """Scores studies against the real ones of the same rows."""

    def __init__(
        self,
        reader: Reader,
        test: PreparedDataset,
        rows: np.ndarray,
        modalities: tuple[Modality, ...],
        training: PreparedDataset,
        size: SuiteSize,
        device: str,
        radgraph: RadGraphScorer | None = None,
    ) -> None:
        """`rows`: test studies, which have all of `modalities`; nothing else of them is looked at."""
        self.modalities = modalities
        self.reader, self.size, self.training, self.radgraph = reader, size, training, radgraph
        self.real = test.parts(rows, modalities)
        self.readings = reader.read_all(self.real)
        self.labels = test.labels[rows] == 1
        self.patients = test.patients[rows]
        self.truth = truth_of(test, rows)
        self.extractors = {name: self._extractor(name, device) for name in size.extractors}
        self._real_features: dict[tuple[str, Modality], tuple[np.ndarray, np.ndarray]] = {}
        self._floors: dict[tuple[str, Modality], dict[str, Any]] = {}
        self.others = self._other_studies(test, rows)
        """As many real studies again, for the real-versus-real floor."""

    def _extractor(self, name: str, device: str) -> Extractor:
        own: dict[str, Extractor] = {"prompts": self.reader.embed, "judge": self.reader.judge_features}
        return own.get(name) or load_extractor(name, device)

    def _other_studies(self, test: PreparedDataset, rows: np.ndarray) -> tuple[Parts, np.ndarray]:
        left = np.setdiff1d(test.having(*self.modalities), rows)[: len(rows)]
        more = self.training.having(*self.modalities)[: len(rows) - len(left)]
        sources = [(d, r) for d, r in ((test, left), (self.training, more)) if len(r)]
        parts = [d.parts(r, self.modalities) for d, r in sources]
        joined = (
            {
                m: np.concatenate([p[m] for p in parts]) if m.is_image else [t for p in parts for t in p[m]]
                for m in parts[0]
            }
            if parts
            else {}
        )
        return joined, np.concatenate([d.labels[r] == 1 for d, r in sources]) if sources else np.zeros(
            (0, len(Finding)), bool
        )

    @cached_property
    def training_rows(self) -> np.ndarray:
        return self.training.having(*self.modalities)[: self.size.training]

    @cached_property
    def training_copies(self) -> dict[Modality, np.ndarray]:
        """Copy embeddings of the training pictures."""
        return {m: _copy_embeddings(self.training, self.training_rows, m) for m in self.modalities if m.is_image}

    @cached_property
    def training_reports(self) -> list[str]:
        return [self.training.reports[i] for i in self.training_rows]

    def score(self, task: Task, made: Parts, readings: dict[Modality, Reading], *, slow: bool = True) -> dict[str, Any]:
        """Findings, truth, text, and agreement of the parts with each other and with those given, which are real;
        `slow`: METEOR and RadGraph too."""
        out: dict[str, Any] = {}
        for m in task.generate:
            if m.is_image:
                out[m] = clinical.image_findings(readings[m], self.labels, self.patients)
            else:
                out[m] = self._report(made[m], readings[m], slow)
            if self.truth is not None:
                out[m]["truth"] = clinical.truth_errors(readings[m].measures, self.truth, self.patients)
        whole = {**{m: self.readings[m] for m in task.given}, **{m: readings[m] for m in task.generate}}
        out["consistency"] = consistency.study_agreement(whole, self.patients, task.given)
        return out

    def _report(self, reports: list[str], reading: Reading, slow: bool) -> dict[str, Any]:
        real = self.real[Modality.REPORT]
        scores = self.radgraph(reports, real) if self.radgraph and slow else None
        return {
            **clinical.report_findings(reading, self.labels, self.patients),
            "text": measured(lambda: dict(text.text_scores(reports, real, meteor=slow))),
            "radgraph": None
            if scores is None
            else {k: mean_estimate(scores[:, i], self.patients).json() for i, k in enumerate(LEVELS)},
            "distinct_share": metrics.distinct_share(reports),
            "lengths": text.lengths(reports),
        }

    def look(self, view: Modality, pictures: np.ndarray) -> dict[str, Any]:
        """How real and how varied the pictures of a view look, by every extractor, with the real-versus-real floor and
        the ratio to it."""
        return {name: measured(lambda n=name: self._fidelity(n, view, pictures)) for name in self.extractors}

    def _fidelity(self, name: str, view: Modality, pictures: np.ndarray) -> dict[str, Any]:
        real, other = self._features(name, view)
        made = self.extractors[name](view, pictures)
        figures, floor = distances(real, made), self.floor(name, view)
        return {
            **figures,
            "frechet_over_floor": figures["frechet"] / floor["frechet"] if floor["frechet"] > 0 else float("nan"),
            "frechet_by_finding": self._by_finding(real, made, other),
        }

    def _features(self, name: str, view: Modality) -> tuple[np.ndarray, np.ndarray]:
        """Of the real studies and of the others."""
        if (name, view) not in self._real_features:
            extract = self.extractors[name]
            other = extract(view, self.others[0][view]) if self.others[0] else np.zeros((0, 1), np.float32)
            self._real_features[name, view] = extract(view, self.real[view]), other
        return self._real_features[name, view]

    def floor(self, name: str, view: Modality) -> dict[str, Any]:
        """The same distances between two sets of different real studies of equal size."""
        if (name, view) not in self._floors:
            self._floors[name, view] = distances(*self._features(name, view))
        return self._floors[name, view]

    def _by_finding(self, real: np.ndarray, made: np.ndarray, other: np.ndarray) -> dict[str, Any]:
        """Per finding with enough positive studies: the distance of those, and its floor with as many other real
        ones."""
        out = {}
        for i, finding in enumerate(Finding):
            has, other_has = self.labels[:, i], self.others[1][:, i]
            if has.sum() >= MIN_SAMPLES:
                floor = (
                    frechet_distance(real[has], other[other_has][: has.sum()])
                    if other_has.sum() >= MIN_SAMPLES
                    else float("nan")
                )
                out[str(finding)] = {
                    "studies": int(has.sum()),
                    "frechet": frechet_distance(real[has], made[has]),
                    "floor": floor,
                }
        return out

    def variety(self, samples: Parts, each: int) -> dict[str, Any]:
        """Mean MS-SSIM among the samples of one prompt, beside that among as many different real studies."""
        out = {}
        for m, pictures in samples.items():
            if m.is_image:
                real = self.real[m][: min(len(pictures), len(self.real[m])) // each * each]
                out[m] = measured(
                    lambda p=pictures, r=real: {
                        "ms_ssim": float(diversity.similarity(_grouped(p, each)).mean()),
                        "ms_ssim_of_different_real_studies": float(diversity.similarity(_grouped(r, each)).mean())
                        if len(r)
                        else float("nan"),
                    }
                )
        return out

    def privacy(self, modality: Modality, part: Any) -> dict[str, Any]:
        """Nearness to training pictures, or words in common with training reports, beside what real test studies
        have."""
        if not modality.is_image:
            real = self.real[Modality.REPORT]
            return {
                "copied_share": text.copied_share(part, self.training_reports),
                "copied_share_of_real": text.copied_share(real, self.training_reports),
                "words": text.COPY_WORDS,
            }
        found = nearness(copy_embedding(part), copy_embedding(self.real[modality]), self.training_copies[modality])
        return {
            "nearer_share": found.nearer_share,
            "near_copies": found.near_copies,
            "training_studies": len(self.training_rows),
            "nearest": [
                {"study": i, "training_row": int(self.training_rows[j]), "distance": d} for i, j, d in found.pairs
            ],
        }


def distances(real: np.ndarray, made: np.ndarray) -> dict[str, Any]:
    """Fréchet distance and its part of the means, kernel distance, precision, recall, density and coverage of `made`
    against `real`, features [n, d] and [m, d]."""
    kernel, shape = kernel_distance(real, made), manifold(real, made)
    return {
        "frechet": frechet_distance(real, made),
        "frechet_of_means": mean_distance(real, made),
        "kernel": kernel.mean,
        "kernel_std": kernel.std,
        "precision": shape.precision,
        "recall": shape.recall,
        "density": shape.density,
        "coverage": shape.coverage,
    }


def _grouped(pictures: np.ndarray, each: int) -> np.ndarray:
    return pictures.reshape(-1, each, *pictures.shape[1:])


def _copy_embeddings(data: PreparedDataset, rows: np.ndarray, view: Modality) -> np.ndarray:
    chunks = [copy_embedding(data.images(view, rows[i : i + 1000])) for i in range(0, len(rows), 1000)]
    return np.concatenate(chunks)
