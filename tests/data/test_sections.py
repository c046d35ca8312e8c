import pytest

from omnicxr.data.sections import split_sections, study_text

REPORT = """                                 FINAL REPORT
 EXAMINATION:  CHEST (PA AND LAT)

 INDICATION:  ___-year-old woman with cough  // pneumonia?

 FINDINGS:

 The lungs are clear. Seen by Dr. ___ on
 prior film: no change.

 IMPRESSION:  First reading.

 IMPRESSION:

 No acute cardiopulmonary
 process.
"""


def test_sections() -> None:
    sections = split_sections(REPORT)
    assert sections["impression"] == "No acute cardiopulmonary process."
    assert sections["findings"] == "The lungs are clear. Seen by Dr. on prior film: no change."
    assert sections["examination"] == "CHEST (PA AND LAT)"
    assert "___" not in " ".join(sections.values())


@pytest.mark.parametrize(
    ("report", "text"),
    [
        (" FINDINGS:  Clear lungs.\n", "Clear lungs."),
        (" IMPRESSON:  Normal.\n FINDINGS:  Clear.\n", "Normal."),
        (" CONCLUSION:  Normal.\n", "Normal."),
        (" INDICATION:  Cough.\n\n The chest is clear.\n", "The chest is clear."),
        ("", ""),
    ],
)
def test_text_of_a_study(report: str, text: str) -> None:
    assert study_text(split_sections(report)) == text
