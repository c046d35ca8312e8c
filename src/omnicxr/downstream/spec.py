"""A downstream study as data: a TOML file => the list of classifiers to train."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from omnicxr.data.plain_files import read_limited
from omnicxr.domain import IMAGE_MODALITIES, Finding, Modality, UserError
from omnicxr.domain.settings import Between, Items, Settings, build, shown

Regime = Literal["real", "synthetic", "real+synthetic", "pretrained"]
REGIMES: tuple[Regime, ...] = get_args(Regime)
"""Trained on real studies, on synthetic ones alone (no real picture at all), on batches of half real and half synthetic
ones, or on synthetic ones first and then on real ones."""
REAL, SYNTHETIC, BOTH, PRETRAINED = REGIMES
CUT, FILLED = "cut", "filled"
"""Imbalance: all but `keep` positive real studies of a rare finding taken away; as many synthetic positive ones put in
their place."""


@dataclass(frozen=True, kw_only=True)
class ClassifierSpec(Settings):
    """The network and how it is trained: the same number of steps in every cell, however many studies there are."""

    network: str = "small"
    """small (four residual stages), or the name of a torchvision classifier such as densenet121 or resnet18."""
    weights: Path | None = None
    """safetensors file that a torchvision network starts from; its last layer is left out."""
    steps: Annotated[int, Between(1, 10_000_000)] = 600
    finetune_steps: Annotated[int, Between(1, 10_000_000)] = 300
    """On real studies, of the regime `pretrained`, after `steps` on synthetic ones."""
    batch_size: Annotated[int, Between(1, 16_384)] = 48
    learning_rate: Annotated[float, Between(1e-9, 10)] = 1e-3
    """At its peak; a tenth of the steps to warm up, then a cosine to 0. Fine-tuning has a third of it."""
    weight_decay: Annotated[float, Between(0, 10)] = 0.02


@dataclass(frozen=True, kw_only=True)
class ImbalanceSpec(Settings):
    """Rare findings: real positive studies are cut, then filled up with synthetic ones."""

    findings: tuple[Finding, ...] = ()
    keep: Annotated[tuple[int, ...], Between(1, 1_000_000), Items(1, 100)] = (10,)
    """Positive real studies that stay."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_once(findings=self.findings, keep=self.keep)


@dataclass(frozen=True, kw_only=True)
class StudySpec(Settings):
    """What is trained: every combination of these."""

    views: Annotated[tuple[Modality, ...], Items(1, len(IMAGE_MODALITIES))] = (Modality.FRONTAL,)
    """A classifier each."""
    regimes: tuple[Regime, ...] = REGIMES
    real_shares: Annotated[tuple[float, ...], Between(1e-6, 1), Items(1, 100)] = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0)
    """Scarcity: share of the patients of the real training split. Smaller shares are parts of larger ones."""
    seeds: Annotated[tuple[int, ...], Between(0, 2**63 - 1), Items(1, 1000)] = (0, 1, 2)
    uncertain: Literal["ignore", "positive", "negative"] = "ignore"
    """What an uncertain label counts as; not mentioned counts as negative, tests count uncertain as negative."""
    imbalance: ImbalanceSpec = field(default_factory=ImbalanceSpec)
    classifier: ClassifierSpec = field(default_factory=ClassifierSpec)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_once(views=self.views, regimes=self.regimes, real_shares=self.real_shares, seeds=self.seeds)
        if not all(v.is_image for v in self.views):
            raise UserError(f"A study is of pictures: give views out of {' and '.join(IMAGE_MODALITIES)}.")
        if not self.regimes and not self.imbalance.findings:
            raise UserError("A study without regimes and without rare findings trains nothing: name some.")

    def cells(self) -> Iterator[Cell]:
        """Every classifier, those that others start from first."""
        for view in self.views:
            for seed in self.seeds:
                for setting in self._settings():
                    yield Cell(view=view, seed=seed, **setting)

    def _settings(self) -> Iterator[dict[str, Any]]:
        """What the classifiers of one view and seed differ in."""
        if SYNTHETIC in self.regimes or PRETRAINED in self.regimes:
            yield {"regime": SYNTHETIC}
        for regime in self.regimes:
            for share in self.real_shares if regime != SYNTHETIC else ():
                yield {"regime": regime, "share": share}
        for finding in self.imbalance.findings:
            for keep in self.imbalance.keep:
                yield {"regime": CUT, "finding": finding, "keep": keep}
                yield {"regime": FILLED, "finding": finding, "keep": keep}
        if self.imbalance.findings and not (REAL in self.regimes and 1 in self.real_shares):
            yield {"regime": REAL}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One classifier."""

    view: Modality
    seed: int
    regime: str
    share: float = 1.0
    finding: Finding | None = None
    """The rare one."""
    keep: int | None = None

    @property
    def name(self) -> str:
        """A file name."""
        rare = [self.finding, self.keep] if self.finding else []
        parts = [self.view, self.regime, f"{self.share:g}", *rare, f"seed{self.seed}"]
        return "_".join(str(p).replace(" ", "-") for p in parts)


def check_once(**lists: tuple[Any, ...]) -> None:
    """Raises UserError for a list that names something twice: it would be one classifier, counted twice."""
    for name, values in lists.items():
        if twice := [v for v in values if values.count(v) > 1]:
            raise UserError(f"{name} names {shown(twice[0])} twice: name it once.")


def read_spec(path: Path) -> StudySpec:
    """Raises UserError for a file that cannot be read or is empty, an unknown setting and a value that does not fit."""
    remedy = "give a TOML file like those in runs/studies"
    try:
        values = tomllib.loads(read_limited(path, remedy=remedy).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"The study {path} cannot be read ({error}): {remedy}.") from error
    if not values:
        raise UserError(f"The study {path} is empty: {remedy}.")
    spec = build(StudySpec, values, path)
    if spec.classifier.weights is None:
        return spec
    return replace(spec, classifier=replace(spec.classifier, weights=path.parent / spec.classifier.weights))


def spec_hash(spec: StudySpec) -> str:
    """Of everything that a result depends on but the data."""
    return hashlib.sha256(json.dumps(asdict(spec), default=str, sort_keys=True).encode()).hexdigest()
