"""Which studies are used, and under which one reason each of the others is counted."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated

from omnicxr.data.counts import Reasons
from omnicxr.data.description import describe
from omnicxr.data.labeler import LANGUAGE, label_report
from omnicxr.data.sections import TEXTS, study_text
from omnicxr.data.splits import hashed_split
from omnicxr.domain import SPLITS, Finding, Labels, Modality, Study, UserError, View
from omnicxr.domain.settings import Between, Settings


@dataclass(frozen=True, kw_only=True)
class Selection(Settings):
    """What a study must have. The published setting is require=("frontal", "lateral", "report"), text="impression"."""

    require: tuple[Modality, ...] = ()
    """Modalities without which a study is left out; the others are used where they are there."""
    views: tuple[View, ...] = tuple(View)
    """Pictures taken otherwise are left out."""
    text: str = "auto"
    """auto (impression, else findings, else last paragraph, else comparison), impression, findings or both."""
    min_words: Annotated[int, Between(1, 1_000_000)] = 1
    """Reports with fewer words count as missing."""
    max_words: Annotated[int | None, Between(1, 1_000_000)] = None
    """Reports with more words count as missing."""
    describe: bool = False
    """Studies with labels and no report get a sentence that says the labels (`description`)."""
    limit: Annotated[int | None, Between(1, 1_000_000_000)] = None
    """Stop after so many studies were kept."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.text not in TEXTS:
            raise UserError(f"Unknown text '{self.text}': choose from {', '.join(TEXTS)}.")
        if self.max_words is not None and self.max_words < self.min_words:
            raise UserError(
                f"Report lengths of {self.min_words} to {self.max_words} words leave nothing: choose another range."
            )


@dataclass
class Account:
    """Every study that was seen is kept or counted under exactly one reason."""

    seen: int = 0
    kept: int = 0
    dropped: Reasons = field(default_factory=Reasons)
    images_left_out: Reasons = field(default_factory=Reasons)


class Selector:
    """Apply a selection to studies as they come; keeps the account."""

    def __init__(self, selection: Selection) -> None:
        self.selection = selection
        self.account = Account()
        self._splits: dict[tuple[str, str], str] = {}
        self._patients: dict[tuple[str, str], str] = {}
        """Source and study => whose it is."""

    def full(self) -> bool:
        """As many studies are kept as were asked for."""
        return self.selection.limit is not None and self.account.kept >= self.selection.limit

    def select(self, study: Study) -> tuple[Study, str] | None:
        """The study with what is used of it, its split filled in and labels completed, and its report; None where it is
        dropped. A number that is a study of several patients is `PATIENT-STUDY` from the second patient on.

        Raises UserError for a patient in two splits.
        """
        self.account.seen += 1
        study = self._cut(self._named(study))
        report = study_text(study.sections, self.selection.text)
        if not report and self.selection.describe:
            report, study = describe(study), replace(study, language=LANGUAGE)
        words = len(report.split())
        if reason := self._reason(study, words):
            self.account.dropped.add(reason, study.split)
            return None
        self._patients[study.source, study.study_id] = study.subject_id
        patient = (study.source, study.subject_id)
        if self._splits.setdefault(patient, study.split) != study.split:
            raise UserError(
                f"Patient {study.subject_id} of {study.source} is in the splits {self._splits[patient]} and"
                f" {study.split}: mend the split table."
            )
        self.account.kept += 1
        if not any(state is not None for state in study.labels.values()):
            study = replace(study, labels=self._stated(study, report))
        return study, report if self._fits(words) else ""

    @staticmethod
    def _stated(study: Study, report: str) -> Labels:
        """Labels from the text, where it is in the language that the labeler reads."""
        text = " ".join(study.sections.get(k, "") for k in ("findings", "impression")).strip() or report
        return label_report(text) if text and study.language == LANGUAGE else dict.fromkeys(Finding)

    def _named(self, study: Study) -> Study:
        if self._patients.get((study.source, study.study_id), study.subject_id) == study.subject_id:
            return study
        return replace(study, study_id=f"{study.subject_id}-{study.study_id}")

    def _cut(self, study: Study) -> Study:
        images = tuple(ref for ref in study.images if ref.view is None or ref.view in self.selection.views)
        for ref in study.images:
            if ref not in images:
                self.account.images_left_out[f"view {ref.view} not asked for"] += 1
        split = study.split or hashed_split(f"{study.source}:{study.subject_id}")
        return replace(study, images=images, split=split)

    def _fits(self, words: int) -> bool:
        return self.selection.min_words <= words <= (self.selection.max_words or words)

    def _reason(self, study: Study, words: int) -> str | None:
        """The first that applies, in the order of this function."""
        if study.split not in SPLITS:
            return "unknown split '{}' (train, validate and test are known)"
        if (study.source, study.study_id) in self._patients:
            return "identifier twice"
        views = {ref.view.modality for ref in study.images if ref.view}
        undecided = any(ref.view is None for ref in study.images)
        for modality in self.selection.require:
            if modality is Modality.REPORT and not self._fits(words):
                if words == 0:
                    return "no report"
                return "report too short" if words < self.selection.min_words else "report too long"
            if modality.is_image and modality not in views and not undecided:
                return f"no {modality}"
        if not study.images and not self._fits(words):
            return "nothing usable in it"
        return None
