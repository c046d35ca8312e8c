import shutil

import numpy as np
import pytest
from pycocoevalcap.bleu.bleu import Bleu

from omnicxr.domain import UserError
from omnicxr.evaluation.measures.metrics import distinct_share
from omnicxr.evaluation.measures.text import copied_share, lengths, text_scores, tokens
from omnicxr.evaluation.text_results import Quartiles

REFERENCES = [
    "No acute process. The heart is normal in size.",
    "Small left pleural effusion with adjacent atelectasis.",
    "Moderate cardiomegaly.",
]
GENERATED = [
    "No acute cardiopulmonary process. The heart is normal.",
    "Small right pleural effusion with adjacent atelectasis.",
    "Clear lungs.",
]


@pytest.mark.slow
def test_bleu_agrees_with_pycocoevalcap() -> None:
    ours = text_scores(GENERATED, REFERENCES)
    theirs, _ = Bleu(4).compute_score(
        {i: [tokens(r)] for i, r in enumerate(REFERENCES)}, {i: [tokens(g)] for i, g in enumerate(GENERATED)}, verbose=0
    )
    for n, value in enumerate(theirs, 1):
        assert getattr(ours, f"bleu{n}") == pytest.approx(value, abs=1e-3)


def test_equal_texts_get_the_best_scores() -> None:
    scores = text_scores(REFERENCES, REFERENCES)
    assert [scores.bleu1, scores.bleu2, scores.bleu3, scores.rouge_l] == pytest.approx([1, 1, 1, 1])
    assert scores.cider is not None
    assert scores.cider > 5
    if shutil.which("java"):
        assert scores.meteor == pytest.approx(1, abs=0.01)


def test_scores_fall_as_words_are_replaced() -> None:
    rng = np.random.default_rng(0)
    reports = [
        " ".join(rng.choice(["effusion", "left", "small", "right", "clear", "heart", "normal", "lungs"], 12))
        for _ in range(40)
    ]

    def damaged(share: float) -> list[str]:
        rng = np.random.default_rng(1)
        return [" ".join(w if rng.random() > share else "word" for w in r.split()) for r in reports]

    for name in ("bleu1", "bleu4", "rouge_l", "cider"):
        values = [getattr(text_scores(damaged(s), reports), name) for s in (0, 0.2, 0.5, 0.9)]
        assert values == sorted(values, reverse=True)
        assert values[0] > values[-1]


def test_without_the_optional_library(monkeypatch: pytest.MonkeyPatch) -> None:
    import builtins

    real = builtins.__import__

    def refuse(name: str, *arguments, **options):
        if name.startswith("pycocoevalcap"):
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    scores = text_scores(GENERATED, REFERENCES)
    assert scores.bleu4 is not None
    assert (scores.cider, scores.meteor, scores.rouge_l) == (None, None, None)


@pytest.mark.parametrize(
    ("generated", "references", "said"),
    [([], [], "at least one"), (["a"], ["a", "b"], "one for each"), ([" "], ["a"], "empty")],
)
def test_nothing_to_score(generated: list[str], references: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        text_scores(generated, references)


def test_copies_of_training_text() -> None:
    training = ["The heart is normal in size.", "No effusion."]
    assert copied_share(["Today the heart is normal."], training, words=4) == 1
    assert (
        copied_share(["The heart was normal in size."], training, words=4) == 1
    )  # "normal in size ." is a run of four
    assert copied_share(
        ["The heart was normal in form.", "No effusion.", "No effusions."], training, words=4
    ) == pytest.approx(1 / 3)


def test_lengths_and_variety() -> None:
    assert lengths(["a b", "a b c d"]) == Quartiles(mean=3, quartile_1=2.5, median=3, quartile_3=3.5)
    assert distinct_share(["a", "a", "b", "c"]) == 0.75
