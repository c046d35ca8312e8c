"""How papers on one data set score their reports: text cleaned as theirs, measures by the library that they use.

`iu-xray` is the protocol of R2Gen (Chen et al., EMNLP 2020) and of those who compare with it on Open-I (IU X-Ray).
Their code also changes the references before it scores: it cuts them, and rare words become one. What a report misses
there is not missed, so that is a second set of figures (`published_form`), never the main one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from typing import Literal

from omnicxr.domain import UserError
from omnicxr.evaluation.measures.text import captioning, check_reports, text_scores
from omnicxr.evaluation.text_results import ProtocolScores, TextScores

Protocol = Literal["sacrebleu", "iu-xray"]
UNKNOWN = "<unk>"
LEAST_SEEN = 3
"""A word that the training reports have less often becomes `UNKNOWN`."""
REFERENCE_WORDS, GENERATED_WORDS = 59, 60
"""Words of a reference and of a generated report that the published code keeps: 60 tokens, of which the first of a
reference is a mark of its beginning."""
STATEMENTS: dict[Protocol, str] = {
    "sacrebleu": (
        "Lower case, 13a tokens; BLEU by sacrebleu, METEOR, ROUGE-L and CIDEr by pycocoevalcap. References are whole."
    ),
    "iu-xray": (
        "Generated and reference text alike: lower case, numbering of sentences and punctuation but full stops removed"
        " (R2Gen); BLEU, METEOR, ROUGE-L and CIDEr by pycocoevalcap. References are whole. 'As published': references"
        f" cut to {REFERENCE_WORDS} words, generated reports to {GENERATED_WORDS}, words that the training reports"
        f" have fewer than {LEAST_SEEN} times replaced by {UNKNOWN}."
    ),
}
"""What is done to text, in a sentence that stands with the figures."""


def check_installed(protocol: Protocol) -> None:
    """Raises UserError where the library is missing without which the protocol has no figures."""
    if protocol == "iu-xray" and find_spec("pycocoevalcap") is None:
        raise UserError("The protocol 'iu-xray' scores with pycocoevalcap: install it by pip install omnicxr[text].")


def protocol_scores(
    protocol: Protocol,
    generated: Sequence[str],
    references: Sequence[str],
    *,
    training: Iterable[str],
    meteor: bool = True,
) -> ProtocolScores:
    """Reports against the study's own, each pair at the same place; `training`: reports that words are counted in;
    `meteor`: METEOR too, which is slow.

    Raises UserError for numbers that differ, and if every generated report is empty.
    """
    if protocol == "sacrebleu":
        return ProtocolScores(text_scores(generated, references, meteor=meteor), None)
    check_reports(generated, references)
    known = known_words(training)
    whole, truths = ([clean_iu_xray(r) for r in reports] for reports in (generated, references))
    cut = [published_form(r, known, words=GENERATED_WORDS) for r in whole]
    cut_truths = [published_form(r, known, words=REFERENCE_WORDS) for r in truths]
    return ProtocolScores(coco_scores(whole, truths, meteor=meteor), coco_scores(cut, cut_truths, meteor=meteor))


def coco_scores(generated: Sequence[str], references: Sequence[str], *, meteor: bool = True) -> TextScores:
    """Every measure by pycocoevalcap, of words that stand apart already; METEOR is None where there is no Java."""
    from pycocoevalcap.bleu.bleu import Bleu

    given = {i: [r] for i, r in enumerate(references)}
    bleu, _ = Bleu(4).compute_score(given, {i: [g] for i, g in enumerate(generated)}, verbose=0)
    return TextScores(*map(float, bleu), **captioning(generated, references, meteor=meteor))


def clean_iu_xray(report: str) -> str:
    """Lower-cased sentences without numbers before them and without punctuation, " . " between and at the end.

    Hyphens stay, and so do digits. A full stop that no blank follows goes with the punctuation, as does one at the end
    of the text: there is one at the end in any case.
    """
    text = report
    for _ in range(3):
        text = text.replace("..", ".")
    text = text.replace("1. ", "")
    for before, after in ((". {}. ", ". "), (" {}. ", ". ")):
        for number in "2345":
            text = text.replace(before.format(number), after)
    sentences = text.strip().lower().split(". ")
    return " ".join((" . ".join(_PUNCTUATION.sub("", s.strip()) for s in sentences) + " .").split())


_PUNCTUATION = re.compile(r"""["/\\'.,?;*!%^&_+():<=>@\[\]{}]""")


def known_words(training: Iterable[str]) -> frozenset[str]:
    """The words of cleaned reports that are seen at least `LEAST_SEEN` times."""
    counts = Counter(word for report in training for word in clean_iu_xray(report).split())
    return frozenset(word for word, count in counts.items() if count >= LEAST_SEEN)


def published_form(cleaned: str, known: frozenset[str], *, words: int) -> str:
    """A cleaned report as the published code scores it: its first words, those not `known` replaced."""
    return " ".join(word if word in known else UNKNOWN for word in cleaned.split()[:words])
