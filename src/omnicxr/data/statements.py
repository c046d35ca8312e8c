"""Report text => statements: what is read of it, one statement a line, in words that the lexicon knows.

A statement is what one cue can reach: a sentence, an item of a list, a line that was ended on purpose. Sections that
do not describe this study (history, comparison, technique ...) are left out.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass

from omnicxr.data.headings import find_headings
from omnicxr.data.spelling import mend_word

WIDTH = 60
"""Nobody wraps text narrower than this (characters)."""
_END = "\x1e"
"""Stands for the end of a statement until the text is rewritten."""


@dataclass(frozen=True)
class Statements:
    """Normalised text with the way back to the original."""

    text: str
    """Lower case, single spaces, one statement a line."""
    _normalised: list[int]
    _original: list[int]

    def original(self, position: int) -> int:
        """Offset in the normalised text => offset in the text that was given."""
        i = bisect_right(self._normalised, position) - 1
        return self._original[i] + position - self._normalised[i]


def find_statements(report: str) -> Statements:
    """What a report says of this study. Takes time in proportion to the length of the text."""
    text = plain(report)
    marked = list(text)
    for at in deliberate_breaks(text):
        marked[at] = _END
    text = _without_other_sections("".join(marked).replace("\n", " "), text)
    pieces, normalised, original = [], [0], [0]
    at = length = 0
    for match in _TOKEN.finditer(text):
        new = _rewritten(match)
        if new != match[0]:
            pieces += [text[at : match.start()], new]
            length += match.start() - at + len(new)
            at = match.end()
            normalised.append(length)
            original.append(at)
    pieces.append(text[at:])
    return Statements(_lower("".join(pieces)), normalised, original)


def deliberate_breaks(text: str) -> list[int]:
    """Offsets of the line feeds that end a statement, because the writer meant them to.

    They stand before an item of a list, at a blank line, and where the next line, which is no continuation, has a first
    word that would still have fitted.
    """
    longest = max(WIDTH, max(map(len, text.split("\n"))))
    breaks = []
    for match in _NEW_LINE.finditer(text):
        line = match.start() - text.rfind("\n", 0, match.start()) - 1
        fits = line + 1 + len(match["word"]) <= longest
        blank = match[0].count("\n") > 1
        if (
            blank
            or match["item"]
            or (
                fits
                and not match["word"][:1].islower()
                and not _OPEN.search(text, max(0, match.start() - 12), match.start())
            )
        ):
            breaks.append(match.start())
    return breaks


def plain(text: str) -> str:
    """Text of the same length with plain dashes, quotes, bullets and line ends."""
    return text.replace("\r\n", " \n").replace("\\n", " \n").translate(_PLAIN)


def _lower(text: str) -> str:
    lowered = text.lower()
    return lowered if len(lowered) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def _rewritten(match: re.Match[str]) -> str:
    """A piece of text as the lexicon reads it: ends of statements, single spaces, words without typing errors."""
    if match["space"]:
        return "\n" if _END in match[0] else " "
    if match["word"]:
        mended = mend_word(word := _lower(match[0]))
        return match[0] if mended == word else mended
    if match["subject"]:
        return match["subject"] + " is"
    return match[0].rstrip() + "\n"


def _without_other_sections(marked: str, text: str) -> str:
    """The text with other sections blanked out and headings turned into ends of statements; offsets stay."""
    headings = find_headings(text)
    if not headings:
        return marked
    characters = list(marked)
    described = any(h.kind == "findings" for h in headings)
    for heading, following in zip(headings, [*headings[1:], None], strict=True):
        end = heading.end
        if heading.kind in _OTHER:
            stop = following.start if following else len(text)
            whole = described or (following is not None and heading.kind in ("history", "indication"))
            own_end = (_PARAGRAPH if whole else _FIRST).search(marked if not whole else text, heading.end, stop)
            end = own_end.end() if own_end else stop
        elif heading.kind not in _HEADED:
            end = heading.start
        characters[heading.start : end] = " " * (end - heading.start)
        if heading.start < len(characters):
            characters[max(0, heading.start - 1) : heading.start] = _END * min(1, heading.start)
            if end > heading.start:
                characters[end - 1] = _END
    return "".join(characters)


_PLAIN = str.maketrans(
    {
        **dict.fromkeys("\r\x0b\x0c\x1c\x1d\x85\u2028\u2029", "\n"),
        **dict.fromkeys("\t\x1e\x1f\xa0\u2002\u2003\u2009\u202f\u200b\ufeff", " "),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"),
        **dict.fromkeys("\u2022\u2023\u25aa\u25cf\u25e6\u25a0\u00b7\u2219", "*"),
        "\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"',
    }
)  # fmt: skip
_NEW_LINE = re.compile(r"\n(?:[ ]*\n)*[ ]*(?P<item>[-*+](?=[ ])|\(?\d{1,2}[.)](?=[ ]))?[ ]*(?P<word>\S*)")
_OPEN = re.compile(
    (
        r"(?:[,/&]|\b(?:of|or|and|the|an?|(?<!: )no|not|with|without|for|in|on|to|by|is|are|at|from|dr\.?|"
        r"than|vs\.?|as))[ ]*$"
    ),
    re.IGNORECASE,
)
"""A line that ends so goes on."""
_ABBREVIATIONS = "".join(
    rf"(?<!\b{a}\.)" for a in ("dr", "drs", "mr", "mrs", "ms", "vs", "st", "approx", "e.g", "i.e", "cf", "incl")
)
_TOKEN = re.compile(
    rf"(?P<end>(?:(?:(?<=\S)[.!]|(?<=\S)\?(?!\s*(?i:yes|no|none|absent|present|small|mild|moderate|large|"
    rf"trace)\b)|(?<=\w )[.])(?=\s|"
    rf"$)(?i:{_ABBREVIATIONS})|(?<=[a-z)])[.](?=[A-Z][a-z])|(?<=[a-z]{{3}})[.](?=[a-z]{{3}})|"
    rf"(?<=[a-z]{{2}})[.](?=\d)|(?<=\w)!(?=\w)|;(?!\s*(?:n?or|and)\b)|"
    r"(?<!\S)(?:\(?\d\)|\d\.|\(?(?:[a-h]|[ivx]{1,4})\))(?=\s+[A-Za-z])|(?<=\s)[*|](?=\s))\s*)|"
    r"(?P<subject>\b(?i:heart(?: size)?|lungs?(?: fields)?|(?:cardiac|cardiomediastinal|"
    r"mediastinal) (?:silhouette|contours?)|"
    r"(?:cardio)?mediastinum|heart and mediastinum|pleural spaces?|lung parenchyma|heart/mediastinum|"
    r"cardiomediastinum|ctr|"
    r"cardiothoracic ratio)) ?(?::| -|=)(?=\s)|(?P<space>\s+)|(?P<word>\b[A-Za-z][A-Za-z-]{3,19}(?![A-Za-z-]))"
)
_OTHER = ("history", "indication", "comparison", "examination", "technique", "wet read", "notification")
"""Sections that are not read: they tell of other studies, of what is asked, or what the final report replaces."""
_HEADED = (*_OTHER, "findings", "impression", "recommendations", "addendum", "comment")
_PARAGRAPH = re.compile(r"\n[ ]*\n")
_FIRST = re.compile(r"(?<=\))(?= [A-Z][a-z])|(?<=\S)[.!?](?=\s)|\x1e")
"""Where a section ends that has no other end: after its first sentence or line."""
