"""All figures of one set of generated (or reference) studies for one task. What cannot be measured is refused with its
reason, not left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import cached_property
from typing import TypeVar

import numpy as np

from omnicxr.data.dataset import Parts, PreparedDataset
from omnicxr.domain import Finding, Modality, Task, UserError
from omnicxr.evaluation.config import SuiteSize
from omnicxr.evaluation.layout import number
from omnicxr.evaluation.measures import clinical, consistency, diversity, metrics, reconstruction, text
from omnicxr.evaluation.measures.fidelity import MIN_SAMPLES, distances, frechet_distance
from omnicxr.evaluation.measures.privacy import copy_embedding, nearness
from omnicxr.evaluation.measures.protocols import Protocol, protocol_scores
from omnicxr.evaluation.measures.uncertainty import mean_estimate
from omnicxr.evaluation.readers.extractors import Extractor, load_extractor
from omnicxr.evaluation.readers.panel import Panel, Reading, held_out_noun, mean_of_views, truth_of
from omnicxr.evaluation.readers.radgraph import LEVELS, RadGraphScorer
from omnicxr.evaluation.results import (
    Autoencoders,
    Distances,
    Fidelity,
    FindingDistance,
    FindingScores,
    LikeHeldOut,
    PictureCopies,
    PictureLoss,
    Refused,
    ReportScores,
    TaskScores,
    TruthErrors,
    Variety,
    ViewScores,
)
from omnicxr.evaluation.text_results import ProtocolScores, ReportLoss, TextCopies

T = TypeVar("T")


def measured(figure: Callable[[], T]) -> T | Refused:
    """The figure, or the reason where the metric refuses its input."""
    try:
        return figure()
    except UserError as error:
        return Refused(str(error))


class Suite:
    """Scores studies against the held-out ones of the same rows."""

    def __init__(
        self,
        panel: Panel,
        test: PreparedDataset,
        rows: np.ndarray,
        *,
        modalities: tuple[Modality, ...],
        training: PreparedDataset,
        size: SuiteSize,
        device: str = "cpu",
        radgraph: RadGraphScorer | None = None,
        protocol: Protocol = "sacrebleu",
    ) -> None:
        """`rows`: held-out studies, which have all of `modalities`; nothing else of them is looked at."""
        self.panel, self.test, self.rows, self.modalities = panel, test, rows, modalities
        self.training, self.size, self.radgraph = training, size, radgraph
        self.protocol: Protocol = protocol
        self.held_out = test.parts(rows, modalities)
        self.readings = panel.read_all(self.held_out)
        self.labels = test.labels[rows] == 1
        self.patients = test.patients[rows]
        self.study_ids = test.table.column("study_id").take(rows).to_pylist()
        self.truth = truth_of(test, rows)
        self.extractors = {name: self._extractor(name, device) for name in size.extractors}
        self.views = [m for m in modalities if m.is_image]
        self._features: dict[tuple[str, Modality], tuple[np.ndarray, np.ndarray]] = {}
        self._floors: dict[tuple[str, Modality], Distances] = {}
        self._texts: dict[tuple[bool, tuple[str, ...]], ProtocolScores | Refused] = {}

    def _extractor(self, name: str, device: str) -> Extractor:
        own: dict[str, Extractor] = {"prompts": self.panel.embed, "judge": self.panel.judge_features}
        return own.get(name) or load_extractor(name, device)

    @cached_property
    def others(self) -> list[tuple[PreparedDataset, np.ndarray]]:
        """As many other studies, for the floor: the rest of the held-out ones, then training studies."""
        left = np.setdiff1d(self.test.having(*self.modalities), self.rows)[: len(self.rows)]
        more = self.training.having(*self.modalities)[: len(self.rows) - len(left)]
        return [(data, rows) for data, rows in ((self.test, left), (self.training, more)) if len(rows)]

    @cached_property
    def training_rows(self) -> np.ndarray:
        """Those that generated studies are compared with for copies."""
        return self.training.having(*self.modalities)[: self.size.training]

    @cached_property
    def training_copies(self) -> dict[Modality, np.ndarray]:
        """Copy embeddings of the training pictures."""
        return {view: _copy_embeddings(self.training, self.training_rows, view) for view in self.views}

    @cached_property
    def training_reports(self) -> list[str]:
        """Those that generated reports are compared with for copies."""
        return [self.training.reports[i] for i in self.training_rows]

    def score(
        self, task: Task, generated: Parts, readings: dict[Modality, Reading], *, slow: bool = True
    ) -> TaskScores:
        """Findings, truth, text, and agreement of the parts with each other and with those given; `slow`: METEOR and
        RadGraph too. Look, variety and copies are left to their own methods."""
        views = {m: self._view(m, readings[m]) for m in task.generate if m.is_image}
        report = None
        if Modality.REPORT in task.generate:
            report = self._report(generated[Modality.REPORT], readings[Modality.REPORT], slow=slow)
        whole = {**{m: self.readings[m] for m in task.given}, **{m: readings[m] for m in task.generate}}
        return TaskScores(views, report, consistency.study_agreement(whole, self.patients, task.given))

    def _truth(self, reading: Reading) -> TruthErrors | Refused | None:
        if self.truth is None:
            return None
        if self.panel.measures_missing:
            return Refused(self.panel.measures_missing)
        return clinical.truth_errors(reading.measures, self.truth, self.patients)

    def _view(self, view: Modality, reading: Reading) -> ViewScores:
        auroc, findings = clinical.view_findings(reading, self.labels, self.patients)
        as_held_out = self._as_held_out(reading, self.readings[view])
        return ViewScores(
            auroc, findings, truth=self._truth(reading), as_held_out=as_held_out, not_valid=self.not_valid[view]
        )

    def _as_held_out(self, generated: Reading, held_out: Reading) -> LikeHeldOut | Refused | None:
        if generated is held_out:
            return None
        if self.panel.measures_missing:
            return Refused(self.panel.measures_missing)
        return consistency.like_held_out(generated.measures, held_out.measures, self.patients)

    @cached_property
    def not_valid(self) -> dict[Modality, str]:
        """View => why findings that are read on it say nothing; empty where they count."""
        found, noun = {}, held_out_noun(self.test, self.rows)
        for view in self.views:
            own, _ = clinical.view_findings(self.readings[view], self.labels, self.patients)
            found[view] = clinical.at_chance(own) * (
                f"Who reads the findings of {view} views is no better than chance on the {noun} ones themselves: macro"
                f" AUROC {number(own.macro)}, n {len(self.rows)}."
            )
        return found

    def _report(self, reports: list[str], reading: Reading, *, slow: bool) -> ReportScores:
        references, radgraph = self.held_out[Modality.REPORT], None
        scores = self._text(reports, slow=slow)
        assert reading.stated is not None
        if self.radgraph and slow:
            graphs = self.radgraph(reports, references)
            radgraph = {level: mean_estimate(graphs[:, i], self.patients) for i, level in enumerate(LEVELS)}
        return ReportScores(
            by_labeler=clinical.finding_scores(self.labels, reading.stated, self.patients),
            by_judge=clinical.finding_scores(self.labels, reading.found, self.patients),
            truth=self._truth(reading),
            text=scores.text if isinstance(scores, ProtocolScores) else scores,
            text_as_published=scores.as_published if isinstance(scores, ProtocolScores) else None,
            radgraph=radgraph,
            distinct_share=metrics.distinct_share(reports),
            words=text.lengths(reports),
        )

    def _text(self, reports: list[str], *, slow: bool) -> ProtocolScores | Refused:
        """By the protocol; kept, as some predictors give the same for every task. The tables that `iu-xray` is compared
        with have METEOR, so predictors have it as well."""
        meteor = slow or self.protocol == "iu-xray"
        key = meteor, tuple(reports)
        if key not in self._texts:
            pair, training = (reports, self.held_out[Modality.REPORT]), filter(None, self.training.reports)
            self._texts[key] = measured(lambda: protocol_scores(self.protocol, *pair, training=training, meteor=meteor))
        return self._texts[key]

    def both_views(self) -> FindingScores | None:
        """Findings by the mean of the judge's scores of both held-out views, where there are both."""
        if self.panel.both_views is None:
            return None
        found = mean_of_views({m: r.scores for m, r in self.readings.items()}) > self.panel.both_views
        return clinical.finding_scores(self.labels, found, self.patients)

    def look(self, view: Modality, pictures: np.ndarray) -> dict[str, Fidelity | Refused]:
        """How plausible and how varied the pictures of a view look, by every extractor, with the ratio to the floor."""
        return {name: measured(lambda n=name: self._fidelity(n, view, pictures)) for name in self.extractors}

    def _fidelity(self, name: str, view: Modality, pictures: np.ndarray) -> Fidelity:
        features = self.extractors[name](view, pictures)
        found, floor = distances(self._held_out_features(name, view)[0], features), self._floor(name, view).frechet
        return Fidelity(
            **asdict(found),
            frechet_over_floor=found.frechet / floor if floor > 0 else float("nan"),
            frechet_by_finding=self._by_finding(name, view, features),
        )

    def floor(self, view: Modality) -> dict[str, Distances | Refused]:
        """The same distances between the held-out studies and as many others, by every extractor."""
        return {name: measured(lambda n=name: self._floor(n, view)) for name in self.extractors}

    def _floor(self, name: str, view: Modality) -> Distances:
        if (name, view) not in self._floors:
            self._floors[name, view] = distances(*self._held_out_features(name, view))
        return self._floors[name, view]

    def _held_out_features(self, name: str, view: Modality) -> tuple[np.ndarray, np.ndarray]:
        """Of the held-out studies and of the others."""
        if (name, view) not in self._features:
            extract = self.extractors[name]
            others = [extract(view, data.images(view, rows)) for data, rows in self.others]
            none = np.zeros((0, 1), np.float32)
            self._features[name, view] = extract(view, self.held_out[view]), np.concatenate(others) if others else none
        return self._features[name, view]

    def _by_finding(self, name: str, view: Modality, features: np.ndarray) -> dict[Finding, FindingDistance]:
        """Findings with enough positive studies: the distance of those, and its floor with as many others."""
        own, others = self._held_out_features(name, view)
        other_labels = np.concatenate([data.labels[rows] == 1 for data, rows in self.others])
        out = {}
        for i, finding in enumerate(Finding):
            has, other_has = self.labels[:, i], other_labels[:, i]
            if (count := int(has.sum())) >= MIN_SAMPLES:
                enough = other_has.sum() >= MIN_SAMPLES
                floor = frechet_distance(own[has], others[other_has][:count]) if enough else float("nan")
                out[finding] = FindingDistance(count, frechet_distance(own[has], features[has]), floor)
        return out

    def variety(self, view: Modality, samples: np.ndarray, *, each: int) -> Variety | Refused:
        """Of `each` samples of every prompt [prompts * each, s, s], beside that of as many different studies."""
        different = self.held_out[view]
        different = different[: min(len(samples), len(different)) // each * each]
        return measured(lambda: Variety(_mean_similarity(samples, each), _mean_similarity(different, each)))

    def picture_copies(self, view: Modality, pictures: np.ndarray) -> PictureCopies:
        """Nearness of pictures to training pictures, beside that of the held-out ones."""
        embeddings = copy_embedding(pictures), copy_embedding(self.held_out[view]), self.training_copies[view]
        return nearness(*embeddings, rows=self.training_rows)

    def text_copies(self, reports: list[str]) -> TextCopies:
        """Words in common with training reports, beside those of the held-out ones."""
        return TextCopies(
            *(text.copied_share(r, self.training_reports) for r in (reports, self.held_out[Modality.REPORT]))
        )

    def autoencoders(self) -> Autoencoders:
        """What they lose, and how the held-out pictures look that went through them alone."""
        pipe, report = self.panel.pipe, self.held_out.get(Modality.REPORT)
        loss: ReportLoss | None = None
        if report is not None:
            loss = reconstruction.report_reconstruction(pipe, report, self.patients)
        return Autoencoders({view: self._picture_loss(view) for view in self.views}, loss)

    def _picture_loss(self, view: Modality) -> PictureLoss:
        pictures = self.held_out[view]
        mean, refined = (
            reconstruction.through_autoencoder(self.panel.pipe, view, pictures, refine=refine)
            for refine in (False, True)
        )
        psnr, ssim = reconstruction.image_reconstruction(pictures, mean, self.patients)
        return PictureLoss(psnr, ssim, look=self.look(view, refined), look_without_refiner=self.look(view, mean))


def _mean_similarity(pictures: np.ndarray, each: int) -> float:
    """Of groups of `each` pictures; NaN for none."""
    if not len(pictures):
        return float("nan")
    return float(diversity.similarity(pictures.reshape(-1, each, *pictures.shape[1:])).mean())


def _copy_embeddings(data: PreparedDataset, rows: np.ndarray, view: Modality) -> np.ndarray:
    chunks = [copy_embedding(data.images(view, rows[i : i + 1000])) for i in range(0, len(rows), 1000)]
    return np.concatenate(chunks)
