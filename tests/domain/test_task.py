from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnicxr.domain import Modality, Task, UserError

PUBLISHED = {
    "report->frontal",
    "report->lateral",
    "frontal->lateral",
    "lateral->frontal",
    "frontal->report",
    "lateral->report",
    "frontal+lateral->report",
    "frontal+report->lateral",
    "lateral+report->frontal",
    "report->frontal+lateral",
    "frontal->lateral+report",
    "lateral->frontal+report",
}
SUBSETS = [c for n in range(4) for c in combinations(Modality, n)]


def test_all_is_the_twelve_published_tasks() -> None:
    assert {str(t) for t in Task.all()} == PUBLISHED
    assert len(Task.all()) == 12


def test_from_nothing() -> None:
    task = Task.from_nothing()
    assert str(task) == "nothing->frontal+lateral+report"
    assert Task.parse(str(task)) == task


@given(st.sampled_from(SUBSETS), st.sampled_from(SUBSETS))
def test_text_form_round_trips_or_is_refused(g: tuple[Modality, ...], out: tuple[Modality, ...]) -> None:
    if not out or set(g) & set(out):
        with pytest.raises(UserError):
            Task(g, out)
    else:
        assert Task.parse(str(Task(g, out))) == Task(tuple(reversed(g)), tuple(reversed(out)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("frontal", "not a task"),
        ("frontal->", "Nothing to generate"),
        ("frontal->sideways", "'sideways'"),
        ("report->report+lateral", "report"),
    ],
)
def test_bad_text(text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        Task.parse(text)
