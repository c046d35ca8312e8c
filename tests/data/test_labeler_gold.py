"""The labeler on real reports with gold labels, where they are at hand (see benchmarks/labeler.py)."""

import os
from pathlib import Path

import pytest

from benchmarks.labeler import micro_macro, read_gold, score

REAL_DATA = Path(os.environ.get("OMNICXR_REAL_DATA", Path(__file__).parents[3] / "shared" / "data"))


def test_agrees_with_the_gold_labels() -> None:
    folder = REAL_DATA / "openi"
    if not (folder / "openi_gld_std14.csv").exists():
        pytest.skip("needs Open-I reports and gold labels: set OMNICXR_REAL_DATA to the folder that holds openi/")
    gold = read_gold(folder)
    assert len(gold) > 2900
    micro, macro = micro_macro(score(gold))
    assert micro >= 0.92
    assert macro >= 0.85
