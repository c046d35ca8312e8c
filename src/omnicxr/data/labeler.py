"""Findings from English report text by rule; every label keeps the phrase that it comes from.

The scheme of NegEx (Chapman et al. 2001) and the CheXpert labeler (Irvin et al. 2019): phrases name a finding, cues
around them inside the sentence negate or weaken it; then combine: positive over uncertain over negative. `lexicon` and
`cues` hold the words; docs/data.md the measured accuracy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from omnicxr.data.cues import CUES
from omnicxr.data.lexicon import LEXICON, NOT_THE_CHEST
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

    "No Finding" is positive when the text states nothing positive or uncertain apart from support devices. A text with
    section headers is read without its indication, history and comparison.
    """
    return combine(find_mentions(text), empty=not text.strip())


def combine(mentions: Iterable[Mention], *, empty: bool = False) -> dict[Finding, LabelState | None]:
    """Mentions => one state per finding: positive over uncertain over negative, then the rule for "No Finding"."""
    rank = {None: 0, LabelState.NEGATIVE: 1, LabelState.UNCERTAIN: 2, LabelState.POSITIVE: 3}
    labels: dict[Finding, LabelState | None] = dict.fromkeys(Finding)
    for mention in mentions:
        labels[mention.finding] = max(labels[mention.finding], mention.state, key=rank.__getitem__)
    disease = [s for f, s in labels.items() if f not in (Finding.SUPPORT_DEVICES, Finding.NO_FINDING)]
    if not empty and not any(s in (LabelState.POSITIVE, LabelState.UNCERTAIN) for s in disease):
        labels[Finding.NO_FINDING] = LabelState.POSITIVE
    return labels


def find_mentions(text: str) -> list[Mention]:
    """Every mention of the 13 findings that have words of their own, in the order of the text."""
    lowered = _without_history(text).lower()
    ends = [m.end() for m in _SENTENCE_END.finditer(lowered)] + [len(lowered)]
    cues: dict[int, list[_Cue]] = {}
    mentions = []
    for finding, kinds in _PATTERNS.items():
        taken: list[tuple[int, int]] = []
        for kind, pattern in kinds.items():
            for match in pattern.finditer(lowered):
                start, end = match.span()
                if (start and lowered[start - 1].isalnum()) or any(start < b and a < end for a, b in taken):
                    continue
                if any(p.search(lowered, max(0, start - 32), start) for p in (_OTHER_ORGAN, _UNLESS.get(finding)) if p):
                    continue
                taken.append((start, end))
                sentence = next(i for i, e in enumerate(ends) if start < e)
                if sentence not in cues:
                    cues[sentence] = _cues(lowered, ends[sentence - 1] if sentence else 0, ends[sentence])
                state, cue = _decide(kind, lowered, cues[sentence], start=start, end=end)
                if state is not None:
                    phrase = text[start:end] if len(text) == len(lowered) else match[0]
                    mentions.append(Mention(finding, state, phrase=phrase, cue=cue, start=start))
    return sorted(mentions, key=lambda m: m.start)


@dataclass(frozen=True)
class _Cue:
    kind: str
    start: int
    end: int
    words: str


def _cues(text: str, start: int, end: int) -> list[_Cue]:
    """The cues of a sentence that begin a word."""
    found = [m for m in _CUE.finditer(text, start, end) if not (m.start() and text[m.start() - 1].isalnum())]
    return [_Cue(m.lastgroup or "", m.start(), m.end(), m[0]) for m in found]


def _decide(kind: str, text: str, cues: list[_Cue], *, start: int, end: int) -> tuple[LabelState | None, str]:
    """State of one mention: cues before it as far as a stop, the nearest first, else the first one after it.

    A negation before a weakening without a comma between them negates: "no consolidation to suggest pneumonia".
    """
    if kind == "normal":
        return LabelState.NEGATIVE, ""
    state = LabelState.UNCERTAIN if kind == "uncertain" else LabelState.POSITIVE
    before = [cue for cue in cues if cue.start < end and cue.end <= end and start - cue.end <= SCOPE_CHARACTERS]
    weakened: _Cue | None = None
    for cue in reversed(before):
        if cue.start >= start and cue.kind != "negative_before":
            continue  # inside the phrase only a negation counts: "heart is not enlarged"
        if cue.kind == "stop" or (weakened and "," in text[cue.end : weakened.start]):
            break
        if cue.kind == "negative_before":
            return LabelState.NEGATIVE, cue.words
        if cue.kind == "not_now":
            return None, cue.words
        if cue.kind == "uncertain_before" or (cue.kind == "uncertain_near" and start - cue.end < NEAR):
            weakened = weakened or cue
    if weakened:
        return LabelState.UNCERTAIN, weakened.words
    for cue in cues:
        if cue.start < end:
            continue
        if cue.kind == "negative_after":
            return LabelState.NEGATIVE, cue.words
        if cue.kind == "uncertain_after" or (
            cue.kind == "uncertain_near" and cue.words.startswith("in") and cue.start - end < NEAR
        ):
            return LabelState.UNCERTAIN, cue.words
        if cue.kind != "nothing" or cue.start - end > SCOPE_CHARACTERS:
            break
    return state, ""


def _without_history(text: str) -> str:
    """The text with sections that don't describe this study blanked out, so that offsets stay."""
    return _HISTORY.sub(lambda m: " " * len(m[0]), text)


def _compile(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(patterns))


_SENTENCE_END = re.compile(r"[.!?](?=\s|$)(?<!\bdr\.)(?<!\bvs\.)|\n\s*\n|\n(?= ?[a-z][a-z /]+:)|(?<=\s)\d[.)](?=\s)")
_HISTORY = re.compile(
    r"(?ims)^ ?(?:indication|history|clinical (?:history|information|indication)|comparisons?|examination|exam|"
    r"technique|reason for exam(?:ination)?)s?:.*?(?=^ ?[A-Z][A-Z ]{3,}:|\Z)"
)
_PATTERNS: Mapping[Finding, Mapping[str, re.Pattern[str]]] = {
    finding: {
        kind: _compile(getattr(words, kind)) for kind in ("normal", "present", "uncertain") if getattr(words, kind)
    }
    for finding, words in LEXICON.items()
}
_UNLESS = {f: re.compile(w.unless_after) for f, w in LEXICON.items() if w.unless_after}
_OTHER_ORGAN = re.compile(NOT_THE_CHEST)
_CUE = re.compile("|".join(f"(?P<{kind}>{'|'.join(patterns)})" for kind, patterns in CUES.items()))
