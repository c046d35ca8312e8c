from pathlib import Path

import pytest

from omnicxr.models.component import WEIGHTS
from omnicxr.models.tokenizer import BEGIN, END, PAD, ReportTokenizer, each_sentence_once, sentence_case

REPORTS = ["Small left pleural effusion.", "No acute process.", "A 2.6 cm nodule in the right upper lobe."]


def test_tokenizer_round_trip_and_cut() -> None:
    tokenizer = ReportTokenizer.train(REPORTS, vocab_size=400, max_tokens=64)
    ids = tokenizer.encode(REPORTS)
    assert (ids[:, 0] == BEGIN).all()
    assert tokenizer.decode(ids) == [r.lower() for r in REPORTS]
    assert ids[1, -1] == PAD
    tokenizer.max_tokens = 6
    cut = tokenizer.encode(REPORTS)
    assert cut.shape[1] == 6
    assert (cut == END).sum() == 3


@pytest.mark.parametrize(
    ("text", "shown"), [("no. a 2.6 cm mass. it's ok", "No. A 2.6 cm mass. It's ok"), ("", ""), ("x", "X")]
)
def test_sentence_case(text: str, shown: str) -> None:
    assert sentence_case(text) == shown


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (
            "A 1.3 cm nodule. Tube in place. a 1.3 cm nodule. Clear lungs.",
            "A 1.3 cm nodule. Tube in place. Clear lungs.",
        ),
        ("No effusion. No effusion", "No effusion. No effusion"),
        ("", ""),
    ],
)
def test_each_sentence_once(text: str, kept: str) -> None:
    assert each_sentence_once(text) == kept


def cut(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:1000])
