"""Generated reports against reference reports, by the measures of the captioning field and through its own libraries.

Text is lower-cased and split by sacrebleu's 13a rules before every measure, so that all see the same words. BLEU comes
from sacrebleu; ROUGE-L, CIDEr and METEOR from pycocoevalcap (`pip install omnicxr[text]`), METEOR only where Java is
installed.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import sacrebleu
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

from omnicxr.domain import UserError
from omnicxr.evaluation.text_results import Quartiles, TextScores

COPY_WORDS = 12
"""A generated report copies training text where so many words in a row stand in one training report."""
_tokenize = Tokenizer13a()


def tokens(report: str) -> str:
    """Lower case, words and punctuation apart, one space between."""
    return _tokenize(report.lower())


def text_scores(generated: Sequence[str], references: Sequence[str], *, meteor: bool = True) -> TextScores:
    """BLEU-1 to 4 and, where their library is installed, ROUGE-L, CIDEr, METEOR (which is slow, and needs Java).

    BLEU, ROUGE-L and METEOR are 0..1, CIDEr 0..10 with document frequencies of these references. Raises UserError if
    every generated report is empty.
    """
    check_reports(generated, references)
    hypotheses, truths = [tokens(r) for r in generated], [tokens(r) for r in references]
    bleu = (_bleu(hypotheses, truths, n) for n in (1, 2, 3, 4))
    return TextScores(*bleu, **captioning(hypotheses, truths, meteor=meteor))


def check_reports(generated: Sequence[str], references: Sequence[str]) -> None:
    """Raises UserError where there is not one reference for each report, or every generated report is empty."""
    if len(generated) != len(references) or not generated:
        raise UserError(
            f"{len(generated)} generated reports and {len(references)} references: there must be one for each, and at"
            " least one."
        )
    if not any(r.strip() for r in generated):
        raise UserError("Every generated report is empty: there is nothing to score.")


def _bleu(hypotheses: list[str], references: list[str], order: int) -> float:
    metric = sacrebleu.BLEU(max_ngram_order=order, tokenize="none", force=True)
    return metric.corpus_score(hypotheses, [references]).score / 100


def captioning(generated: Sequence[str], references: Sequence[str], *, meteor: bool) -> dict[str, float | None]:
    """`rouge_l`, `cider` and `meteor` of reports whose words stand apart, None where what they need is missing."""
    try:
        from pycocoevalcap.cider.cider import Cider
        from pycocoevalcap.rouge.rouge import Rouge
    except ImportError:
        return {"rouge_l": None, "cider": None, "meteor": None}
    given, scored = ({i: [r] for i, r in enumerate(reports)} for reports in (references, generated))
    return {
        "rouge_l": float(Rouge().compute_score(given, scored)[0]),
        "cider": float(Cider().compute_score(given, scored)[0]),
        "meteor": float(_meteor().compute_score(given, scored)[0]) if meteor and shutil.which("java") else None,
    }


@cache
def _meteor() -> Any:
    """One Java process for all calls."""
    from pycocoevalcap.meteor.meteor import Meteor

    return Meteor()


def lengths(reports: Sequence[str]) -> Quartiles:
    """Words per report."""
    words = np.array([len(r.split()) for r in reports])
    low, middle, high = np.quantile(words, [0.25, 0.5, 0.75])
    return Quartiles(float(words.mean()), float(low), float(middle), float(high))


def copied_share(generated: Sequence[str], training: Sequence[str], *, words: int = COPY_WORDS) -> float:
    """Share of generated reports with at least one run of `words` words that stands in a training report; shorter
    reports: whole report equal."""
    runs: set[tuple[str, ...]] = set()
    whole: set[str] = set()
    for report in training:
        split = tokens(report).split()
        whole.add(" ".join(split))
        runs.update(tuple(split[i : i + words]) for i in range(len(split) - words + 1))
    copied = 0
    for report in generated:
        split = tokens(report).split()
        found = any(tuple(split[i : i + words]) in runs for i in range(len(split) - words + 1))
        copied += found or (len(split) < words and " ".join(split) in whole)
    return copied / len(generated)
