"""Prompts are read before anything is generated: what is counted, listed, left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from omnicxr.domain import Finding, Fit, Modality, Notes, PictureNote, PromptNote, ReportNote, Task, UserError
from omnicxr.synthesis.noticed import Reading, as_the_model_reads, choose_known, in_words, what_was_noticed
from omnicxr.synthesis.prompts import Prompts, Wish

TASK = Task.parse("report->frontal")

SENTENCES = {
    "Small left pleural effusion.": {},
    "There is no large left pleural effusion.": {"understood_as": "No pleural effusion."},
    "Pequeño derrame pleural.": {"fit": Fit.NOT_USABLE, "reason": "it is not English: write English"},
    "Edema and grebbling.": {"fit": Fit.UNLIKE, "understood_as": "Edema.", "not_understood": ("grebbling",)},
    "Cardiomegaly. Discussed by telephone.": {"understood_as": "Cardiomegaly.", "cut": ("Discussed by telephone.",)},
}
"""Text => what its note has other than the text itself, as known."""


def note(text: str, **changed: Any) -> PromptNote:
    return PromptNote(
        **({"text": text, "understood_as": text, "fit": Fit.AS_KNOWN} | SENTENCES.get(text, {}) | changed)
    )


class Door:
    """Stands for a pipeline and its doorkeeper, which has notes of SENTENCES and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.doorkeeper = self

    def notice(self, given: dict[Modality, list[str]]) -> list[Notes]:
        self.asked += given[Modality.REPORT]
        return [Notes(prompt=note(report)) for report in given[Modality.REPORT]]


def prompts_of(reports: Sequence[str]) -> Prompts:
    labels = np.zeros((len(reports), len(Finding)), np.float32)
    for i, report in enumerate(reports):
        labels[i, list(Finding).index(Finding.EDEMA)] = "Edema" in report
    nobody: list[Any] = [None] * len(reports)
    return Prompts(names=list("abcdefgh"[: len(reports)]), reports=[*reports], labels=labels, ages=nobody, sexes=nobody)


def reading_of(*reports: str) -> tuple[Reading, Door]:
    door = Door()
    return Reading(door, prompts_of(reports), TASK), door  # type: ignore[arg-type]


def test_account_names_the_worst_first() -> None:
    reading, door = reading_of(*SENTENCES)
    doubtful = [reading.doubtful(i) for i in range(5)] + [reading.doubtful(2)]
    assert doubtful == [False, False, True, True, False, True]
    assert door.asked == list(SENTENCES), "each once"
    account = reading.account()
    counts = {"report cut": 1, "report not understood": 1, "report rewritten": 3, "report understood in part": 1}
    assert (account["read"], account["left_out"], account["noticed"]) == (5, 0, counts)
    assert [entry["study_id"] for entry in account["listed"]] == ["c", "d", "b", "e"]
    assert account["listed"][1] == {
        "study_id": "d",
        "report": "Edema and grebbling.",
        "understood_as": "Edema.",
        "fit": "unlike what this model has seen",
        "notes": ['The report is understood as: "Edema."', 'Not understood in the report: "grebbling".'],
    }
    assert reading.summary().startswith("5 prompts read, 0 left out; report rewritten: 3, ")


def test_what_is_as_known_needs_no_word() -> None:
    reading, _ = reading_of("Edema.", "Small left pleural effusion.")
    assert not reading.doubtful(0) and not reading.doubtful(1)
    assert (reading.summary(), reading.account()["listed"], reading.remarkable) == ("", [], {})


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        (Wish(num=3), [0, 1, 4]),  # others take the place of those that are left out
        (Wish(num=6), [0, 1, 4, 5, 0, 1]),
        (Wish(num=0, per_finding=4, findings=(Finding.EDEMA,)), [5] * 4),
    ],
)
def test_the_gate_leaves_out_what_is_not_known(wish: Wish, expected: list[int]) -> None:
    reading, _ = reading_of(*SENTENCES, "Edema.")
    assert choose_known(reading, wish, 0).tolist() == expected
    assert reading.left_out <= {2, 3}
    assert reading.account()["left_out"] == len(reading.left_out) > 0


def test_nothing_is_read_that_is_not_needed() -> None:
    reading, door = reading_of("Edema.", "Small left pleural effusion.", "Pequeño derrame pleural.")
    choose_known(reading, Wish(num=2), 0)
    assert len(door.asked) == 2


@pytest.mark.parametrize(
    ("reports", "wish", "said"),
    [
        (["Pequeño derrame pleural."] * 2, Wish(num=1), "No prompt is as .* not understood: it is not English"),
        (["Edema and grebbling.", "Cardiomegaly."], Wish(num=0, per_finding=1, findings=(Finding.EDEMA,)), "'Edema'"),
    ],
)
def test_nothing_is_left(reports: list[str], wish: Wish, said: str) -> None:
    with pytest.raises(UserError, match=said):
        choose_known(reading_of(*reports)[0], wish, 0)


LATERAL = PictureNote(modality=Modality.LATERAL, fit=Fit.UNLIKE, reason="it looks upside down: turn it")


@pytest.mark.parametrize(
    ("notes", "counted"),
    [
        (Notes(), []),
        (Notes(prompt=note("Edema.")), []),
        (Notes(pictures=(LATERAL, PictureNote(modality=Modality.FRONTAL, fit=Fit.AS_KNOWN))),
         ["lateral view unlike what this model has seen"]),
        (Notes(report=ReportNote(removed=("No edema.",), contradicted=True)), ["generated report corrected"]),
        (Notes(report=ReportNote(repeated=("Edema.",))), ["generated report corrected"]),
        (Notes(report=ReportNote()), []),
        (Notes(disagreement="They contradict each other."), ["given parts disagree"]),
    ],
)  # fmt: skip
def test_what_is_counted(notes: Notes, counted: list[str]) -> None:
    assert list(what_was_noticed(notes)) == counted


def test_words() -> None:
    assert in_words({"report cut": 1, "given parts disagree": 1, "report rewritten": 3}) == (
        "report rewritten: 3, given parts disagree: 1, report cut: 1"
    )
    given = {"frontal": 1, "report": "No large effusion."}
    notes = Notes(prompt=note("No large effusion.", understood_as="No effusion."))
    assert as_the_model_reads(given, notes) == {"frontal": 1, "report": "No effusion."}
    assert as_the_model_reads(given, Notes()) == given
