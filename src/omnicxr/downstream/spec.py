"""A downstream study as data: a TOML file => the list of classifiers to train."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from omnicxr.domain import Finding, Modality, UserError

REAL, SYNTHETIC, BOTH, PRETRAINED = "real", "synthetic", "real+synthetic", "pretrained"
REGIMES = (REAL, SYNTHETIC, BOTH, PRETRAINED)
"""Trained on real studies, on synthetic ones alone (no real picture at all), on batches of half real and half synthetic
ones, or on synthetic ones first and then on real ones."""
CUT, FILLED = "cut", "filled"
"""Imbalance: all but `keep` positive real studies of a rare finding taken away; as many synthetic positive ones put in
their place."""
UNCERTAIN = ("ignore", "positive", "negative")


@dataclass(frozen=True, kw_only=True)
class ClassifierSpec:
    """The network and how it is trained: the same number of steps in every cell, however many studies there are."""

    network: str = "small"
    """small (four residual stages), or the name of a torchvision classifier such as densenet121 or resnet18."""
    weights: Path | None = None
    """safetensors file that a torchvision network starts from; its last layer is left out."""
    steps: int = 600
    finetune_steps: int = 300
    """On real studies, of the regime `pretrained`, after `steps` on synthetic ones."""
    batch_size: int = 48
    learning_rate: float = 1e-3
    """At its peak; a tenth of the steps to warm up, then a cosine to 0. Fine-tuning has a third of it."""
    weight_decay: float = 0.02

    def __post_init__(self) -> None:
        if min(self.steps, self.finetune_steps, self.batch_size) < 1:
            raise UserError("Classifier steps and batch size must be at least 1.")


@dataclass(frozen=True, kw_only=True)
class ImbalanceSpec:
    """Rare findings: real positive studies are cut, then filled up with synthetic ones."""

    findings: tuple[Finding, ...] = ()
    keep: tuple[int, ...] = (10,)
    """Positive real studies that stay."""


@dataclass(frozen=True, kw_only=True)
class StudySpec:
    """What is trained: every combination of these."""

    views: tuple[Modality, ...] = (Modality.FRONTAL,)
    """A classifier each."""
    regimes: tuple[str, ...] = REGIMES
    real_shares: tuple[float, ...] = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0)
    """Scarcity: share of the patients of the real training split. Smaller shares are parts of larger ones."""
    seeds: tuple[int, ...] = (0, 1, 2)
    uncertain: str = "ignore"
    """What an uncertain label counts as; not mentioned counts as negative, tests count uncertain as negative."""
    imbalance: ImbalanceSpec = field(default_factory=ImbalanceSpec)
    classifier: ClassifierSpec = field(default_factory=ClassifierSpec)

    def __post_init__(self) -> None:
        for name, chosen, known in (
            ("regime", self.regimes, REGIMES),
            ("uncertain rule", (self.uncertain,), UNCERTAIN),
        ):
            if unknown := [c for c in chosen if c not in known]:
                raise UserError(f"Unknown {name} '{unknown[0]}': choose from {', '.join(known)}.")
        if not all(0 < share <= 1 for share in self.real_shares):
            raise UserError(f"Real shares are {self.real_shares}: each must be above 0 and at most 1.")
        if not self.seeds or not self.views or not all(v.is_image for v in self.views):
            raise UserError("A study needs at least one seed, and views out of frontal and lateral.")

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


def read_spec(path: Path) -> StudySpec:
    """Raises UserError for a file that cannot be read, an unknown setting and a value that does not fit."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(
            f"The study {path} cannot be read ({error}): give a TOML file like those in runs/studies."
        ) from error
    return _build(StudySpec, values, path)


def _build(kind: Any, values: dict[str, Any], path: Path) -> Any:
    known = {f.name for f in fields(kind)}
    if unknown := [k for k in values if k not in known]:
        raise UserError(f"{path} has the unknown setting '{unknown[0]}': choose from {', '.join(sorted(known))}.")
    try:
        return kind(**{k: _value(k, v, path) for k, v in values.items()})
    except (TypeError, ValueError) as error:
        raise UserError(f"{path} has a value that does not fit ({error}): see docs/downstream.md.") from error


def _value(name: str, value: Any, path: Path) -> Any:
    match name:
        case "imbalance":
            return _build(ImbalanceSpec, value, path)
        case "classifier":
            return _build(ClassifierSpec, value, path)
        case "views":
            return tuple(map(Modality.parse, value))
        case "findings":
            return tuple(map(Finding, value))
        case "weights":
            return path.parent / value
        case _:
            return tuple(value) if isinstance(value, list) else value


def spec_hash(spec: StudySpec) -> str:
    """Of everything that a result depends on but the data."""
    return hashlib.sha256(json.dumps(asdict(spec), default=str, sort_keys=True).encode()).hexdigest()
