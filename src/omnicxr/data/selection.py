"""Which studies are used, and under which one reason each of the others is counted."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated

from omnicxr.data.counts import FILE_MISSING, Reasons
from omnicxr.data.description import describe
from omnicxr.data.labeler import LANGUAGE, label_report
from omnicxr.data.language import is_english
from omnicxr.data.sections import TEXTS, study_text
from omnicxr.data.split_table import SplitTable
from omnicxr.data.splits import hashed_split
from omnicxr.domain import SPLITS, Finding, Labels, Modality, Study, UserError, View
from omnicxr.domain.settings import Between, Settings

NOT_NAMED = "not in the split table"
ABSENT = "named in the split table, not in the data"
FOREIGN = "report does not read as English"
LOST_FILE = f" (picture {FILE_MISSING})"
"""Ends the reason of a study that lacks a part since the file of a picture is not there."""


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
    images_seen: int = 0
    """Pictures of the studies seen, those whose files are missing too."""
    dropped: Reasons = field(default_factory=Reasons)
    images_left_out: Reasons = field(default_factory=Reasons)
    noticed: Reasons = field(default_factory=Reasons)


class Selector:
    """Apply a selection to studies as they come; keeps the account."""

    def __init__(self, selection: Selection, split_table: SplitTable | None = None) -> None:
        """split_table: whose studies are used, and in which split; it counts more than the data set's own partition."""
        self.selection, self.split_table = selection, split_table
        self.account = Account()
        self._splits: dict[tuple[str, str], str] = {}
        self._patients: dict[tuple[str, str], str] = {}
        """Source and study => whose it is."""
        self._named_found = set[str]()
        """Identifiers that are both in the split table and in the data."""
        self._example = ""
        """An identifier of the data as the split table would write it."""

    def full(self) -> bool:
        """As many studies are kept as were asked for."""
        return self.selection.limit is not None and self.account.kept >= self.selection.limit

    def select(self, study: Study) -> tuple[Study, str] | None:
        """The study with what is used of it, its split filled in and labels completed, and its report; None where it is
        dropped. A number that is a study of several patients is `PATIENT-STUDY` from the second patient on.

        Raises UserError for a patient in two splits.
        """
        self.account.seen += 1
        self.account.images_seen += len(study.images) + len(study.missing)
        study = self._cut(self._named(study))
        report = study_text(study.sections, self.selection.text)
        foreign = bool(report) and study.language == LANGUAGE and not is_english(report)
        if foreign:
            report = ""
        if not report and self.selection.describe:
            report, study = describe(study), replace(study, language=LANGUAGE)
        words = len(report.split())
        if reason := self._reason(study, words):
            self.account.dropped.add(FOREIGN if foreign and reason == "no report" else reason, study.split)
            return None
        self._patients[study.source, study.study_id] = study.subject_id
        patient = (study.source, study.subject_id)
        if self._splits.setdefault(patient, study.split) != study.split:
            raise UserError(
                f"Patient {study.subject_id} of {study.source} is in the splits {self._splits[patient]} and"
                f" {study.split}: mend {self.split_table.path if self.split_table else 'the split table'}."
            )
        self.account.kept += 1
        if foreign:
            self.account.noticed[f"{FOREIGN} (left out of its study, no labels from it)"] += 1
        if study.missing:
            self.account.noticed[f"used without a part of its pictures ({FILE_MISSING})"] += 1
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
        return replace(study, images=images, split=self._split(study))

    def _split(self, study: Study) -> str:
        """ "" for a study that the split table does not name."""
        if not self.split_table or not self.split_table.speaks_of(study):
            return study.split or hashed_split(f"{study.source}:{study.subject_id}")
        name = self.split_table.identifier(study)
        self._example = self._example or name
        if name in self.split_table.splits:
            self._named_found.add(name)
        return self.split_table.splits.get(name, "")

    def close(self) -> None:
        """To be called after the last study: counts what the split table names beside it.

        Raises UserError for a split table that names none of the studies.
        """
        table = self.split_table
        if not table or not self.account.seen or self.full():  # full: nobody knows what else is in the data
            return
        if not self._named_found:
            raise UserError(
                f"{table.path} names none of the {self.account.seen} studies: its column '{table.column}' has"
                f" identifiers like '{next(iter(table.splits))}', the data like '{self._example}': write them as in the"
                " data."
            )
        if absent := len(table.splits) - len(self._named_found):
            self.account.noticed[ABSENT] += absent

    def warnings(self, missing: int) -> list[str]:
        """What to look at before a model is trained on this, in sentences. missing: pictures that the data set names
        and whose files are not there."""
        account, said = self.account, []
        if missing:
            lost = sum(n for reason, n in account.dropped.items() if reason.endswith(LOST_FILE))
            said.append(
                f"{_part(missing, account.images_seen)} pictures that the data set names are missing, and"
                f" {_part(lost, account.seen)} studies are left out for that: check that the download is whole."
            )
        absent, named = account.noticed[ABSENT], len(self.split_table.splits) if self.split_table else 0
        if 2 * absent > named:
            said.append(
                f"{_part(absent, named)} identifiers of the split table are not in the data: check that the data are"
                " whole and the table is theirs."
            )
        return said

    def _fits(self, words: int) -> bool:
        return self.selection.min_words <= words <= (self.selection.max_words or words)

    def _reason(self, study: Study, words: int) -> str | None:
        """The first that applies, in the order of this function."""
        if self.split_table and not study.split:
            return NOT_NAMED
        if study.split not in SPLITS:
            return "unknown split '{}' (train, validate and test are known)"
        if (study.source, study.study_id) in self._patients:
            return "identifier twice"
        views = {ref.view.modality for ref in study.images if ref.view}
        undecided = any(ref.view is None for ref in study.images)
        lost = {view.modality if view else None for view in study.missing if view in (None, *self.selection.views)}
        for modality in self.selection.require:
            if modality is Modality.REPORT and not self._fits(words):
                if words == 0:
                    return "no report"
                return "report too short" if words < self.selection.min_words else "report too long"
            if modality.is_image and modality not in views and not undecided:
                return f"no {modality}{LOST_FILE if lost & {modality, None} else ''}"
        if not study.images and not self._fits(words):
            return f"nothing usable in it{LOST_FILE if lost else ''}"
        return None


def _part(count: int, whole: int) -> str:
    return f"{count:,} of {whole:,} ({count / max(1, whole):.0%})"
