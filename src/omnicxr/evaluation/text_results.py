"""What was found out about the text of reports: the part of `results` that knows of nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from omnicxr.evaluation.measures.uncertainty import Estimate


@dataclass(frozen=True)
class TextCopies:
    """Share of reports with `text.COPY_WORDS` words in a row from a training report."""

    copied_share: float
    copied_share_of_held_out: float


@dataclass(frozen=True)
class TextScores:
    """Against the study's own report; None for a measure whose library is missing, or that was not wanted."""

    bleu1: float
    bleu2: float
    bleu3: float
    bleu4: float
    meteor: float | None
    rouge_l: float | None
    cider: float | None


@dataclass(frozen=True)
class ProtocolScores:
    """Report text by one protocol (`measures.protocols`)."""

    text: TextScores
    as_published: TextScores | None
    """None for a protocol whose published code scores the same text."""


@dataclass(frozen=True)
class PublishedReports:
    """Report text of another system, as its authors or later papers give it."""

    system: str
    year: int
    citation: str
    text: TextScores


@dataclass(frozen=True)
class Quartiles:
    """Mean and quartiles."""

    mean: float
    quartile_1: float
    median: float
    quartile_3: float


@dataclass(frozen=True)
class ReportLoss:
    """Reports that went through the report autoencoder."""

    unchanged_share: Estimate
    sides_kept_share: Estimate
