"""Sections of radiology reports, by the MIT-LCP convention (github.com/MIT-LCP/mimic-cxr, section_parser.py).

The last section of a kind counts; a study's text is the impression, else the findings, else the last paragraph, else
the comparison. Beyond the convention: an impression that only points elsewhere gives way, addenda above the report and
notes below it are kept apart, items of lists become sentences, de-identification marks go without broken ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise

from omnicxr.data.headings import find_headings
from omnicxr.data.statements import deliberate_breaks, plain

TEXTS = ("auto", "impression", "findings", "both")
"""What `study_text` takes."""


def split_sections(report: str) -> dict[str, str]:
    """Report file text => section name => text on one line, marks removed.

    "last_paragraph" is the last paragraph of the report itself; "addendum" is what stands above the report between
    underscore lines; "notification" what stands below it: whom it was told, who signed it.
    """
    report = plain(report)
    sections: dict[str, str] = {}
    if len(parts := _RULE.split(report)) > 1:
        body = next((i for i in range(len(parts) - 1, -1, -1) if find_headings(parts[i]) or i == 0), 0)
        addenda = [clean_text(_without_headings(part)) for part in parts[:body]]
        if any(addenda):
            sections["addendum"] = " ".join(filter(None, addenda))
        report = "\n".join(parts[body:])
    report, notes = _without_notes(report)
    headings = find_headings(report)
    for i, heading in enumerate(headings):
        end = headings[i + 1].start if i + 1 < len(headings) else len(report)
        text = clean_text(report[heading.end : end])
        if text or heading.kind not in sections:
            sections[heading.kind] = text
    if notes:
        sections.setdefault("notification", notes)
    sections["last_paragraph"] = _last_paragraph(report)
    return sections


def study_text(sections: Mapping[str, str], text: str = "auto") -> str:
    """The text that stands for a study.

    "auto": impression, else findings, else last paragraph, else comparison. "impression" or "findings": that section
    alone. "both": findings then impression, whichever there are. Sections that say nothing ("See above.") count as
    absent.
    """
    said = {name: words for name, words in sections.items() if not _NOTHING.fullmatch(words)}
    if text == "auto":
        return next((said[k] for k in ("impression", "findings", "last_paragraph", "comparison") if said.get(k)), "")
    if text == "both":
        return " ".join(filter(None, (said.get("findings", ""), said.get("impression", ""))))
    return said.get(text, "")


def clean_text(text: str) -> str:
    """One line: white space joined, items of lists made sentences, de-identification marks (`___`, `XXXX`, `[** **]`)
    taken out together with what they leave hanging."""
    text = plain(text)
    statements = []
    for start, end in pairwise([0, *deliberate_breaks(text), len(text)]):
        statement = _BULLET.sub("", text[start:end].strip())
        if statement:
            statements.append(statement)
    last = len(statements) - 1
    text = " ".join(s if i == last or s[-1] in ".!?:;," else f"{s}." for i, s in enumerate(statements))
    if _ANY_MARK.search(text):
        for pattern, replacement in _MENDING:
            text = pattern.sub(replacement, " ".join(text.split()))
    return " ".join(text.split())


def _without_headings(text: str) -> str:
    for heading in reversed(find_headings(text)):
        text = f"{text[: heading.start]}\n{text[heading.end :]}"
    return text


def _without_notes(report: str) -> tuple[str, str]:
    """The report, and the paragraphs at its end that only say whom it was told or who signed it."""
    notes: list[str] = []
    body = len(report)
    for start, end in reversed(_paragraphs(report)[1:]):
        paragraph = " ".join(report[start:end].split())
        sentences = [s for s in _SENTENCE.split(paragraph) if s]
        if find_headings(report[start:end]) or not all(map(_NOTE.search, sentences)):
            break
        notes.insert(0, clean_text(paragraph))
        body = start
    return report[:body], " ".join(filter(None, notes))


def _last_paragraph(report: str) -> str:
    """The last paragraph that tells of this study."""
    headings = find_headings(report)
    for start, end in reversed(_paragraphs(report)):
        own = next((h.kind for h in headings if start <= h.start < end), None)
        above = next((h.kind for h in reversed(headings) if h.start < start), None)
        if own in _ELSEWHERE or (own is None and above in _BELOW):
            continue
        if text := clean_text(_without_headings(report[start:end]).replace("FINAL REPORT", "")):
            return text
    return ""


def _paragraphs(text: str) -> list[tuple[int, int]]:
    """Start and end of the blocks between blank lines."""
    blanks = list(_BLANK_LINE.finditer(text))
    return list(zip([0, *(b.end() for b in blanks)], [*(b.start() for b in blanks), len(text)], strict=True))


_RULE = re.compile(r"^[ \t]*_{10,}[ \t]*$", re.MULTILINE)
_BLANK_LINE = re.compile(r"\n(?:[ ]*\n)+")
_BULLET = re.compile(r"^[ ]*[-*+](?=[ ])[ ]*")
_BELOW = ("wet read", "notification", "recommendations")
_ELSEWHERE = (*_BELOW, "history", "indication", "examination", "technique", "addendum")
"""Sections whose paragraphs do not tell of this study."""
_NOTHING = re.compile(
    r"(?:none|nil|n/?a|nan|null|same|(?:please )?(?:see|as|refer to)(?: (?:the|described|noted|stated|discussed))*"
    r" (?:above|below|findings|body|report|text|narrative)(?: (?:section|of (?:the )?report))?|as (?:above|below)|"
    r"above|not (?:available|applicable)|-+)?[ .]*",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?<!\bDr\.)(?<!\bDrs\.)(?<=[.!?])\s+(?=[A-Z_(\[])")
_NOTE = re.compile(
    r"\b(?:paged|telephoned?|phoned|called|discussed|communicated|conveyed|relayed|notified|informed|dictated|"
    r"transcribed|signed|reviewed (?:by|with|and)|reported by|attending|entered (?:by|into|in)|posted|acknowledged|"
    r"verbally|preliminary report|resident|radiologist|m\.?d\b)|^dr\b",
    re.IGNORECASE,
)
"""In every sentence of a note below the report."""

_MARK = r"(?:_{2,}|\bX{3,}\b|\[\*\*.{0,80}?\*\*\])"
_ANY_MARK = re.compile(_MARK)
_UNIT = r"(?:mm|cm|m|inch(?:es)?|french|fr|degrees?|%|percent|ml|cc)(?![a-z])"
_TIME = r"(?:minutes?|hours?|days?|weeks?|months?|years?)"
_HANGING = (
    r"(?:on|at|by|to|from|dated|of|in|the|and|with|since|as of|a|an|than|between|for|or|about|approximately|"
    r"measuring|measures)"
)
_MENDING = [
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        (r"\bx-X{3,}", "x-ray"),
        (
            (
                rf"(?:^|(?<=[.!?;] ))[^.!?;]{{0,200}}\b(?:is|are|was|were|appears?|remains?|shows?|has|"
                rf"have) {_MARK}\s*(?:[.;]|$)"
            ),
            "",
        ),
        (rf"\bno {_MARK} of\b", "no evidence of"),
        (rf"\b(compar(?:ed|ison) (?:to|with)) {_MARK}(?=\s*[,:.;])", r"\1 the prior study"),
        (rf"\bdrs?\.? ?{_MARK}(?:,? (?:and )?(?:dr\.? ?)?{_MARK}){{0,5}}", "the doctor"),
        (rf"{_MARK}[- ](?:year|yr)s?[- ]old\b", ""),
        (
            (
                rf"(?:\b(?:in|within|after|for|over) )?(?:the )?(?:(?:next|last) )?{_MARK}(?: ?(?:-|to|"
                rf"or) ?{_MARK})?[- ]{_TIME}\b(?: ago)?"
            ),
            "",
        ),
        (
            rf"(?:\b(?:of|measur(?:es|ing)|approximately|about|up to|by) ){{0,3}}{_MARK}(?:(?: ?x ?| by |-|"
            rf" ?to ?){_MARK}){{0,3}}[- ]?{_UNIT}"
            rf"(?: ?x ?{_MARK} ?{_UNIT}?){{0,3}}",
            "",
        ),
        (rf"\b[a-z]?{_MARK}(?:st|nd|rd|th)\b", ""),
        (
            rf"\b(?:at|on|from|dated|since|as of|by|of)(?: the)? {_MARK}(?:[,/:]? ?(?:at|on|to|and)? ?{_MARK}){{0,5}}"
            r"(?: ?(?:am|pm|a\.m\.|p\.m\.))?(?=[\s.,;:)]|$)",
            "",
        ),
        (rf"\b(?:to|with|by) {_MARK}\s+(?=(?:at|on|from|by)\b)", ""),
        (_MARK, ""),
        (r"\(\s*[,;/-]*\s*\)", ""),
        (rf"(?:\s*\b{_HANGING}\b){{1,6}}\s*(?=[.;:,]|$)", ""),
        (r"\s+([.,;:)])", r"\1"),
        (r"([.,;:])\s*(?=[.,;:])", ""),
        (r"(?:^|(?<=[.!?]\s))\s*[.,;:]\s*", ""),
        (r",\s*\.", "."),
    )
]
"""What removing the marks takes with it, in this order."""
