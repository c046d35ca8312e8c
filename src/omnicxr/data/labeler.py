"""Findings from English report text by rule; every label keeps the phrase that it comes from.

The scheme of NegEx (Chapman et al. 2001) and the CheXpert labeler (Irvin et al. 2019): phrases name a finding, cues
around them inside the sentence negate or weaken it; then combine: positive over uncertain over negative. `lexicon` and
`cues` hold the words; docs/data.md the measured accuracy.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from omnicxr.data.cues import CUES, NEGATIVE_VALUE, NEW_CLAUSE, OWN_PREDICATE, PLACE, POSITIVE_VALUE
from omnicxr.data.language import describes_a_film, is_english
from omnicxr.data.lexicon import AFTER_OTHER_ORGANS, BEFORE_OTHER_ORGANS, LEXICON, OF_ANY_ORGAN
from omnicxr.data.statements import find_statements
from omnicxr.domain import Finding, LabelState

LANGUAGE = "en"
"""Of the reports that it reads."""
SCOPE_CHARACTERS = 160
"""A cue acts no further than this."""
NEAR = 40
"""How near "versus" must be to make what follows it uncertain; what stands before it is the reading that the report
favours."""


@dataclass(frozen=True)
class Mention:
    """One place where a report speaks of a finding."""

    finding: Finding
    state: LabelState
    phrase: str
    """The words that name the finding."""
    cue: str
    """The words that negated or weakened it; empty where it is simply stated."""
    start: int
    """Offset of the phrase in the text."""


def label_report(text: str) -> dict[Finding, LabelState | None]:
    """Report text => state of each of the 14 findings; None is not mentioned.

    "No Finding" is positive when an English text that describes a film states nothing positive or uncertain apart from
    support devices. A text with headings is read without its indication, history, technique and comparison.
    """
    return labels_of(find_mentions(text), text)


def labels_of(mentions: Sequence[Mention], text: str) -> dict[Finding, LabelState | None]:
    """As `label_report`, from the mentions that were found in the text."""
    return combine(mentions, described=bool(mentions) or describes_a_film(text))


def combine(mentions: Iterable[Mention], *, described: bool) -> dict[Finding, LabelState | None]:
    """Mentions => one state per finding: positive over uncertain over negative, then the rule for "No Finding", which
    stays blank unless the text describes a film at all."""
    rank = {None: 0, LabelState.NEGATIVE: 1, LabelState.UNCERTAIN: 2, LabelState.POSITIVE: 3}
    labels: dict[Finding, LabelState | None] = dict.fromkeys(Finding)
    for mention in mentions:
        labels[mention.finding] = max(labels[mention.finding], mention.state, key=rank.__getitem__)
    disease = [s for f, s in labels.items() if f not in (Finding.SUPPORT_DEVICES, Finding.NO_FINDING)]
    if described and not any(s in (LabelState.POSITIVE, LabelState.UNCERTAIN) for s in disease):
        labels[Finding.NO_FINDING] = LabelState.POSITIVE
    return labels


def find_mentions(text: str) -> list[Mention]:
    """Every mention of the 13 findings that have words of their own, in the order of the text; none in a text that is
    not English."""
    if not is_english(text):
        return []
    statements = find_statements(text)
    mentions = []
    offset = 0
    for statement in statements.text.split("\n"):
        for finding, state, cue, start, end in _mentions_in(statement):
            first, last = statements.original(offset + start), statements.original(offset + end)
            mentions.append(Mention(finding, state, phrase=text[first:last], cue=cue, start=first))
        offset += len(statement) + 1
    return sorted(mentions, key=lambda m: m.start)


@lru_cache(maxsize=1 << 15)
def _mentions_in(statement: str) -> tuple[tuple[Finding, LabelState, str, int, int], ...]:
    """Finding, state, cue, start and end of every mention in a statement; reports say the same things again and
    again."""
    found: list[tuple[Finding, str, int, int]] = []
    for finding, kinds in _PATTERNS.items():
        taken: list[tuple[int, int]] = []
        for kind, pattern in kinds.items():
            for match in pattern.finditer(statement):
                start, end = match.span()
                if taken and _overlaps(taken, start, end):
                    continue
                if not _of_another_organ(finding, statement, start=start, end=end):
                    insort(taken, (start, end))
                    found.append((finding, kind, start, end))
    if not found:
        return ()
    reader = _Statement(statement, sorted((start, end) for _, _, start, end in found))
    mentions = []
    for finding, kind, start, end in found:
        state, cue = reader.decide(kind, start, end)
        if state is not None and not (kind == "implied" and state is LabelState.NEGATIVE):
            mentions.append((finding, state, cue, start, end))
    return tuple(mentions)


def _overlaps(taken: list[tuple[int, int]], start: int, end: int) -> bool:
    """Whether [start, end) meets one of the disjoint sorted spans."""
    i = bisect_right(taken, (start, end))
    return (i > 0 and taken[i - 1][1] > start) or (i < len(taken) and taken[i][0] < end)


def _of_another_organ(finding: Finding, text: str, *, start: int, end: int) -> bool:
    if finding in OF_ANY_ORGAN:
        return False
    if _BEFORE_OTHER.search(text, max(0, start - 40), start) or _AFTER_OTHER.match(text, end):
        return True
    unless = _UNLESS.get(finding)
    return unless is not None and unless.search(text, max(0, start - 40), start) is not None


@dataclass(frozen=True)
class _Cue:
    kind: str
    start: int
    end: int
    words: str


class _Statement:
    """A statement with its cues, in order, and the places of all findings in it."""

    def __init__(self, text: str, mentions: list[tuple[int, int]]) -> None:
        self.text, self.mentions = text, mentions
        self.cues = [_Cue(m.lastgroup or "", m.start(), m.end(), m[0]) for m in _CUE.finditer(text)]
        self._starts = [cue.start for cue in self.cues]

    def decide(self, kind: str, start: int, end: int) -> tuple[LabelState | None, str]:
        """State of a mention: its value ("effusion: none"), cues before it as far as a stop, the nearest first, else
        the first one after it."""
        if kind == "normal":
            return LabelState.NEGATIVE, ""
        if value := _VALUE.match(self.text, end):
            return LabelState.NEGATIVE, value[0].strip()
        stated = LabelState.UNCERTAIN if kind == "uncertain" else LabelState.POSITIVE
        if _POSITIVE_VALUE.match(self.text, end):
            return stated, ""
        before, after = self._before(start, end), self._after(start, end)
        if before and after and (before[0], after[0]) == (LabelState.UNCERTAIN, LabelState.NEGATIVE):
            return after  # "the suspected nodule is not confirmed"
        return before or after or (stated, "")

    def _before(self, start: int, end: int) -> tuple[LabelState | None, str] | None:
        """A negation before a weakening, without a comma between them, negates: "no consolidation to suggest
        pneumonia"."""
        weakened: _Cue | None = None
        for i in range(bisect_left(self._starts, end) - 1, -1, -1):
            cue = self.cues[i]
            if start - cue.end > SCOPE_CHARACTERS:
                break
            inside = cue.end > start
            if inside and (cue.end > end or cue.kind not in ("negative_before", "nothing", "uncertain_before")):
                continue  # inside the phrase only these count: "heart is not enlarged"
            if cue.kind == "stop" or (weakened and "," in self.text[cue.end : weakened.start]):
                break
            if not inside and cue.kind != "uncertain_near" and self._begins_a_clause(cue.end, start=start, end=end):
                break
            if (inside and cue.kind != "uncertain_before") or self._negates(cue):
                return LabelState.NEGATIVE, cue.words
            if cue.kind == "not_now":
                return None, cue.words
            if self._weakens(cue) or (cue.kind == "uncertain_near" and start - cue.end < NEAR):
                weakened = weakened or cue
        return (LabelState.UNCERTAIN, weakened.words) if weakened else None

    def _after(self, start: int, end: int) -> tuple[LabelState, str] | None:
        for cue in self.cues[bisect_left(self._starts, end) :]:
            between = self.text[end : cue.start]
            if len(between) > SCOPE_CHARACTERS or self._another_item(between, end):
                break
            if cue.kind in ("negative_after", "negative_either"):
                return LabelState.NEGATIVE, cue.words
            if cue.kind in ("uncertain_after", "uncertain_either"):
                return LabelState.UNCERTAIN, cue.words
            if (
                cue.kind == "uncertain_near"
                and len(between) < NEAR
                and (cue.words.startswith("in") or self._explains(start))
            ):
                return LabelState.UNCERTAIN, cue.words
            if cue.kind != "nothing" and cue.words != "which" and (between or cue.words != ":"):
                break
        return None

    def _negates(self, cue: _Cue) -> bool:
        return cue.kind == "negative_before" or (cue.kind == "negative_either" and not self._ends_a_clause(cue))

    def _weakens(self, cue: _Cue) -> bool:
        return cue.kind == "uncertain_before" or (cue.kind == "uncertain_either" and not self._ends_a_clause(cue))

    def _ends_a_clause(self, cue: _Cue) -> bool:
        """Whether a finding stands before a cue in its clause, so that the cue speaks of that one: "edema resolved"."""
        i = bisect_left(self.mentions, (cue.start, 0))
        return i > 0 and not _CLAUSE_END.search(self.text, self.mentions[i - 1][1], cue.start)

    def _another_item(self, between: str, end: int) -> bool:
        """Whether the words after a mention come to another one that stands in a clause of its own."""
        if "," not in between or _AND.search(between):
            return False
        i = bisect_left(self.mentions, (end, 0))
        return i < len(self.mentions) and self.mentions[i][0] < end + len(between)

    def _begins_a_clause(self, cue_end: int, *, start: int, end: int) -> bool:
        """Whether a comma or "and" between a cue and a mention begins a clause of its own that the cue does not reach.

        A list that goes on to an "or" is one list: "no large effusion, mild edema, or pneumothorax".
        """
        between = self.text[cue_end:start]
        separators = list(_SEPARATOR.finditer(between))
        if not separators:
            return False
        rest = self.text[end : end + SCOPE_CHARACTERS]
        last = separators[-1]
        item = between[last.end() :] + self.text[start:end] + _ITEM_END.split(rest, maxsplit=1)[0]
        if not last["or"] and _OWN_PREDICATE.search(item):
            return True
        listed = _LIST_WITH_OR.search(between[separators[0].start() :] + self.text[start:end] + rest)
        for separator in (s for s in separators if not s["or"]):
            begins = _SUBJECT if listed else _NEW_CLAUSE if "and" in separator[0] else _AFTER_COMMA
            if begins.match(self.text, cue_end + separator.end()):
                return True
        return False

    def _explains(self, start: int) -> bool:
        """Whether a mention is a reading of something named before: "opacity, atelectasis versus pneumonia"."""
        return _NAMED.search(self.text, 0, start) is not None


