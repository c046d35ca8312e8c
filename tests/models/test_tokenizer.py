import json
from pathlib import Path

import pytest

from omnicxr.domain import UserError
from omnicxr.models.component import WEIGHTS
from omnicxr.models.tokenizer import BEGIN, END, PAD, ReportTokenizer, sentence_case

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


def cut(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:1000])


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("normalizer", None),
        ("pre_tokenizer", {"type": "Whitespace"}),
        ("decoder", None),
        ("added_tokens", []),
        ("model", {"type": "WordLevel", "vocab": {"<pad>": 0, "<begin>": 1, "<end>": 2}, "unk_token": "<pad>"}),
    ],
)
def test_other_kinds_of_tokenizers_are_refused(tmp_path: Path, part: str, value: object) -> None:
    own = ReportTokenizer.train(REPORTS, vocab_size=300, max_tokens=64)
    own.save(tmp_path)
    assert ReportTokenizer.load(tmp_path, max_tokens=8).fingerprint == own.fingerprint
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {part: value}))
    with pytest.raises(UserError, match="not a tokenizer of this project"):
        ReportTokenizer.load(tmp_path, max_tokens=8)


def test_fingerprints_differ_with_the_words() -> None:
    one, other = (
        ReportTokenizer.train([text] * 3, vocab_size=262, max_tokens=8) for text in ("heart size", "clear lungs")
    )
    assert one.vocab_size == other.vocab_size
    assert one.fingerprint != other.fingerprint
