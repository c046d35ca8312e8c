import pytest

from omnicxr.data.modifiers import size_of
from omnicxr.data.parsing import parse
from omnicxr.domain import Finding


@pytest.mark.parametrize(
    ("measure", "finding", "size"),
    [
        ("1.9 cm", Finding.PNEUMOTHORAX, "small"),
        ("2.0 cm", Finding.PNEUMOTHORAX, "moderate"),
        ("4.0 cm", Finding.PNEUMOTHORAX, "large"),
        ("30%", Finding.PNEUMOTHORAX, "moderate"),
        ("1.4 cm", Finding.PLEURAL_EFFUSION, "small"),
        ("5.0 cm", Finding.PLEURAL_EFFUSION, "large"),
        ("5.0 cm", Finding.LUNG_LESION, ""),
    ],
)
def test_size_of_a_measure(measure: str, finding: Finding, size: str) -> None:
    assert size_of(measure, finding) == size


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("small left and large right effusions", [("left", "small", ""), ("right", "large", "")]),
        ("left and right effusions", [("bilateral", "", "")]),
        (
            "bilateral effusions, small on the left and large on the right",
            [("left", "small", ""), ("right", "large", "")],
        ),
        ("left lower and right upper lobe consolidation", [("left", "", "lower lobe"), ("right", "", "upper lobe")]),
        ("left upper and lower lobe consolidation", [("left", "", "upper lobe"), ("left", "", "lower lobe")]),
        ("lingular opacity", [("left", "", "lingula")]),
        ("severe kyphosis with a small right effusion", [("right", "small", "")]),
        ("pneumothorax with shift to the right", [("", "", "")]),
        ("the effusion is not large", [("", "", "")]),
        ("significant interval decrease in right opacification", [("right", "", "")]),
        ("mild to moderate cardiomegaly", [("", "moderate", "")]),
        ("left 5th to 7th rib fractures", [("left", "", "fifth, sixth and seventh ribs")]),
    ],
)
def test_what_belongs_to_a_mention(text: str, said: list[tuple[str, str, str]]) -> None:
    found = [(s.modifiers.side, s.modifiers.size, s.modifiers.place) for s in parse(text).said]
    assert found == said


@pytest.mark.parametrize(
    ("text", "measure"),
    [("8mm nodule", "0.8 cm"), ("2 x 3,5 cm mass", "3.5 cm"), ("nodules of 1 cm and 2 cm", "2.0 cm")],
)
def test_measures_are_the_largest_in_cm(text: str, measure: str) -> None:
    assert [s.modifiers.measure for s in parse(text).said] == [measure]
