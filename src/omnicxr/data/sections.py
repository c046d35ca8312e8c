"""Sections of radiology reports, by the MIT-LCP convention (github.com/MIT-LCP/mimic-cxr, section_parser.py).

A header is an all-capitals name at the start of a line, ended by a colon. The last section of a kind counts; a study's
text is the impression, else the findings, else the last paragraph, else the comparison. Beyond the convention:
near-misspellings of the main names are recognised, addenda above the report are kept apart, de-identification marks go
without leaving broken sentences.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping

_HEADER = re.compile(r"^[ \t]{0,3},?([A-Z][A-Z0-9 ,()/&'-]{1,60}?)[ \t]*:(?=\s|$)", re.MULTILINE)
_KINDS = {
    "findings": ("FINDINGS", "FINDING", "REFERENCE FINDINGS", "CHEST, TWO VIEWS", "RADIOGRAPHIC FINDINGS", "REPORT"),
    "impression": (
        "IMPRESSION", "IMPRESSIONS", "CONCLUSION", "CONCLUSIONS", "FINDINGS AND IMPRESSION", "FINDINGS/IMPRESSION",
        "FINDINGS/ IMPRESSION", "IMPRESSION/RECOMMENDATION", "IMPRESSION/RECOMMENDATIONS", "OPINION", "SUMMARY",
        "INTERPRETATION",
    ),
    "comparison": (
        "COMPARISON", "COMPARISONS", "COMPARISON EXAM", "COMPARISON FILM", "COMPARISON STUDY", "REFERENCE EXAM",
    ),
    "indication": (
        "INDICATION", "INDICATIONS", "CLINICAL INDICATION", "REASON FOR EXAM", "REASON FOR EXAMINATION",
        "REASON FOR THE EXAM", "REASON FOR STUDY", "UNDERLYING MEDICAL CONDITION",
    ),
    "history": (
        "HISTORY", "CLINICAL HISTORY", "CLINICAL INFORMATION", "PATIENT HISTORY", "MEDICAL CONDITION", "PFI",
        "PROVISIONAL FINDINGS IMPRESSION",
    ),
    "examination": ("EXAMINATION", "EXAM", "TYPE OF EXAMINATION", "STUDY", "PROCEDURE"),
    "technique": ("TECHNIQUE", "VIEWS"),
    "recommendations": ("RECOMMENDATION", "RECOMMENDATIONS", "RECOMMENDATION(S)"),
    "notification": ("NOTIFICATION", "NOTIFICATIONS"),
    "wet read": ("WET READ", "WETREAD"),
    "addendum": ("ADDENDUM",),
    "comment": ("COMMENT", "COMMENTS"),
}  # fmt: skip
_NAMES = {name: kind for kind, names in _KINDS.items() for name in names}
_GUESSED = ("FINDINGS", "IMPRESSION", "COMPARISON", "INDICATION", "EXAMINATION", "TECHNIQUE", "CONCLUSION")
"""Names whose misspellings are recognised."""
_SIMILAR = 0.86
_RULE = re.compile(r"^[ \t]*_{10,}[ \t]*$", re.MULTILINE)
_MARK = r"(?:_{2,}|\bX{3,}\b|\[\*\*.*?\*\*\])"


def header_kind(name: str) -> str:
    """Header as written => section name; names that are not known keep their own lower-case form."""
    name = " ".join(name.split())
    if name in _NAMES:
        return _NAMES[name]
    near = difflib.get_close_matches(name, _GUESSED, n=1, cutoff=_SIMILAR)
    return _NAMES[near[0]] if near else name.lower()


def split_sections(report: str) -> dict[str, str]:
    """Report file text => section name => text on one line, marks removed.

    "last_paragraph" is the last paragraph that is no header of its own; "addendum" is what stands above the report
    between underscore lines.
    """
    report = report.replace("\r\n", "\n").replace("\r", "\n")
    sections: dict[str, str] = {}
    if len(parts := _RULE.split(report)) > 1:
        body = next((i for i in range(len(parts) - 1, -1, -1) if _HEADER.search(parts[i]) or i == 0), 0)
        addenda = [clean_text(_HEADER.sub("", part)) for part in parts[:body]]
        if any(addenda):
            sections["addendum"] = " ".join(filter(None, addenda))
        report = "\n".join(parts[body:])
    found = list(_HEADER.finditer(report))
    for i, header in enumerate(found):
        end = found[i + 1].start() if i + 1 < len(found) else len(report)
        kind = header_kind(header[1])
        text = clean_text(report[header.end() : end])
        if text or kind not in sections:
            sections[kind] = text
    paragraphs = [p for p in re.split(r"\n[ \t]*\n", report.strip()) if clean_text(_HEADER.sub("", p))]
    last = paragraphs[-1] if paragraphs else ""
    sections["last_paragraph"] = clean_text(_HEADER.sub("", last.replace("FINAL REPORT", "")))
    return sections


def study_text(sections: Mapping[str, str], text: str = "auto") -> str:
    """The text that stands for a study.

    "auto": impression, else findings, else last paragraph, else comparison. "impression" or "findings": that section
    alone. "both": findings then impression, whichever there are.
    """
    if text == "auto":
        return next(
            (sections[k] for k in ("impression", "findings", "last_paragraph", "comparison") if sections.get(k)), ""
        )
    if text == "both":
        return " ".join(filter(None, (sections.get("findings", ""), sections.get("impression", ""))))
    return sections.get(text, "")


TEXTS = ("auto", "impression", "findings", "both")
"""What `study_text` takes."""


def clean_text(text: str) -> str:
    """White space joined; de-identification marks (`___`, `XXXX`, `[** **]`) taken out together with what they leave
    hanging."""
    if re.search(_MARK, text):
        for pattern, replacement in _MENDING:
            text = pattern.sub(replacement, text)
    return " ".join(text.split())


_HANGING = r"(?:on|at|by|to|from|dated|of|in|the|and|with|since|as of|a|an)"
_MENDING = [
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        (r"\bx-X{3,}", "x-ray"),
        (rf"\bno {_MARK} of\b", "no evidence of"),
        (rf"\bdrs?\.? ?{_MARK}(?:,? (?:and )?(?:dr\.? ?)?{_MARK})*", "the doctor"),
        (rf"{_MARK}[- ](?:year|yr)s?[- ]old\b", ""),
        (
            rf"\b(?:at|on|from|dated|since|as of|by|of)(?: the)? {_MARK}(?:,? ?(?:at|on)? ?{_MARK})*"
            r"(?: ?(?:am|pm|a\.m\.|p\.m\.))?(?=[\s.,;:)]|$)",
            "",
        ),
        (rf"\b(?:to|with) {_MARK} (?=at|on|from\b)", ""),
        (_MARK, ""),
        (r"\(\s*\)", ""),
        (rf"(?:\s*\b{_HANGING}\b)+\s*(?=[.;:]|$)", ""),
        (r"\s+([.,;:)])", r"\1"),
        (r"([.,;:])\s*(?=[.,;:])", ""),
        (r"(?:^|(?<=[.!?]\s))\s*[.,;:]\s*", ""),
        (r",\s*\.", "."),
    )
]
"""What removing the marks takes with it, in this order."""
