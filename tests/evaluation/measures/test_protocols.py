"""The protocol of the literature on Open-I, by hand and by its library. Every report here is invented."""

import importlib.util
import math
import shutil
from collections import Counter
from itertools import product

import pytest

from omnicxr.domain import UserError
from omnicxr.evaluation.measures.protocols import (
    GENERATED_WORDS,
    REFERENCE_WORDS,
    STATEMENTS,
    check_installed,
    clean_iu_xray,
    coco_scores,
    known_words,
    protocol_scores,
    published_form,
)
from omnicxr.evaluation.measures.text import text_scores
from omnicxr.evaluation.text_results import ProtocolScores


@pytest.mark.parametrize(
    ("report", "cleaned"),
    [
        ("The heart is normal. Clear lungs.", "the heart is normal . clear lungs ."),
        ("1. No effusion. 2. Clear lungs. 3. Old fracture.", "no effusion . clear lungs . old fracture ."),
        ("1. No effusion 2. Clear lungs", "no effusion . clear lungs ."),
        ("Left-sided tube, well placed; (see above)...", "left-sided tube well placed see above ."),
        ("Nodule of 1.5 cm, T5/T6.", "nodule of 15 cm t5t6 ."),
        ("Seen by Dr.X at 10:30?  Yes!", "seen by drx at 1030 yes ."),
        ("XXXX year-old's film", "xxxx year-olds film ."),
        ("", "."),
    ],
)
def test_cleaning_as_the_published_code_does_it(report: str, cleaned: str) -> None:
    assert clean_iu_xray(report) == cleaned
    assert clean_iu_xray(report.upper()) == cleaned


REFERENCES = ["No acute process. The heart is normal in size.", "Small left effusion.", "Moderate cardiomegaly."]
GENERATED = ["No acute process. The heart is normal.", "Small right effusion.", "Clear lungs."]


def bleu_by_definition(generated: list[str], references: list[str], order: int) -> float:
    """Papineni et al. 2002, one reference each."""
    hits, total = [0] * order, [0] * order
    pairs = [(g.split(), r.split()) for g, r in zip(generated, references, strict=True)]
    for (g, r), n in product(pairs, range(1, order + 1)):
        mine, theirs = (Counter(zip(*(w[i:] for i in range(n)), strict=False)) for w in (g, r))
        hits[n - 1] += (mine & theirs).total()
        total[n - 1] += mine.total()
    lengths = [sum(len(p[i]) for p in pairs) for i in (0, 1)]
    brevity = min(1.0, math.exp(1 - lengths[1] / lengths[0]))
    return brevity * math.exp(sum(math.log(h / t) for h, t in zip(hits, total, strict=True)) / order)


def test_bleu_of_cleaned_text_by_its_definition() -> None:
    found = protocol_scores("iu-xray", GENERATED, REFERENCES, training=REFERENCES, meteor=False)
    cleaned = [[clean_iu_xray(r) for r in reports] for reports in (GENERATED, REFERENCES)]
    for order in (1, 2, 3, 4):
        assert getattr(found.text, f"bleu{order}") == pytest.approx(bleu_by_definition(*cleaned, order), abs=1e-6)
    assert found.text.meteor is None


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("java") is None, reason="METEOR needs Java")
def test_meteor_of_both_forms() -> None:
    found = protocol_scores("iu-xray", REFERENCES, REFERENCES, training=[])
    assert found.as_published is not None
    assert (found.text.meteor, found.as_published.meteor) == pytest.approx((1, 1), abs=0.02)
    worse = protocol_scores("iu-xray", GENERATED, REFERENCES, training=REFERENCES * 3)
    assert worse.text.meteor is not None and 0.2 < worse.text.meteor < 0.8


def test_case_numbering_and_punctuation_do_not_count() -> None:
    written = [
        "1. NO ACUTE PROCESS, 2. the heart is normal; in size",
        "Small (left) effusion!",
        "moderate cardiomegaly",
    ]
    found = protocol_scores("iu-xray", written, REFERENCES, training=REFERENCES, meteor=False)
    assert (found.text.bleu4, found.text.rouge_l) == pytest.approx((1, 1))
    other = protocol_scores("sacrebleu", written, REFERENCES, training=REFERENCES, meteor=False)
    assert other == ProtocolScores(text_scores(written, REFERENCES, meteor=False), None)
    assert other.text.bleu4 < 0.9


def test_rare_words_and_long_references_are_changed_as_published() -> None:
    known = known_words(["Clear lungs. Clear lungs.", "Clear heart. Big heart."])
    assert known == {"clear", "."}, "three times or more: neither 'lungs' nor 'heart'"
    assert published_form("clear lungs . big .", known, words=3) == "clear <unk> ."


def test_published_form_flatters() -> None:
    """Two different rare words become the same one, and what is past the cut is never missed."""
    long = " ".join(f"word{i}" for i in range(100))
    training = [long] * 3
    generated, references = ["odd heart.", long[: long.index("word60")]], ["strange heart.", long]
    found = protocol_scores("iu-xray", generated, references, training=training, meteor=False)
    assert found.as_published is not None
    assert found.as_published.bleu1 > found.text.bleu1 + 0.2
    assert (REFERENCE_WORDS, GENERATED_WORDS) == (59, 60)
    own = [clean_iu_xray(long)] * 2
    cut = [published_form(r, known_words(training), words=w) for r, w in zip(own, (59, 60), strict=True)]
    assert cut[0] == " ".join(long.split()[:59]) and cut[1] == " ".join(long.split()[:60])


def test_what_cannot_be_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    for protocol in STATEMENTS:
        with pytest.raises(UserError, match="one for each"):
            protocol_scores(protocol, ["Clear."], [], training=[])
        with pytest.raises(UserError, match="Every generated report is empty"):
            protocol_scores(protocol, [" "], ["Clear."], training=[])
    check_installed("iu-xray")
    monkeypatch.setattr("omnicxr.evaluation.measures.protocols.find_spec", lambda name: None)
    check_installed("sacrebleu")
    with pytest.raises(UserError, match=r"pip install omnicxr\[text\]"):
        check_installed("iu-xray")


def test_library_is_the_one_that_papers_use() -> None:
    """Perfect reports have CIDEr 10 only where every word is told by its rarity: pycocoevalcap's scale."""
    assert importlib.util.find_spec("pycocoevalcap") is not None
    texts = [f"a{i} b{i} c{i} d{i} e{i}" for i in range(5)]
    assert coco_scores(texts, texts, meteor=False).cider == pytest.approx(10)
