"""What the rules must get right whatever the words around: one case per rule of `lexicon` and `labeler`."""

import pytest

from omnicxr.data.labeler import find_mentions, label_report
from omnicxr.domain import Finding, LabelState

F = Finding
P, N, U = LabelState.POSITIVE, LabelState.NEGATIVE, LabelState.UNCERTAIN


@pytest.mark.parametrize(
    ("text", "finding", "state"),
    [
        ("Small left pleural effusion.", F.PLEURAL_EFFUSION, P),
        ("No pleural effusion or pneumothorax.", F.PNEUMOTHORAX, N),
        ("There is no focal consolidation, pleural effusion, or pneumothorax.", F.PLEURAL_EFFUSION, N),
        ("No pneumothorax. Small effusion.", F.PLEURAL_EFFUSION, P),
        ("No pneumothorax but a small left pleural effusion.", F.PLEURAL_EFFUSION, P),
        ("No pneumothorax, however there is a small left pleural effusion.", F.PLEURAL_EFFUSION, P),
        ("Pneumothorax is not seen.", F.PNEUMOTHORAX, N),
        ("The previously seen right pneumothorax has resolved.", F.PNEUMOTHORAX, N),
        ("Interval resolution of the left effusion.", F.PLEURAL_EFFUSION, N),
        ("Pleural effusions and pneumothorax are not identified.", F.PLEURAL_EFFUSION, N),
        ("Lungs are free of focal consolidation.", F.CONSOLIDATION, N),
        ("No change in the left pleural effusion.", F.PLEURAL_EFFUSION, P),
        ("Without significant interval change in moderate cardiomegaly.", F.CARDIOMEGALY, P),
        ("Possible left lower lobe pneumonia.", F.PNEUMONIA, U),
        ("Pneumonia cannot be excluded.", F.PNEUMONIA, U),
        ("Cannot exclude pneumonia.", F.PNEUMONIA, U),
        ("Opacity may represent atelectasis or pneumonia.", F.PNEUMONIA, U),
        ("Opacity may represent atelectasis or pneumonia.", F.LUNG_OPACITY, P),
        ("No consolidation to suggest pneumonia.", F.PNEUMONIA, N),
        ("Findings suggest mild pulmonary edema.", F.EDEMA, U),
        ("Left basilar atelectasis versus pneumonia.", F.ATELECTASIS, P),
        ("Left basilar atelectasis versus pneumonia.", F.PNEUMONIA, U),
        ("In the appropriate clinical setting this is compatible with pneumonia.", F.PNEUMONIA, U),
        ("Evaluate for pneumonia.", F.PNEUMONIA, None),
        ("Sequela of prior granulomatous infection.", F.PNEUMONIA, None),
        ("The heart is not enlarged.", F.CARDIOMEGALY, N),
        ("The heart is mildly enlarged.", F.CARDIOMEGALY, P),
        ("Heart size is within normal limits.", F.CARDIOMEGALY, N),
        ("Heart size at the upper limits of normal.", F.CARDIOMEGALY, U),
        ("The cardiomediastinal silhouette is unremarkable.", F.ENLARGED_CARDIOMEDIASTINUM, N),
        ("The heart is normal in size and the aorta is enlarged.", F.CARDIOMEGALY, N),
        ("Widened mediastinum.", F.ENLARGED_CARDIOMEDIASTINUM, P),
        ("Small pericardial effusion.", F.PLEURAL_EFFUSION, None),
        ("Blunting of the left costophrenic angle.", F.PLEURAL_EFFUSION, U),
        ("2 cm nodule in the right upper lobe.", F.LUNG_LESION, P),
        ("Nodular opacity in the right upper lobe.", F.LUNG_LESION, U),
        ("No suspicious masses or nodules.", F.LUNG_LESION, N),
        ("CT is more sensitive in detecting small nodules.", F.LUNG_LESION, None),
        ("Mediastinal shift from mass effect.", F.LUNG_LESION, None),
        ("Biapical pleural thickening.", F.PLEURAL_OTHER, P),
        ("Healed left rib fractures.", F.FRACTURE, P),
        ("No acute fracture.", F.FRACTURE, N),
        ("Soft tissue edema.", F.EDEMA, None),
        ("Dual-lead pacemaker in place.", F.SUPPORT_DEVICES, P),
        ("Endotracheal tube ends 4 cm above the carina.", F.SUPPORT_DEVICES, P),
        ("The chest tube has been removed.", F.SUPPORT_DEVICES, N),
        ("The patient supports her arm.", F.SUPPORT_DEVICES, None),
        ("Lungs are clear.", F.LUNG_OPACITY, N),
    ],
)
def test_rule(text: str, finding: Finding, state: LabelState | None) -> None:
    assert label_report(text)[finding] is state


def test_positive_wins_over_uncertain_over_negative() -> None:
    assert label_report("No effusion. Possible effusion.")[F.PLEURAL_EFFUSION] is U
    assert label_report("Small effusion. No effusion. Possible effusion.")[F.PLEURAL_EFFUSION] is P


def test_no_finding() -> None:
    assert label_report("No acute cardiopulmonary process.")[F.NO_FINDING] is P
    assert label_report("Pacemaker in place. Lungs are clear.")[F.NO_FINDING] is P
    assert label_report("Possible pneumonia.")[F.NO_FINDING] is None
    assert label_report("")[F.NO_FINDING] is None


def test_history_is_not_read() -> None:
    text = "INDICATION: Pneumonia.\n\nFINDINGS: Clear lungs.\n\nIMPRESSION: No effusion.\n"
    labels = label_report(text)
    assert labels[F.PNEUMONIA] is None
    assert labels[F.PLEURAL_EFFUSION] is N


def test_every_label_names_its_phrase() -> None:
    text = "FINDINGS: There is no evidence of Pneumothorax."
    (mention,) = find_mentions(text)
    assert (mention.finding, mention.state, mention.phrase, mention.cue) == (F.PNEUMOTHORAX, N, "Pneumothorax", "no")
    assert text[mention.start :].startswith("Pneumothorax")


@pytest.mark.parametrize(
    "text", ["", " ", ".", "...", "no", "\n\n", "x" * 50_000, "no effusion " * 3000, "\x00", "ПНЕВМОНИЯ"]
)
def test_odd_text_does_not_fail(text: str) -> None:
    label_report(text)
