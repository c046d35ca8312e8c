"""Sections of a MIMIC-CXR report, by the MIT-LCP convention: the last section of a kind counts."""

from __future__ import annotations

import re

_HEADER = re.compile(r"^ ?([A-Z][A-Z ,()/&-]{2,60}):", re.MULTILINE)
_NAMES = {
    "FINDINGS": "findings", "FINDING": "findings",
    "IMPRESSION": "impression", "IMPRESSON": "impression", "IMPRESSIONS": "impression", "CONCLUSION": "impression",
    "COMPARISON": "comparison", "COMPARISONS": "comparison",
    "INDICATION": "indication", "HISTORY": "indication", "EXAMINATION": "examination",
}  # fmt: skip
_MARK = re.compile(r"_{2,}")


def split_sections(report: str) -> dict[str, str]:
    """Report file text => section name => text on one line; headers that are not known keep their own lower-case name."""
    found = list(_HEADER.finditer(report))
    sections: dict[str, str] = {}
    for i, header in enumerate(found):
        end = found[i + 1].start() if i + 1 < len(found) else len(report)
        name = _NAMES.get(header[1].strip(), header[1].strip().lower())
        sections[name] = one_line(report[header.end() : end])
    last = re.split(r"\n\s*\n", report.strip())[-1]
    sections["last_paragraph"] = one_line(_HEADER.sub("", last))
    return sections


def study_text(sections: dict[str, str]) -> str:
    """The text that stands for a study: impression, else findings, else last paragraph, else comparison."""
    return next((sections[k] for k in ("impression", "findings", "last_paragraph", "comparison") if sections.get(k)), "")


def one_line(text: str) -> str:
    """White space joined, de-identification marks taken out."""
    return " ".join(_MARK.sub("", text).split())
