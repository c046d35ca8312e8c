"""Results and notes as JSON and back."""

import json
from dataclasses import dataclass, replace
from math import isnan, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnicxr.data.typed_json import from_json, to_json
from omnicxr.domain import Finding, LabelState, Modality, Notes, PictureNote, PromptNote, ReportNote, Statement, Task


@dataclass(frozen=True)
class Inner:
    value: float


@dataclass(frozen=True)
class Reason:
    refused: str


@dataclass(frozen=True)
class Outer:
    number: float
    count: int
    text: str | None
    either: Inner | Reason | None
    by_task: dict[Task, dict[Modality, Inner | Reason]]
    by_finding: dict[Finding, float]
    rows: list[Inner]
    span: tuple[float, ...]


TEXTS, NUMBERS = st.text(max_size=8), st.integers(-(10**6), 10**6).map(lambda n: n / 10_000)
STATEMENTS = st.lists(st.builds(Statement, phrase=TEXTS, size=TEXTS), max_size=2).map(tuple)
PIECES = st.lists(TEXTS, max_size=2).map(tuple)
NOTES = st.builds(
    Notes,
    pictures=st.lists(st.builds(PictureNote, measured=st.dictionaries(TEXTS, NUMBERS, max_size=2)), max_size=2).map(
        tuple
    ),
    prompt=st.none()
    | st.builds(PromptNote, asked=STATEMENTS, denied=STATEMENTS, not_understood=PIECES, cut=PIECES, reason=TEXTS),
    report=st.none()
    | st.builds(ReportNote, removed=PIECES, confidence=st.dictionaries(st.sampled_from(Finding), NUMBERS, max_size=2)),
    disagreement=TEXTS,
)

OUTER = Outer(
    number=1.5,
    count=3,
    text=None,
    either=Reason("too few"),
    by_task={Task.parse("report->frontal"): {Modality.FRONTAL: Inner(0.25), Modality.LATERAL: Reason("none")}},
    by_finding={Finding.EDEMA: 0.5},
    rows=[Inner(1.0), Inner(2.0)],
    span=(0.0, 1.0),
)


def test_there_and_back() -> None:
    written = to_json(OUTER)
    assert written["by_task"] == {"report->frontal": {"frontal": {"value": 0.25}, "lateral": {"refused": "none"}}}
    assert from_json(Outer, written) == OUTER
    for either in (None, Inner(2.0)):
        changed = replace(OUTER, either=either, text="x")
        assert from_json(Outer, to_json(changed)) == changed


@given(NOTES)
def test_notes_there_and_back(notes: Notes) -> None:
    """Through the text of a file: label states and findings are what they were, not numbers and texts."""
    again = from_json(Notes, json.loads(json.dumps(to_json(notes))))
    assert again == notes and again.fit is notes.fit
    for statement in again.prompt.asked if again.prompt else ():
        assert isinstance(statement.state, LabelState) and isinstance(statement.finding, Finding)


def test_numbers() -> None:
    """Four decimals; what cannot be worked out is null, and NaN again."""
    assert to_json([0.123456, nan, float("inf"), 3, True]) == [0.1235, None, None, 3, True]
    assert isnan(from_json(Inner, to_json(Inner(nan))).value)


@pytest.mark.parametrize("wrong", [{}, {"value": 1.0, "more": 2}, {"valu": 1.0}])
def test_other_names_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="in Inner"):
        from_json(Inner, wrong)
