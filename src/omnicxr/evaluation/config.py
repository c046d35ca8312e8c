"""What an evaluation measures: light to import, so that the command line can show it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from omnicxr.domain import Task
from omnicxr.domain.settings import Autoguidance, Guidance, SamplingSteps, Seed, Settings, Studies


@dataclass(frozen=True, kw_only=True)
class SuiteSize:
    """How much is measured."""

    studies: int
    """Held-out studies at most."""
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


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig(Settings):
    """What is measured, on the same studies for every task."""

    tasks: tuple[Task, ...] = ()
    """Tasks like report->frontal,frontal+report->lateral; by default all that the data set's studies allow."""
    suite: Literal["quick", "full"] = "quick"
    """How much is measured: quick takes 100 studies; full takes 2000, with more extractors and samples."""
    num: Studies | None = None
    """Studies of the split at most; by default the suite's number."""
    split: Literal["test", "validate"] = "test"
    """The split to measure on: validate is for choosing settings such as guidance, test for figures to report."""
    extractors: tuple[str, ...] = ()
    """Feature extractors for the look of pictures; by default the suite's."""
    classifier: Literal["judge", "xrv-densenet121"] = "judge"
    """Who reads the findings of frontal views."""
    labeler: Literal["rules", "chexbert"] = "rules"
    """Who reads the findings of reports."""
    protocol: Literal["sacrebleu", "iu-xray"] = "sacrebleu"
    """How report text is scored: iu-xray cleans it and measures as papers on Open-I do (docs/evaluation.md)."""
    radgraph: bool = False
    """Score reports by RadGraph F1 too; needs omnicxr[radgraph] and its files (docs/evaluation.md)."""
    sides: bool = False
    """Also generate frontal views from every report of the split with a lesion on one side, and see if it is there."""
    steps: SamplingSteps | None = None
    """Sampling steps; by default the model's."""
    guidance: Guidance | None = None
    """Guidance scale, 1 for none; by default the model's."""
    autoguidance: Autoguidance | None = None
    """Scale of guidance by the model's guide, 1 for none; by default the model's."""
    seed: Seed = 0
    """The same seed gives the same result."""

    @property
    def size(self) -> SuiteSize:
        """The suite with what was asked for instead."""
        suite = SUITES[self.suite]
        return replace(suite, studies=self.num or suite.studies, extractors=self.extractors or suite.extractors)