def _compile(patterns: Iterable[str]) -> re.Pattern[str]:
    """Alternatives that begin at the start of a word."""
    return re.compile(rf"(?<![a-z0-9])(?:{'|'.join(patterns)})")


_PATTERNS: Mapping[Finding, Mapping[str, re.Pattern[str]]] = {
    finding: {
        kind: _compile(getattr(words, kind))
        for kind in ("normal", "present", "implied", "uncertain")
        if getattr(words, kind)
    }
    for finding, words in LEXICON.items()
}
_UNLESS = {f: re.compile(w.unless_after) for f, w in LEXICON.items() if w.unless_after}
_BEFORE_OTHER = re.compile(BEFORE_OTHER_ORGANS)
_AFTER_OTHER = re.compile(AFTER_OTHER_ORGANS)
_KINDS = "|".join(f"(?P<{kind}>{'|'.join(patterns)})" for kind, patterns in CUES.items())
_CUE = re.compile(rf"(?:(?<![a-z0-9])|(?=[^a-z0-9]))(?:{_KINDS})")
_NEW_CLAUSE = re.compile(NEW_CLAUSE)
_AFTER_COMMA = re.compile(rf"{NEW_CLAUSE}|{PLACE}")
_SUBJECT = re.compile(r"(?:the|this|there|it|its|heart|lungs?|cardiac|mediastin\w+|bony|osseous)\b")
_OWN_PREDICATE = re.compile(OWN_PREDICATE)
_VALUE = re.compile(NEGATIVE_VALUE)
_POSITIVE_VALUE = re.compile(POSITIVE_VALUE)
_SEPARATOR = re.compile(r",? (?:and|(?P<or>n?or)) |, ?| \(| / ")
_ITEM_END = re.compile(r",|;| and | or | but ")
_LIST_WITH_OR = re.compile(r", (?:n?or) | n?or (?=[^,]*$)|\w/\w")
_CLAUSE_END = re.compile(r"[,;:\n]| - ")
_AND = re.compile(r"\b(?:and|n?or)\b|/|&")
_NAMED = re.compile(
    r"(?:opaci|densit|shadow|infiltrat|abnormal|finding|change|blunting|haz)\w*[^,\n]*(?:,|-|:|"
    r"represent\w*|due to|reflect\w*|from)[^,\n]*$"
)
