"""A report that contradicts itself, or says a thing twice => the same report without the weaker sentence."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from omnicxr.data.sayings import Saying, contradictions, read_sentences, repetition, split_sentences


@dataclass(frozen=True, kw_only=True)
class Mended:
    """A report, and what was left out of it."""

    text: str
    removed: tuple[str, ...] = ()
    """Sentences, or what was left out of one, that contradicted others."""
    repeated: tuple[str, ...] = ()
    """Sentences that said nothing that had not been said."""


def mended(text: str, score: Callable[[Sequence[str]], Sequence[float]]) -> Mended:
    """A report on one line, without repetitions and contradictions; the same bytes where it has none.

    score: texts => how well each suits what the report was written from, higher is better. Of two sayings that
    contradict each other the one goes without which the text scores higher; the later, where both score alike. A denial
    is taken out of the list that it stands in ("No pleural effusion or pneumothorax."), else the sentence goes; the
    last sentence never goes. Of a text that is not English only sentences go that stand in it already.
    """
    sentences, repeated = _each_once(split_sentences(text))
    removed: list[str] = []
    while True:
        sayings = read_sentences(sentences)
        again = repetition(sentences, sayings)
        if again is not None:
            repeated.append(sentences.pop(again))
            continue
        pair = next(contradictions(sayings), None)
        if pair is None:
            return Mended(text=" ".join(sentences), removed=tuple(removed), repeated=tuple(repeated))
        choices = _without_one(sentences, pair)
        scores = score([" ".join(kept) for kept, _ in choices])
        best = max(range(len(choices)), key=lambda i: scores[i])  # the first of equals
        sentences, gone = choices[best]
        removed.append(gone)


def _each_once(sentences: Sequence[str]) -> tuple[list[str], list[str]]:
    """Sentences that have not been said (upper and lower case alike), and the others."""
    first: dict[str, str] = {}
    again = [s for s in sentences if first.setdefault(s.lower(), s) is not s]
    return list(first.values()), again


def _without_one(sentences: list[str], pair: tuple[Saying, Saying]) -> list[tuple[list[str], str]]:
    """The sentences without one of two sayings, and what went, the later saying first; at least one choice."""
    choices = []
    for saying in reversed(pair):
        i = saying.sentence
        rest = _without_item(sentences[i], saying)
        if rest is not None:
            choices.append(([*sentences[:i], rest[0], *sentences[i + 1 :]], rest[1]))
        elif len(sentences) > 1:
            choices.append((sentences[:i] + sentences[i + 1 :], sentences[i]))
    if not choices:  # one sentence that contradicts itself: what it states is kept
        stated = next(s for s in pair if s.states)
        words = " ".join(filter(None, (stated.size, stated.side, stated.phrase)))
        choices.append(([f"{words}."], sentences[0]))
    return choices


def _without_item(sentence: str, saying: Saying) -> tuple[str, str] | None:
    """A sentence that denies a list => without one item, and the item's own denial; None where it holds nothing
    else."""
    listed = _DENIED_LIST.match(sentence)
    if listed is None:
        return None
    items = _BETWEEN_ITEMS.split(listed["items"])
    gone = [item for item in items if saying.phrase in item.lower()]
    kept = [item for item in items if item not in gone]
    if len(gone) != 1 or not (kept or listed["head"].strip()):
        return None
    head, end = listed["head"], listed["end"]
    denial = f"{listed['no'].strip()} {gone[0]}{end}"
    if not kept:
        rest = f"{head.rstrip(' ,')}{end}"
    else:
        rest = f"{head}{listed['no']}{', '.join(kept[:-1])}{' or ' if kept[1:] else ''}{kept[-1]}{end}"
    if not kept and not read_sentences([rest]):
        return None
    return rest, denial


_DENIED_LIST = re.compile(
    r"(?P<head>(?:(?!\b(?:no|without)\b).)*?)"
    r"(?P<no>\b(?:there (?:is|are) no|no|without)(?: (?:definite|radiographic))?(?: (?:evidence|signs?) (?:of|for))? )"
    r"(?P<items>[^.:;]+?)(?P<end>[.!?]?)$",
    re.IGNORECASE,
)
_BETWEEN_ITEMS = re.compile(r",? (?:or|nor|and) (?:no )?|, (?:no )?")
