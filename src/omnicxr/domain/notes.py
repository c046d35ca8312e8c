"""What was noticed about a study's inputs and outputs: it travels with what is generated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from omnicxr.domain.findings import Finding, LabelState
from omnicxr.domain.modality import Modality


class Fit(StrEnum):
    """How a picture or a sentence that is given suits the model."""

    AS_KNOWN = "as known"
    UNLIKE = "unlike what this model has seen"
    NOT_USABLE = "not usable"
    NOT_CHECKED = "not checked"
    """The model folder holds no checks, or none were asked for."""


UNFIT = (Fit.NOT_USABLE, Fit.UNLIKE)
"""What the model cannot be expected to read, the worst first."""


@dataclass(frozen=True, kw_only=True)
class PictureNote:
    """What the checks say of one picture that is given."""

    modality: Modality
    fit: Fit
    reason: str = ""
    """A clause such as "it looks upside down: turn it"; empty for what is as known."""
    measured: Mapping[str, float] = field(default_factory=dict)
    """Statistic => its value as a multiple of what the check allows: over 1 is unlike."""

    def sentences(self) -> Iterator[str]:
        """For people; nothing for what is as known."""
        if self.fit not in (Fit.AS_KNOWN, Fit.NOT_CHECKED):
            yield f"The {self.modality} view is {self.fit}: {self.reason}."
        elif self.fit is Fit.NOT_CHECKED and self.reason:
            yield f"The {self.modality} view was not checked: {self.reason}."


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One thing that a text says: a finding, and what is said of it."""

    finding: Finding
    state: LabelState
    phrase: str
    """The words that name the finding, as written."""
    side: str = ""
    """left, right, bilateral or empty."""
    size: str = ""
    """small, moderate, large, mild, severe, a measure such as "2.5 cm", or empty."""
    place: str = ""
    """Such as "upper lobe" or "base"; empty where the text does not say."""
    device: str = ""
    """Which one, for support devices, such as "pacemaker"; else empty."""


@dataclass(frozen=True, kw_only=True)
class PromptNote:
    """How a report that is given was understood."""

    text: str
    """As it was given."""
    understood_as: str
    """What the model was given in its place; the text itself where nothing had to be changed."""
    fit: Fit
    asked: tuple[Statement, ...] = ()
    """What is stated, certain or uncertain."""
    denied: tuple[Statement, ...] = ()
    """What is said to be absent: it is not drawn."""
    not_understood: tuple[str, ...] = ()
    """Pieces of the text, as written, that nothing was made of."""
    unseen_words: tuple[str, ...] = ()
    """Words that the model's training reports don't have, whether they were understood (by a synonym) or not."""
    cut: tuple[str, ...] = ()
    """Sentences or sections that were left out, because the model reads no more, or because they tell of no picture."""
    reason: str = ""
    """Why nothing, or not all, was understood, as a clause; such as "it is not English"."""

    @property
    def rewritten(self) -> bool:
        """Whether the model is given something else than the text says word for word."""
        return self.understood_as != self.text

    def sentences(self) -> Iterator[str]:
        """For people; nothing for a text that was taken as it stands."""
        if self.fit is Fit.NOT_USABLE:
            yield f"The report is not understood: {self.reason}."
            return
        if self.rewritten:
            yield f'The report is understood as: "{self.understood_as}"'
        if self.not_understood:
            yield "Not understood in the report: " + ", ".join(f'"{piece}"' for piece in self.not_understood) + "."
        if self.cut:
            yield "Left out of the report: " + ", ".join(f'"{piece}"' for piece in self.cut) + "."


@dataclass(frozen=True, kw_only=True)
class ReportNote:
    """What was done to a report that was generated."""

    removed: tuple[str, ...] = ()
    """Sentences, or what was left out of one, that contradicted others."""
    repeated: tuple[str, ...] = ()
    """Sentences that said what had been said before."""
    contradicted: bool = False
    """Whether the sampled text stated and denied the same."""
    confidence: Mapping[Finding, float] = field(default_factory=dict)
    """Finding => share of several samples that state it; empty where none were asked for."""

    def sentences(self) -> Iterator[str]:
        """For people."""
        if self.contradicted:
            removed = ", ".join(f'"{sentence}"' for sentence in self.removed)
            yield f"The report contradicted itself; the weaker was left out: {removed}."


@dataclass(frozen=True, kw_only=True)
class Notes:
    """All that was noticed about one study."""

    pictures: tuple[PictureNote, ...] = ()
    prompt: PromptNote | None = None
    report: ReportNote | None = None
    disagreement: str = ""
    """A sentence where a picture and a report that are given contradict each other; else empty."""

    @property
    def fit(self) -> Fit:
        """The worst of what is given; `AS_KNOWN` where nothing is."""
        order = (*UNFIT, Fit.NOT_CHECKED)
        fits = [p.fit for p in self.pictures] + ([self.prompt.fit] if self.prompt else [])
        return next((fit for fit in order if fit in fits), Fit.AS_KNOWN)

    @property
    def doubtful(self) -> bool:
        """Whether what is generated means little or nothing, because of what is given."""
        return self.fit in UNFIT or bool(self.disagreement)

    def sentences(self) -> list[str]:
        """Everything that a person should be told, a sentence each."""
        parts = [*self.pictures, *filter(None, (self.prompt, self.report))]
        return [s for part in parts for s in part.sentences()] + ([self.disagreement] if self.disagreement else [])
