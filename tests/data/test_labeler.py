"""What the rules must get right whatever the words around: one case per rule of `lexicon` and `labeler`, and a list of
sentences of every kind that has been got wrong."""

import json
from pathlib import Path

import pytest

from omnicxr.data.labeler import combine, find_mentions, label_report
from omnicxr.data.language import is_english
from omnicxr.data.spelling import mend_word
from omnicxr.data.statements import find_statements
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


SENTENCES = [json.loads(line) for line in (Path(__file__).parent / "sentences.jsonl").read_text("utf-8").splitlines()]
"""Kind, text, and finding => states that are right (null: not mentioned)."""


@pytest.mark.parametrize("kind", sorted({s["kind"] for s in SENTENCES}))
def test_sentences(kind: str) -> None:
    wrong = [
        (sentence["text"], finding, labels[Finding(finding)])
        for sentence in SENTENCES
        if sentence["kind"] == kind
        for labels in [label_report(sentence["text"])]
        for finding, right in sentence["right"].items()
        if labels[Finding(finding)] not in right
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "text",
    [
        "Derrame pleural izquierdo. No se observa neumotorax.",
        "Kein Erguss, kein Pneumothorax. Herz normal gross.",
        "Pas d'épanchement pleural. Coeur normal.",
        "Não há derrame pleural. Coração de tamanho normal.",
        "Versamento pleurico destro.",
        "胸部X線 異常なし",
        "",
        "...",
    ],
)
def test_what_is_not_english_has_no_labels(text: str) -> None:
    assert not is_english(text)
    assert set(label_report(text).values()) == {None}


def test_no_finding_needs_words_about_a_film() -> None:
    assert combine([], described=False)[F.NO_FINDING] is None
    assert label_report("The doctor was paged at 11:20 am.")[F.NO_FINDING] is None
    assert label_report("Hyperexpanded lungs.")[F.NO_FINDING] is P


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("effussion", "effusion"),  # a letter too many
        ("consoldation", "consolidation"),  # a letter left out
        ("pnuemothorax", "pneumothorax"),  # two letters swapped
        ("cardiomegally", "cardiomegaly"),
        ("pneumo-thorax", "pneumothorax"),
        ("effusions", "effusions"),
        ("infections", "infections"),
        ("injection", "injection"),
        ("infusion", "infusion"),
        ("module", "module"),
    ],
)
def test_typing_errors(word: str, meant: str) -> None:
    assert mend_word(word) == meant


def test_statements() -> None:
    wrapped = "There is no evidence of focal consolidation, pleural effusion or\npneumothorax. Heart\nnormal"
    assert find_statements(wrapped).text.split("\n") == [
        "there is no evidence of focal consolidation, pleural effusion or pneumothorax.",
        "heart normal",
    ]
    listed = "NO PNEUMOTHORAX\nSMALL EFFUSION; 1) Edema"
    assert [s.strip() for s in find_statements(listed).text.split("\n")] == [
        "no pneumothorax", "small effusion;", "1)", "edema",
    ]  # fmt: skip


def test_other_sections_end_where_the_report_goes_on() -> None:
    assert label_report("TECHNIQUE: AP portable. There is a right pneumothorax.")[F.PNEUMOTHORAX] is P
    text = "HISTORY: Effusion. Old pneumonia.\n\nFINDINGS: Clear.\n\nCOMPARISON: Effusion then. And edema."
    assert {label_report(text)[f] for f in (F.PLEURAL_EFFUSION, F.PNEUMONIA, F.EDEMA)} == {None}


def test_places_of_mentions_survive_mended_spelling() -> None:
    text = "HISTORY: cough.\n\nCardiomegally with  small plural effussion."
    found = {m.finding: (text[m.start :][: len(m.phrase)], m.phrase) for m in find_mentions(text)}
    assert found[F.CARDIOMEGALY] == ("Cardiomegally",) * 2
    assert found[F.PLEURAL_EFFUSION] == ("plural effussion",) * 2
