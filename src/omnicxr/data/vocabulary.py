"""The words of a model's training reports: what it can be expected to understand."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from omnicxr.data.parsing import Sentence, parse
from omnicxr.data.sentences import split_sentences
from omnicxr.domain import Finding, LabelState

LEAST = 2
"""A word is known from so many reports on: a typing error is seldom made twice ..."""
ONE_IN = 20_000
"""... but in a large collection it is: there a word must stand in one of so many reports."""
USUAL = 0.05
"""A form of saying things is a model's own from this share of its reports on: for instance a size in a denial, which
is in 12 % of the reports of Open-I ("No large pleural effusion."), and a side, which is in 1.4 %."""
SEEN = 0.01
"""Likewise for sentences that state several findings, or state one and deny another, which lose little when they are
read as they stand."""
PARSED = 20_000
"""Reports, from the first, whose sentences are read for how they name and deny; words are taken from all."""
WIDE = 400
"""Words from which a vocabulary is wide; the simulator's grammar has 115, 2,493 studies of Open-I 1,102."""
REPORTS, NUMBER, ITEM, MIXED, SEVERAL, DENIED_SIZE, DENIED_SIDE = (
    "<reports>", "<number>", "<item>", "<states and denies>", "<states several>", "<size denied>", "<side denied>",
)  # fmt: skip
"""Entries of the table that are no words."""


@dataclass(frozen=True)
class Vocabulary:
    """In how many of a model's training reports each word stands; as JSON it is `words`."""

    words: Mapping[str, int]
    """Lower-case word, or two content words that follow each other, or a form in angle brackets => number of reports.

    `<says> phrase` and `<denies> phrase` are names of findings where they are stated and denied, `<denies> Finding` a
    finding that is denied, `<measured> Finding` one whose measure is given.
    """

    @classmethod
    def of(cls, reports: Iterable[str]) -> Vocabulary:
        """From the reports that a model is trained on. What is too rare to be known is left out."""
        counts: Counter[str] = Counter()
        for report in reports:
            counts[REPORTS] += 1
            seen = set()
            for sentence in split_sentences(report):
                words = words_of(sentence.text)
                seen |= {_key(w) for w in words} | pairs_of(words)
                seen |= {ITEM} if sentence.item else set()
                if counts[REPORTS] <= PARSED:
                    seen |= set(_forms(parse(sentence.text)))
            counts.update(seen)
        least = _least(counts[REPORTS])
        return cls({word: n for word, n in sorted(counts.items()) if n >= least})

    @cached_property
    def is_wide(self) -> bool:
        """Whether it is that of people, who write thousands of words, rather than of a grammar, which knows some
        hundred: a model of the first has learnt to read a sentence with an odd word in it."""
        return sum(word.isalpha() for word in self.words) >= WIDE

    def knows(self, word: str) -> bool:
        """Whether a lower-case word or number is known."""
        return self.words.get(_key(word), 0) >= _least(self.words.get(REPORTS, 0))

    def knows_all(self, text: str) -> bool:
        """Whether all words of a text are known, and have been seen beside each other."""
        words = words_of(text)
        return all(map(self.knows, words)) and all(map(self.knows, pairs_of(words)))

    def says(self, phrase: str, *, denied: bool = False) -> bool:
        """Whether the reports name a finding so, where they state it or where they deny it."""
        return self.knows(f"<{'denies' if denied else 'says'}> {phrase}")

    def usual(self, form: str) -> bool:
        """Whether a form, an entry in angle brackets, is a usual one."""
        share = SEEN if form in (MIXED, SEVERAL) else USUAL
        return self.words.get(form, 0) >= max(LEAST, share * self.words.get(REPORTS, 0))

    def is_normal(self, sentence: str) -> bool:
        """Whether the reports say in these words, or in words that stand together in them, that there is nothing."""
        pairs = pairs_of(words_of(sentence))
        return self.knows(f"<normal> {sentence.lower()}") or bool(pairs and all(map(self.knows, pairs)))

    def normal_as(self, sentence: str) -> tuple[int, int]:
        """In how many reports a sentence says that there is nothing, and in how many the rarest of its words stands."""
        words = words_of(sentence)
        rarest = min(self.words.get(w, 0) for w in (*map(_key, words), *pairs_of(words)))
        return self.words.get(f"<normal> {sentence.lower()}", 0), rarest


def words_of(text: str) -> list[str]:
    """The lower-case words and numbers of a text, in order; "left-sided" is two."""
    return _WORD.findall(text.lower())


def pairs_of(words: Iterable[str]) -> set[str]:
    """Content words that follow each other, function words, numbers and sizes between them left out."""
    content = [w for w in words if not (_GRAMMAR.fullmatch(w) or w[0].isdigit())]
    return {f"{a} {b}" for a, b in pairwise(content)}


def _least(reports: int) -> int:
    return max(LEAST, math.ceil(reports / ONE_IN))


def _key(word: str) -> str:
    return NUMBER if word[0].isdigit() and "," not in word else word


def _forms(sentence: Sentence) -> Iterable[str]:
    states = set()
    for said in sentence.said:
        denied = said.state is LabelState.NEGATIVE
        states.add(denied)
        yield f"<{'denies' if denied else 'says'}> {said.phrase}"
        if denied:
            yield denies(said.finding)
            if said.cue and (said.modifiers.size or said.modifiers.measure):
                yield DENIED_SIZE
            if said.cue and (said.modifiers.side or said.modifiers.place):
                yield DENIED_SIDE
        elif said.modifiers.measure:
            yield measured(said.finding)
    if len(states) == 2:
        yield MIXED
    if states_several(sentence):
        yield SEVERAL
    if sentence.normal:
        yield f"<normal> {sentence.read}"


def states_several(sentence: Sentence) -> bool:
    """Whether a sentence states more than one finding; an opacity that is read as something else is one with it."""
    stated = {s.finding for s in sentence.said if s.state is not LabelState.NEGATIVE}
    return len(stated - {Finding.LUNG_OPACITY}) > 1


def denies(finding: Finding) -> str:
    """The entry that counts the reports that deny a finding."""
    return f"<denies> {finding}"


def measured(finding: Finding) -> str:
    """The entry that counts the reports that give the measure of a finding."""
    return f"<measured> {finding}"


_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?|\d+(?:[.,]\d+)?|%")
_GRAMMAR = re.compile(
    r"(?:a|an|the|of|in|on|at|to|from|for|with|without|within|by|as|and|or|nor|but|is|are|was|were|be|been|being|"
    r"has|have|had|no|not|there|this|that|these|it|its)"
)
