import pytest

from omnicxr.data.agreement import AGREED, RAISED, confidence, with_uncertainty
from omnicxr.data.labeler import label_report
from omnicxr.domain import Finding, LabelState, UserError

EFFUSION, TUBES = Finding.PLEURAL_EFFUSION, Finding.SUPPORT_DEVICES


def test_confidence_is_the_share_that_states() -> None:
    reports = [
        "Small left pleural effusion.",
        "No pleural effusion.",
        "Large effusion. Chest tube.",
        "Possible effusion.",
    ]
    assert confidence(reports) == {EFFUSION: 0.5, TUBES: 0.25, Finding.NO_FINDING: 0.25}
    with pytest.raises(UserError, match="no reports"):
        confidence([])


@pytest.mark.parametrize(
    ("report", "shares", "said"),
    [
        ("Small left pleural effusion.", {EFFUSION: AGREED}, "Small left pleural effusion."),
        ("Small left pleural effusion.", {EFFUSION: 0.625}, "Small left pleural effusion (uncertain, 5 of 8 samples)."),
        ("Small left effusion", {EFFUSION: 0.125}, "Small left effusion (uncertain, 1 of 8 samples)"),
        ("No effusion.", {EFFUSION: 0.5}, "No effusion (uncertain, 4 of 8 samples state pleural effusion)."),
        ("No effusion.", {EFFUSION: RAISED / 2}, "No effusion."),
        (
            "Chest tube.",
            {TUBES: 1.0, EFFUSION: 0.5, Finding.EDEMA: 0.375, Finding.FRACTURE: RAISED / 2, Finding.LUNG_OPACITY: 0.5},
            "Chest tube. Uncertain: possible pleural effusion (4 of 8 samples), possible edema (3 of 8 samples).",
        ),
        ("Normal chest radiograph.", {Finding.NO_FINDING: 0.5}, "Normal chest radiograph (uncertain, 4 of 8 samples)."),
        # a consolidation is an opacity, too: no opinion of its own
        (
            "Left lower lobe consolidation.",
            {Finding.CONSOLIDATION: 1.0, Finding.LUNG_OPACITY: 0.5},
            "Left lower lobe consolidation.",
        ),
    ],
)
def test_uncertainty_is_said(report: str, shares: dict[Finding, float], said: str) -> None:
    assert with_uncertainty(report, shares, 8) == said


def test_the_labeler_reads_what_is_uncertain_as_uncertain() -> None:
    report = with_uncertainty("Small effusion. Chest tube.", {EFFUSION: 0.5, TUBES: 1.0, Finding.EDEMA: 0.5}, 8)
    labels = label_report(report)
    assert labels[EFFUSION] is labels[Finding.EDEMA] is LabelState.UNCERTAIN
    assert labels[TUBES] is LabelState.POSITIVE
