from omnicxr.data.selection import Selection, Selector
from omnicxr.domain import Finding, LabelState, Study


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


def test_a_number_that_is_a_study_of_two_patients() -> None:
    """Both are kept, under names of their own; the same study of the same patient again is not."""
    selector = Selector(Selection())
    given = [Study(subject_id=p, study_id="1", source="any", sections={"findings": "Clear."}) for p in "abb"]
    kept = [selected[0].study_id if (selected := selector.select(s)) else None for s in given]
    assert (kept, selector.account.dropped) == (["1", "b-1", None], {"identifier twice": 1})
