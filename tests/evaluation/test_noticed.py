from dataclasses import replace
from pathlib import Path

import pytest

from omnicxr.domain import Finding, LabelState, Modality
from omnicxr.domain.notes import Fit, Notes, PictureNote, PromptNote, ReportNote, Statement
from omnicxr.evaluation.noticed import Noticed, StudyNoticed, read_noticed, write_noticed

FRONTAL, LATERAL = Modality.FRONTAL, Modality.LATERAL
EFFUSION = Statement(finding=Finding.PLEURAL_EFFUSION, state=LabelState.POSITIVE, phrase="effusion")
PLAIN = PromptNote(text="Effusion.", understood_as="Effusion.", fit=Fit.AS_KNOWN, asked=(EFFUSION,))
NOTHING = StudyNoticed(pictures={})
TOLD = replace(NOTHING, prompt=Fit.AS_KNOWN)


def picture(view: Modality, fit: Fit) -> PictureNote:
    return PictureNote(modality=view, fit=fit, reason="it is upside down")


CASES = {
    "nothing given": (Notes(), NOTHING),
    "a view": (Notes(pictures=(picture(FRONTAL, Fit.UNLIKE),)), StudyNoticed(pictures={FRONTAL: Fit.UNLIKE})),
    "taken as it stands": (Notes(prompt=PLAIN), TOLD),
    "in other words": (Notes(prompt=replace(PLAIN, text="Fluid.")), replace(TOLD, changed=True)),
    "in part": (Notes(prompt=replace(PLAIN, not_understood=("xyz",))), replace(TOLD, not_understood=True)),
    "cut": (Notes(prompt=replace(PLAIN, cut=("Compared with 2019.",))), replace(TOLD, cut=True)),
    "not at all: nothing was put in its place": (
        Notes(prompt=PromptNote(text="¿Qué?", understood_as="", fit=Fit.NOT_USABLE, reason="it is not English")),
        replace(NOTHING, prompt=Fit.NOT_USABLE, not_understood=True),
    ),
    "contradicted": (
        Notes(report=ReportNote(removed=("No effusion.",), contradicted=True)),
        replace(NOTHING, contradicted=True),
    ),
    "said twice": (Notes(report=ReportNote(repeated=("No effusion.",))), replace(NOTHING, repeated=True)),
    "nothing removed": (Notes(report=ReportNote()), NOTHING),
    "parts disagree": (Notes(disagreement="They do."), replace(NOTHING, disagreement=True)),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_counted_of_a_study(name: str, tmp_path: Path) -> None:
    notes, expected = CASES[name]
    assert StudyNoticed.of(notes) == expected
    write_noticed(tmp_path / "x.json", [expected])
    assert read_noticed(tmp_path / "x.json") == [expected]


def test_counts_of_a_task() -> None:
    studies = [
        StudyNoticed(pictures={FRONTAL: Fit.AS_KNOWN}, contradicted=True),
        StudyNoticed(pictures={FRONTAL: Fit.UNLIKE}),
        StudyNoticed(pictures={FRONTAL: Fit.NOT_USABLE, LATERAL: Fit.NOT_CHECKED}),
        StudyNoticed(pictures={FRONTAL: Fit.NOT_CHECKED}, prompt=Fit.AS_KNOWN, changed=True),
    ]
    found = Noticed.of(studies, reports=True)
    assert found.pictures == {FRONTAL: dict.fromkeys(Fit, 1), LATERAL: {Fit.NOT_CHECKED: 1}}
    assert found.picture_share(FRONTAL) == pytest.approx(2 / 3), "of those that were checked"
    assert found.picture_share(FRONTAL, (Fit.UNLIKE,)) == pytest.approx(1 / 3)
    assert found.picture_share(LATERAL) is None and Noticed.of([], reports=True).picture_share(FRONTAL) is None
    assert (found.studies, found.prompts, found.changed, found.reports, found.contradicted) == (4, 1, 1, 4, 1)
    assert Noticed.of(studies, reports=False).reports == 0


def test_pipelines_that_take_no_notes(tmp_path: Path) -> None:
    write_noticed(tmp_path / "x.json", None)
    assert not (tmp_path / "x.json").exists() and read_noticed(tmp_path / "x.json") is None
