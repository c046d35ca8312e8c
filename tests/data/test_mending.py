from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omnicxr.data.mending import mended
from omnicxr.data.sayings import contradictions, read_sentences, repetition, split_sentences
from omnicxr.simulation.population import sample_truth
from omnicxr.simulation.report import write_report


def alike(texts: Sequence[str]) -> list[float]:
    """A score that likes no text better: the later saying goes."""
    return [0.0] * len(texts)


def mended_by_the_order(text: str) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    kept = mended(text, alike)
    return kept.text, kept.removed, kept.repeated


CONTRADICTORY = [
    ("small left pleural effusion. no pleural effusion.", "small left pleural effusion."),
    ("no pneumothorax. a large pneumothorax is present on the left.", "no pneumothorax."),
    ("moderate cardiomegaly. heart size is normal.", "moderate cardiomegaly."),
    ("normal chest radiograph. the mediastinum is widened.", "normal chest radiograph."),
    ("severe pulmonary edema. no acute cardiopulmonary process.", "severe pulmonary edema."),
    ("large right lower lobe consolidation. the lungs are clear.", "large right lower lobe consolidation."),
    ("left basilar atelectasis. the lungs are clear.", "left basilar atelectasis."),
    ("large bilateral pleural effusions. no left pleural effusion.", "large bilateral pleural effusions."),
    # two sizes at one place
    ("small left pleural effusion. there is a large left pleural effusion.", "small left pleural effusion."),
    (
        "there are small bilateral pleural effusions. large pleural effusion on the right.",
        "there are small bilateral pleural effusions.",
    ),
    ("mild cardiomegaly. the heart is severely enlarged.", "mild cardiomegaly."),
    # only the item of a list goes
    (
        "small left pleural effusion. no pleural effusion or pneumothorax.",
        "small left pleural effusion. no pneumothorax.",
    ),
    (
        "mild pulmonary edema. there is no pneumothorax, pleural effusion or pulmonary edema.",
        "mild pulmonary edema. there is no pneumothorax or pleural effusion.",
    ),
    (
        "small left pleural effusion. lungs are clear without pleural effusion.",
        "small left pleural effusion. lungs are clear.",
    ),
    # the last sentence is kept as far as it states something
    ("small left pleural effusion, no left pleural effusion.", "small left pleural effusion."),
]


@pytest.mark.parametrize(("text", "kept"), CONTRADICTORY)
def test_what_contradicts_goes(text: str, kept: str) -> None:
    found, removed, _ = mended_by_the_order(text)
    assert found == kept
    assert len(removed) == 1


def test_the_denial_of_an_item_is_noted_as_a_sentence() -> None:
    assert mended("small left effusion. no effusion or pneumothorax.", alike).removed == ("no effusion.",)


def test_the_weaker_goes() -> None:
    text = "small left pleural effusion. right chest tube. no pleural effusion."
    likes_denials = mended(text, lambda texts: [float("no pleural" in t) for t in texts])
    assert likes_denials.text == "right chest tube. no pleural effusion."
    assert likes_denials.removed == ("small left pleural effusion.",)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a 1.3 cm mass. tube in place. A 1.3 cm mass. big heart.", "a 1.3 cm mass. tube in place. big heart."),
        ("no evidence of pleural effusion. there is no pleural effusion.", "no evidence of pleural effusion."),
        ("no effusion. no effusion", "no effusion."),
        ("no pleural effusion or pneumothorax. no pneumothorax.", "no pleural effusion or pneumothorax."),
        ("moderate cardiomegaly. the heart is moderately enlarged.", "moderate cardiomegaly."),
        ("small left pleural effusion. small pleural effusion on the left.", "small left pleural effusion."),
        ("right chest tube. a right chest tube is present.", "right chest tube."),
        ("no acute chest disease. no acute cardiopulmonary abnormality.", "no acute chest disease."),
        ("sin derrame. sin derrame. con derrame.", "sin derrame. con derrame."),
    ],
)  # fmt: skip
def test_what_has_been_said_goes(text: str, kept: str) -> None:
    found, removed, repeated = mended_by_the_order(text)
    assert (found, removed, len(repeated)) == (kept, (), 1)


@pytest.mark.parametrize(
    "text",
    [
        "small left pleural effusion. no right pleural effusion.",
        "small left and large right pleural effusions. no pneumothorax.",
        "bilateral pleural effusions, small on the left and moderate on the right. pneumothorax on the left.",
        "small left pleural effusion. no large pleural effusion.",
        "1.3 cm nodule in the right upper lobe. 2.1 cm nodule in the right lower lobe.",
        "large left upper lobe consolidation. large left lower lobe consolidation. no pneumothorax.",
        "no acute cardiopulmonary process. right chest wall pacemaker.",
        "displaced left fifth rib fracture. no acute cardiopulmonary process.",
        "mild cardiomegaly. no acute cardiopulmonary abnormality.",
        "calcified granulomas or nodules. lungs are clear.",
        "left lower lobe opacity. the lungs are otherwise clear. the right lung is clear.",
        "possible pneumonia. no evidence of pneumonia.",
        "old rib fracture. no acute fracture.",
        "small to moderate left pleural effusion. small pleural effusion on the left with fluid in the fissure.",
        "the heart is enlarged. the heart is enlarged and the aorta is tortuous.",
        "endotracheal tube in place. a nasogastric tube is in place.",
        "normal chest radiograph. 1. no pleural effusion. 2. no pneumothorax.",
        "sin derrame pleural. con derrame pleural.",
        "there is a 2.",
        "",
    ],
)
def test_what_may_stand_together_stays(text: str) -> None:
    assert mended_by_the_order(text) == (text, (), ())


def test_reports_from_the_truth_stay_as_they_are() -> None:
    for i in range(150):
        report = write_report(sample_truth(5, i))
        for text in (report.findings, report.impression):
            assert mended_by_the_order(text) == (text, (), ())


PIECES = st.sampled_from(
    [text for row in CONTRADICTORY for text in split_sentences(row[0])]
    + ["no pneumothorax, pleural effusion or pneumothorax.", "no effusion and effusion", "effusion no effusion."]
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES, min_size=1, max_size=9), st.lists(st.floats(-1, 1), min_size=2, max_size=2))
def test_nothing_is_left_that_contradicts_or_repeats(pieces: list[str], scores: list[float]) -> None:
    kept = mended(" ".join(pieces), lambda texts: scores[: len(texts)])
    sentences = split_sentences(kept.text)
    sayings = read_sentences(sentences)
    assert kept.text
    assert not list(contradictions(sayings))
    assert repetition(sentences, sayings) is None
