"""Where the sections of a radiology report begin.

The MIT-LCP convention (github.com/MIT-LCP/mimic-cxr, section_parser.py): an all-capitals name at the start of a line,
ended by a colon. Beyond it, names that are known are headings in any case, indented, with a dash or nothing instead of
the colon, or inside a line. Parts of the body ("LUNGS:") are no headings: they belong to the findings.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import lru_cache

_KINDS = {
    "findings": ("FINDINGS", "FINDING", "REFERENCE FINDINGS", "CHEST, TWO VIEWS", "RADIOGRAPHIC FINDINGS", "REPORT"),
    "impression": (
        "IMPRESSION", "IMPRESSIONS", "CONCLUSION", "CONCLUSIONS", "FINDINGS AND IMPRESSION", "FINDINGS/IMPRESSION",
        "FINDINGS/ IMPRESSION", "IMPRESSION/RECOMMENDATION", "IMPRESSION/RECOMMENDATIONS", "OPINION", "SUMMARY",
        "INTERPRETATION", "IMP", "FINAL IMPRESSION",
    ),
    "comparison": (
        "COMPARISON", "COMPARISONS", "COMPARISON EXAM", "COMPARISON FILM", "COMPARISON STUDY", "REFERENCE EXAM",
        "PRIOR STUDIES", "PRIORS",
    ),
    "indication": (
        "INDICATION", "INDICATIONS", "CLINICAL INDICATION", "REASON FOR EXAM", "REASON FOR EXAMINATION",
        "REASON FOR THE EXAM", "REASON FOR STUDY", "UNDERLYING MEDICAL CONDITION", "CLINICAL QUESTION", "REASON",
    ),
    "history": (
        "HISTORY", "CLINICAL HISTORY", "CLINICAL INFORMATION", "PATIENT HISTORY", "MEDICAL CONDITION", "PFI",
        "PROVISIONAL FINDINGS IMPRESSION", "CLINICAL DATA", "CLINICAL DETAILS", "CLINICAL", "HX",
        "SYMPTOMS", "SIGNS AND SYMPTOMS", "PAST MEDICAL HISTORY",
    ),
    "examination": ("EXAMINATION", "EXAM", "TYPE OF EXAMINATION", "STUDY", "PROCEDURE"),
    "technique": ("TECHNIQUE", "VIEWS"),
    "recommendations": ("RECOMMENDATION", "RECOMMENDATIONS", "RECOMMENDATION(S)"),
    "notification": ("NOTIFICATION", "NOTIFICATIONS", "COMMUNICATION"),
    "wet read": ("WET READ", "WETREAD", "PRELIMINARY READ"),
    "addendum": ("ADDENDUM",),
    "comment": ("COMMENT", "COMMENTS"),
}  # fmt: skip
_NAMES = {name: kind for kind, names in _KINDS.items() for name in names}
_GUESSED = ("FINDINGS", "IMPRESSION", "COMPARISON", "INDICATION", "EXAMINATION", "TECHNIQUE", "CONCLUSION")
"""Names whose misspellings are recognised."""
_SIMILAR = 0.86
_CAPITALS_ONLY = {
    "REPORT",
    "STUDY",
    "VIEWS",
    "SUMMARY",
    "REASON",
    "CLINICAL",
    "PROCEDURE",
    "IMP",
    "COMMENT",
    "COMMENTS",
}
"""Names that are everyday words too: not headings inside a line, nor without a colon unless in capitals."""
_PART = re.compile(
    r"(?:lungs?|fields?|zones?|airways?|trachea|bronchi|parenchyma|pleura[el]?|spaces?|surfaces?|heart|cardiac|cardio|"
    r"cardiomediastin\w+|mediastin\w+|silhouette|contours?|size|hil(?:a|ar|um)|aorta|great|pulmonary|vessels?|"
    r"vasculature|vascularity|bon(?:es?|y)|osseous|skelet\w+|thora(?:x|cic)|structures?|spine|ribs?|chest wall|soft|"
    r"tissues?|abdomen|upper|diaphragms?|hemidiaphragms?|lines?|tubes?|catheters?|devices?|support|hardware|other|"
    r"miscellaneous|effusions?|pneumothora(?:x|ces)|consolidations?|opacit(?:y|ies)|edema|atelectasis|left|right|and|"
    r"[,/&() -])+",
    re.IGNORECASE,
)
"""Names of sub-headings inside the findings."""
_NAME = r"(?P<name>[A-Za-z][A-Za-z0-9 ,()/&'-]{1,60}?)"
_WITH_COLON = re.compile(rf"[ \t,*#-]*{_NAME}[ \t]*:(?!\d)")
_ALONE = re.compile(rf"[ \t,*#-]*{_NAME}[ \t]*(?:-+(?=\s)|$)", re.MULTILINE)
_RUN_ON = re.compile(rf"[ \t]*(?P<name>{'|'.join(_GUESSED)}|HISTORY|CLINICAL HISTORY)[ \t]+(?=[A-Z][a-z]|\d\.)")
_INSIDE = "|".join(sorted((n for n in _NAMES if n not in _CAPITALS_ONLY), key=len, reverse=True)).replace("(S)", "")
_IN_LINE = re.compile(
    rf"(?<=[.!?;)\]][ \t])(?P<name>(?i:{_INSIDE}))[ \t]*:|(?<=[.!?][ \t][ \t])(?P<far>(?i:{_INSIDE}))[ \t]*:|"
    rf"(?<=[ \t])(?P<caps>{_INSIDE}):"
)
"""After a sentence, one or two blanks on; in capitals anywhere."""
_LINE = re.compile(r"^(?=.*\S)", re.MULTILINE)


@dataclass(frozen=True)
class Heading:
    """The kind of a section and where its heading stands in the text."""

    kind: str
    start: int
    end: int


def find_headings(report: str) -> list[Heading]:
    """Every heading of a report (lines ended by line feeds), in order.

    A sub-heading where no findings have begun gives findings with an empty heading, so that its name stays text.
    """
    headings: list[Heading] = []
    for line in _LINE.finditer(report):
        at = line.start()
        if heading := _at_line_start(report, at):
            if _PART.fullmatch(heading.kind):
                inside = headings and headings[-1].kind in ("findings", "impression")
                headings += [] if inside else [Heading("findings", at, at)]
            else:
                headings.append(heading)
            at = max(at, heading.end)
        end = report.find("\n", line.start())
        for match in _IN_LINE.finditer(report, at, end if end >= 0 else len(report)):
            headings.append(Heading(header_kind(match[match.lastgroup or 0]), match.start(), match.end()))
    return headings


def header_kind(name: str) -> str:
    """Header as written => section name; names that are not known keep their own lower-case form."""
    return _kind_of(" ".join(name.upper().split()))


@lru_cache(maxsize=4096)
def _kind_of(name: str) -> str:
    if name in _NAMES:
        return _NAMES[name]
    near = difflib.get_close_matches(name, _GUESSED, n=1, cutoff=_SIMILAR)
    return _NAMES[near[0]] if near else name.lower()


def _at_line_start(report: str, at: int) -> Heading | None:
    if match := _WITH_COLON.match(report, at):
        name, kind = match["name"], header_kind(match["name"])
        closed = report[match.end() : match.end() + 1].strip() == ""
        part = _PART.fullmatch(kind) is not None
        if kind in _KINDS or (closed and (name.isupper() or part)):
            return Heading(kind, match.start(), match.end())
    for pattern in (_ALONE, _RUN_ON):
        if match := pattern.match(report, at):
            name = " ".join(match["name"].split())
            if name.upper() in _NAMES and (name.isupper() or name.upper() not in _CAPITALS_ONLY):
                return Heading(_NAMES[name.upper()], match.start(), match.end())
    return None
