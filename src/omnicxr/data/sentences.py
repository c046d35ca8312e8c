"""A prompt => its sentences, those that tell of the picture first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from omnicxr.data.headings import find_headings
from omnicxr.data.sections import clean_text
from omnicxr.data.statements import plain

NOT_OF_THE_PICTURE = (
    "history", "indication", "comparison", "examination", "technique", "notification", "recommendations", "wet read",
)  # fmt: skip
"""Sections that tell of no picture, or of another one."""
_FIRST = ("findings", "impression")
READ = 10_000
"""Characters of a text that are read: several times what the longest reports have."""


@dataclass(frozen=True)
class SentenceText:
    """One sentence as it is written."""

    text: str
    item: str = ""
    """The number in a list that stands before it, such as "1."."""


def split_sentences(text: str) -> list[SentenceText]:
    """The sentences of a text; line ends that the writer meant end one."""
    text = clean_text(text) if "\n" in plain(text) else text.strip()
    out, item = [], ""
    for start, end in pairwise([0, *(m.end() for m in _END.finditer(text)), len(text)]):
        if not (sentence := text[start:end].strip()):
            continue
        if match := _ITEM.match(sentence):
            item, sentence = match[0].strip(), sentence[match.end() :]
        if sentence:
            out.append(SentenceText(sentence, item))
            item = ""
    return out


def split_prompt(text: str) -> tuple[list[SentenceText], list[str], bool]:
    """Sentences to be read, pieces that are left out, and whether the text has headings.

    Findings and impression come first, in the order of the text, then what is not named or known otherwise. Sections
    that tell of no picture (history, technique ...), recommendations and notes of whom it was told are left out, unless
    there is nothing else.
    """
    read, beyond = text[:READ], text[READ:].strip()
    headings = find_headings(plain(read)) if _MAY_HAVE_HEADINGS.search(read) else []
    first, later, out = [], [], []
    ends = [*(h.start for h in headings[1:]), len(read)][: len(headings)]
    sections = [("", 0, headings[0].start if headings else len(read), 0)]
    sections += [(h.kind, h.end, end, h.start) for h, end in zip(headings, ends, strict=True)]
    for kind, start, end, written in sections:
        if kind in NOT_OF_THE_PICTURE:
            out += [" ".join(read[written:end].split())] if read[start:end].strip() else []
            continue
        for sentence in split_sentences(read[start:end]):
            if _NO_SENTENCE.fullmatch(sentence.text):
                continue
            elif _TALK.search(sentence.text):
                out.append(sentence.text)
            else:
                (first if kind in _FIRST or not headings else later).append(sentence)
    if not (first or later) and out:
        kept = [s for kind, start, end, _ in sections for s in split_sentences(read[start:end])]
        return kept, [beyond] if beyond else [], bool(headings)
    return first + later, out + ([beyond] if beyond else []), bool(headings)


def first_words(text: str) -> Iterator[str]:
    """Beginnings of a text at the ends of its words, the shortest first."""
    yield from (text[: m.end()] for m in re.finditer(r"\S+", text))


_END = re.compile(
    r"(?<=[.!?;])(?<!\bdr\.)(?<!\bdrs\.)(?<!\bvs\.)(?<!\bapprox\.)(?<!\be\.g\.)(?<!\bi\.e\.)(?<!^\d\.)(?<!\s\d\.)"
    r"(?<!\s\d\d\.)\s+(?=\S)|(?-i:(?<=[a-z)]\.)(?=[A-Z][a-z]))",
    re.IGNORECASE,
)
_ITEM = re.compile(r"\(?\d{1,2}[.)]\s+(?=[A-Za-z])")
_NO_SENTENCE = re.compile(r"(?:final report|[\W\d_]+)", re.IGNORECASE)
_MAY_HAVE_HEADINGS = re.compile(r":|\n|[A-Z]{7}")
_TALK = re.compile(
    r"^(?:please |we |would |i )?(?:recommend|advise|correlat|clinical correlation|follow[- ]?up)|"
    r"\b(?:is|are|may be|would be|should be) (?:again )?(?:recommended|advised|suggested)\b|\brecommended\b|"
    r"\b(?:discussed|communicated|relayed|conveyed|reviewed|dictated) (?:\w+ ){0,3}?(?:with|to|by)\b|"
    r"\b(?:telephoned?|paged|phoned|notified|dr\.|electronically signed|attending)",
    re.IGNORECASE,
)
"""Sentences about what should be done, and of whom it was told."""
