from pathlib import Path

import pytest

from omnicxr.data.selection import Selection, Selector
from omnicxr.domain import Finding, ImageRef, LabelState, Modality, Study, View


def study(language: str, **parts: object) -> Study:
    return Study(subject_id="1", study_id="1", source="any", language=language, **parts)  # type: ignore[arg-type]


def test_the_labeler_reads_english_alone() -> None:
    sections = {"findings": "Small left pleural effusion."}
    for language, state in (("en", LabelState.POSITIVE), ("es", None)):
        selected = Selector(Selection()).select(study(language, sections=sections))
        assert selected is not None
        assert selected[0].labels[Finding.PLEURAL_EFFUSION] is state
        assert selected[0].language == language


def test_a_described_study_has_an_english_sentence() -> None:
    labels = {Finding.EDEMA: LabelState.POSITIVE}
    selector = Selector(Selection(describe=True))
    selected = selector.select(study("es", labels=labels))
    assert selected is not None
    assert selected[1].endswith("Pulmonary edema.")
    assert selected[0].language == "en"


SPANISH = {"findings": "Derrame pleural izquierdo.", "impression": "Cardiomegalia."}


def test_a_report_of_another_language_than_is_said_is_none() -> None:
    """It is counted; its study has no report and no labels. One that is said to be Spanish stays as it is."""
    selector = Selector(Selection(text="both"))
    kept = selector.select(study("en", sections=SPANISH, images=(ImageRef(Path("a.png"), View.PA),)))
    assert kept is not None
    assert (kept[1], set(kept[0].labels.values())) == ("", {None})
    assert selector.account.noticed == {"report does not read as English (left out of its study, no labels from it)": 1}
    kept = Selector(Selection(text="both")).select(study("es", sections=SPANISH))
    assert kept is not None
    assert kept[1] == "Derrame pleural izquierdo. Cardiomegalia."
    required = Selector(Selection(require=(Modality.REPORT,)))
    assert required.select(study("en", sections=SPANISH)) is None
    assert required.account.dropped == {"report does not read as English": 1}


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        ((), "no lateral"),
        ((View.PA,), "no lateral"),
        ((View.LATERAL,), "no lateral (picture file missing)"),
        ((None,), "no lateral (picture file missing)"),
        ((View.LL, View.PA), "no lateral (picture file missing)"),
    ],
)
def test_a_file_that_is_missing_is_told_from_a_view_that_is_not_there(
    missing: tuple[View | None, ...], reason: str
) -> None:
    selector = Selector(Selection(require=(Modality.LATERAL,)))
    assert selector.select(study("en", images=(ImageRef(Path("a.png"), View.PA),), missing=missing)) is None
    assert selector.account.dropped == {reason: 1}
    warnings = selector.warnings(missing=len(missing))
    lost = int(reason.endswith("missing)"))
    share = f"{len(missing)} of {1 + len(missing)} ("
    assert [w.startswith(share) and f" and {lost} of 1 ({lost:.0%}) studies" in w for w in warnings] == [True] * bool(
        missing
    )


def test_views_that_are_not_asked_for_are_not_missed() -> None:
    selector = Selector(Selection(require=(Modality.LATERAL,), views=(View.PA, View.LATERAL)))
    assert selector.select(study("en", images=(ImageRef(Path("a.png"), View.PA),), missing=(View.LL,))) is None
    assert selector.account.dropped == {"no lateral": 1}


def test_a_number_that_is_a_study_of_two_patients() -> None:
    """Both are kept, under names of their own; the same study of the same patient again is not."""
    selector = Selector(Selection())
    given = [Study(subject_id=p, study_id="1", source="any", sections={"findings": "Clear."}) for p in "abb"]
    kept = [selected[0].study_id if (selected := selector.select(s)) else None for s in given]
    assert (kept, selector.account.dropped) == (["1", "b-1", None], {"identifier twice": 1})
