from collections import Counter
from itertools import pairwise, product

import numpy as np
import pytest

from omnicxr.data.centrality import likeness, most_central
from omnicxr.domain import UserError

REPORTS = [
    "The heart is normal. The lungs are clear.",
    "The lungs are clear. The heart is normal in size.",
    "Large left effusion.",
    "The heart is enlarged.",
    "Clear.",
    "",
]


def f1(a: list[tuple[str, ...]], b: list[tuple[str, ...]]) -> float:
    """By its definition, from precision and recall."""
    hits = sum((Counter(a) & Counter(b)).values())
    if not hits:
        return 0.0
    precision, recall = hits / len(a), hits / len(b)
    return 2 * precision * recall / (precision + recall)


def test_likeness_by_definition() -> None:
    split = [r.lower().replace(".", " .").split() for r in REPORTS]
    ones, twos = [[(w,) for w in s] for s in split], [list(pairwise(s)) for s in split]
    expected = [(f1(ones[i], ones[j]) + f1(twos[i], twos[j])) / 2 for i, j in product(range(len(REPORTS)), repeat=2)]
    found = likeness(REPORTS)
    assert found.ravel() == pytest.approx(expected, abs=1e-6)
    assert found == pytest.approx(found.T)
    assert found.diagonal() == pytest.approx([1, 1, 1, 1, 1, 0])


def test_most_central() -> None:
    assert most_central(REPORTS) == 0
    assert most_central([*REPORTS[2:4], *REPORTS[:2]]) == 2, "it does not depend on the order"
    assert most_central(["Clear.", "Effusion.", "clear.", "CLEAR."]) == 0, "of equals the first"
    assert most_central(["Alone."]) == 0
    assert most_central(["", "", "Clear.", "Clear."]) == 2
    with pytest.raises(UserError, match="no reports to choose from"):
        most_central([])


def test_the_least_damaged_report_is_central() -> None:
    """Copies of one report in which more and more words, anywhere, are replaced."""
    rng = np.random.default_rng(0)
    words = [f"word{i}" for i in range(60)]
    damaged = [
        " ".join(f"other{n}" if i < n else w for i, w in zip(rng.permutation(60), words, strict=True))
        for n in (24, 16, 0, 8, 32)
    ]
    assert most_central(damaged) == 2
    assert np.argsort(-likeness(damaged).sum(1)).tolist() == [2, 3, 1, 0, 4]
