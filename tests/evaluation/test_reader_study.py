"""What readers' answers say, on answers whose figures can be counted by hand."""

import csv
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import cohen_kappa_score

from omnicxr.data.dataset import PreparedDataset
from omnicxr.domain import Modality, UserError
from omnicxr.evaluation.measures.uncertainty import Estimate
from omnicxr.evaluation.reader_study import (
    GENERATED,
    REAL,
    SIMULATED,
    Item,
    Vote,
    analyse,
    choose_items,
    kind_of,
    read_key,
    read_votes,
    study_name,
    write_key,
)

ITEMS = [Item(str(n), REAL if n % 2 else GENERATED, f"s{n}", n) for n in range(1, 21)]
HEADER = "study,reader,item,vote,rating,seconds,comment"


def votes(reader: str, right: int) -> list[Vote]:
    """Right for the first `right` items, wrong for the others; real ones look like 4, generated ones like 2."""
    other = {REAL: GENERATED, GENERATED: REAL}
    return [
        Vote(reader, i.item, i.truth if n < right else other[i.truth], 4 if i.truth == REAL else 2, 3.0 + n)
        for n, i in enumerate(ITEMS)
    ]


def test_figures_of_one_reader() -> None:
    result = analyse(ITEMS, votes("a", 15))
    reader = result.readers["a"]
    assert reader.accuracy.value == 0.75
    assert (reader.sensitivity.value, reader.specificity.value) == (0.7, 0.8)
    assert (reader.rating.value, reader.rating_of_generated.value) == (4, 2)
    assert reader.median_seconds == 12.5
    z, p, n = norm.ppf(0.975), 0.75, 20
    half = z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    assert (reader.accuracy.low, reader.accuracy.high) == pytest.approx((middle - half, middle + half))
    assert reader.p_value == pytest.approx(2 * (15504 + 4845 + 1140 + 190 + 20 + 1) / 2**20)
    assert result.together.rating_difference == Estimate(2, 2, 2)
    assert np.isnan(result.agreement_of_readers)
    assert [f.item for f in result.most_fooling] == ["16", "18", "20"]


def test_two_readers_together() -> None:
    a, b = votes("a", 15), votes("b", 10)[:18]
    result = analyse(ITEMS, a + b)
    assert result.readers["b"].missing == 2
    assert result.together.accuracy.value == pytest.approx(25 / 38)
    assert result.together.accuracy.low < 25 / 38 < result.together.accuracy.high
    assert result.agreement_of_readers == pytest.approx(
        cohen_kappa_score([v.vote for v in a[:18]], [v.vote for v in b])
    )


def test_key_there_and_back(tmp_path: Path) -> None:
    write_key(ITEMS, tmp_path / "key.csv")
    assert read_key(tmp_path / "key.csv") == ITEMS


def answers(path: Path, *rows: str) -> Path:
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return path


def test_answers_are_read(tmp_path: Path) -> None:
    name = study_name(ITEMS)
    found = read_votes(
        [answers(tmp_path / "a.csv", f'{name},Ann,1,real,5,2.5,"a, b"', f"{name},Ann,2,real,1,3,")], ITEMS
    )
    assert found == [Vote("Ann", "1", REAL, 5, 2.5), Vote("Ann", "2", REAL, 1, 3.0)]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{other},Ann,1,real,5,2,", "answers another reader study"),
        ("{name},Ann,99,real,5,2,", "answers another reader study"),
        ("{name},Ann,1,maybe,5,2,", "votes are generated or real"),
        ("{name},Ann,1,real,6,2,", "ratings 1 to 5"),
        ("{name},Ann,1,real,5,soon,", "'soon' seconds"),
        ("{name},Ann,2,real,5,2,", "answered study 2 twice"),
    ],
)
def test_answers_that_do_not_fit(tmp_path: Path, row: str, said: str) -> None:
    name = study_name(ITEMS)
    path = answers(tmp_path / "a.csv", f"{name},Ann,2,real,5,2,", row.format(name=name, other="0" * 12))
    with pytest.raises(UserError, match=said):
        read_votes([path], ITEMS)


def test_items_are_mixed_and_repeatable(prepared: Path) -> None:
    data = PreparedDataset(prepared, "train")
    assert kind_of(data) == SIMULATED

    def chosen(num: int, seed: int) -> list[Item]:
        return choose_items({SIMULATED: data, GENERATED: data}, (Modality.FRONTAL,), num=num, seed=seed)

    items = chosen(20, 0)
    assert items == chosen(20, 0) != chosen(20, 1)
    truths = [i.truth for i in items]
    assert truths.count(SIMULATED) == truths.count(GENERATED) == 20
    assert 4 < sum(a != b for a, b in pairwise(truths)) < 36
    assert all(data.table.column("study_id")[i.row].as_py() == i.study_id for i in items)
    with pytest.raises(UserError, match=r"9999 are wanted: ask for fewer"):
        chosen(9999, 0)


def test_no_answers(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no rows"):
        read_votes([answers(tmp_path / "a.csv")], ITEMS)
    with pytest.raises(UserError, match="hold no answers"):
        read_votes([], ITEMS)


def test_header_matches_what_the_page_writes() -> None:
    page = Path(__file__).parents[2] / "src" / "omnicxr" / "app" / "assets" / "reader_study.html"
    assert f'"{HEADER}"' in page.read_text()
    assert next(csv.reader([HEADER]))[0] == "study"
