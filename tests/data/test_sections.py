import pytest

from omnicxr.data.headings import header_kind
from omnicxr.data.sections import clean_text, split_sections, study_text

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
    assert sections["findings"] == "The lungs are clear. Seen by the doctor on prior film: no change."
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


ADDENDUM = """                                 FINAL REPORT
 ADDENDUM  The line ends in the right atrium.
______________________________________________________________________________
                                 FINAL REPORT
 CHEST RADIOGRAPH

 HISTORY:  Fever.
 FINDINGS:  There is a small effusion.
   The heart is normal.
 1.  Line in place.

 CONCLUSION:  Small effusion.

 NOTIFICATION:  Discussed with Dr. ___ at ___.
"""


def test_addendum_stands_apart() -> None:
    sections = split_sections(ADDENDUM)
    assert sections["addendum"].endswith("The line ends in the right atrium.")
    assert sections["findings"] == "There is a small effusion. The heart is normal. 1. Line in place."
    assert sections["impression"] == "Small effusion."
    assert sections["history"] == "Fever."
    assert sections["notification"] == "Discussed with the doctor."


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("FINDINGS", "findings"),
        ("FINDNGS", "findings"),
        ("IMPRESSON", "impression"),
        ("IMPERSSION", "impression"),
        ("COMPARISIONS", "comparison"),
        ("FINDINGS AND IMPRESSION", "impression"),
        ("REASON FOR EXAMINATION", "indication"),
        ("CLINICAL  HISTORY", "history"),
        ("PFI", "history"),
        ("EXAMINTION", "examination"),
        ("DICTATION", "dictation"),
        ("CHEST", "chest"),
    ],
)
def test_header_names(name: str, kind: str) -> None:
    assert header_kind(name) == kind


def test_a_later_empty_section_does_not_hide_the_text() -> None:
    assert split_sections(" IMPRESSION:  Normal.\n IMPRESSION:\n")["impression"] == "Normal."


def test_times_and_words_in_capitals_are_no_headers() -> None:
    sections = split_sections(" FINDINGS:  Seen at 10:30. Note: PICC ends in the SVC.\n Heart: normal.\n")
    assert sections["findings"] == "Seen at 10:30. Note: PICC ends in the SVC. Heart: normal."


def test_windows_line_ends() -> None:
    assert split_sections(REPORT.replace("\n", "\r\n")) == split_sections(REPORT)


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("___-year-old woman with cough", "woman with cough"),
        ("Comparison to ___ at 14:00.", "Comparison at 14:00."),
        ("Discussed with Dr. ___ by Dr. ___ at ___ on ___.", "Discussed with the doctor by the doctor."),
        (
            "As compared to the radiograph from ___, the tube is unchanged.",
            "As compared to the radiograph, the tube is unchanged.",
        ),
        ("Normal chest x-XXXX.", "Normal chest x-ray."),
        ("There is no XXXX of a pleural effusion.", "There is no evidence of a pleural effusion."),
        ("XXXX. No effusion.", "No effusion."),
        ("Comparison is made with ___ and ___.", "Comparison is made."),
        ("No  change\n since\tlast film.", "No change since last film."),
        ("Seen by [**Name 12**] today.", "Seen today."),
        ("The lungs are clear, and the heart is normal.", "The lungs are clear, and the heart is normal."),
    ],
)
def test_marks_go_without_broken_sentences(raw: str, clean: str) -> None:
    assert clean_text(raw) == clean


def test_choice_of_text() -> None:
    sections = {"findings": "F.", "impression": "I."}
    assert [study_text(sections, t) for t in ("auto", "findings", "impression", "both")] == ["I.", "F.", "I.", "F. I."]
    assert study_text({"findings": "F."}, "both") == "F."
    assert study_text({"findings": "F."}, "impression") == ""


@pytest.mark.parametrize(
    ("report", "findings", "text"),
    [
        # headings in mixed case, without a colon, deep, inside a line
        ("Findings: Small effusion.\n\nImpression: Effusion.", "Small effusion.", "Effusion."),
        ("FINDINGS\nSmall effusion.\n\nIMPRESSION\nEffusion.", "Small effusion.", "Effusion."),
        ("      FINDINGS: Small effusion.\n      IMPRESSION: Effusion.", "Small effusion.", "Effusion."),
        ("HISTORY: Fall. FINDINGS: Fracture. IMPRESSION: Rib fracture.", "Fracture.", "Rib fracture."),
        ("FINDINGS: Chest  Comparison: A mass.", "Chest Comparison: A mass.", "Chest Comparison: A mass."),
        ("FINDINGS - Fracture.\nIMPRESSION - Rib fracture.", "Fracture.", "Rib fracture."),
        # parts of the body belong to the findings
        ("FINDINGS:\nLUNGS: Clear.\nHeart: Big.\n", "LUNGS: Clear. Heart: Big.", "LUNGS: Clear. Heart: Big."),
        ("TECHNIQUE: PA.\nLUNGS: Clear.\nHEART: Big.\n", "LUNGS: Clear. HEART: Big.", "LUNGS: Clear. HEART: Big."),
        # an impression that points elsewhere gives way
        ("FINDINGS: Consolidation.\n\nIMPRESSION: None.", "Consolidation.", "Consolidation."),
        ("FINDINGS: Consolidation.\n\nIMPRESSION: See above.", "Consolidation.", "Consolidation."),
        ("FINDINGS: Consolidation.\n\nIMPRESSION: As above", "Consolidation.", "Consolidation."),
        # items of a list are sentences
        ("FINDINGS:\n - No effusion\n - Big heart\n", "No effusion. Big heart", "No effusion. Big heart"),
        ("FINDINGS:\nNo effusion\nBig heart\n", "No effusion. Big heart", "No effusion. Big heart"),
        # what stands below the report is not the report
        ("CHEST\n\n There is a pneumothorax.\n\n WET READ: 9 PM\n  No pneumothorax.\n", "", "There is a pneumothorax."),
        ("Chest film.\n\n Pneumothorax.\n\n Dr. ___ was paged at 11:20 am.\n", "", "Pneumothorax."),
        ("FINDINGS: Pneumothorax.\n\nDictated by: A. B., M.D.\n", "Pneumothorax.", "Pneumothorax."),
        ("INDICATION: Cough.\n", "", ""),
    ],
)  # fmt: skip
def test_reports_as_they_are_written(report: str, findings: str, text: str) -> None:
    sections = split_sections(report)
    assert study_text(sections, "findings") == findings
    assert study_text(sections) == text


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("A ___ x ___ mm nodule.", "A nodule."),
        ("ET tube is ___ cm above the carina.", "ET tube is above the carina."),
        ("Nodule of ___ mm; compare with ___ CT.", "Nodule; compare with CT."),
        ("Right effusion since ___.", "Right effusion."),
        ("Compared to ___, effusion is smaller.", "Compared to the prior study, effusion is smaller."),
        ("The lungs are XXXX.", ""),
        ("Findings were telephoned to ___ on ___ at 10:15 am.", "Findings were telephoned at 10:15 am."),
        ("Follow up in ___ weeks.", "Follow up."),
        ("Fracture of the ___th rib.", "Fracture of the rib."),
    ],
)
def test_marks_leave_nothing_hanging(raw: str, clean: str) -> None:
    assert clean_text(raw) == clean
