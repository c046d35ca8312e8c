"""What every source offers, and what sources share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from omnicxr.data.sections import clean_text, split_sections
from omnicxr.data.table_files import Row, decode_text
from omnicxr.domain import Finding, ImageRef, Labels, LabelState, Study, View


class StudySource(Protocol):
    """A data set on disk. Studies come in a fixed order, each exactly once.

    Raises UserError, when created or while `studies` runs, for a table that is missing, damaged or of another layout.
    """

    dropped: Counter[str]
    """Reason => number of studies that cannot be used at all, filled while `studies` runs."""
    images_left_out: Counter[str]
    """Reason => number of pictures left out of studies, filled while `studies` runs."""

    def studies(self) -> Iterator[Study]:
        """All studies, from the first one at every call."""
        ...


class Source:
    """Counters and checks that sources share."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._resolved_root = root.resolve()
        self.dropped: Counter[str] = Counter()
        self.images_left_out: Counter[str] = Counter()

    def _inside(self, path: Path) -> bool:
        return path.resolve().is_relative_to(self._resolved_root)

    def picture(self, path: Path) -> Path | None:
        """The path, or None with the reason counted: it must lie in the data folder and be there."""
        if not self._inside(path):
            self.images_left_out["path leaves the data folder (.., absolute, or a link)"] += 1
        elif not path.is_file():
            self.images_left_out["file missing"] += 1
        else:
            return path
        return None

    def _image(self, row: Row) -> ImageRef | None:
        """The picture of a row; None, with the reason counted, where it is not used. For sources with a row each."""
        raise NotImplementedError

    def _refs(self, rows: Iterable[Row]) -> tuple[ImageRef, ...]:
        """The pictures of the rows that have one."""
        return tuple(ref for row in rows if (ref := self._image(row)))

    def text(self, path: Path) -> str:
        """A report file's text; "" where it is missing or lies outside of the data folder."""
        if not path.is_file() or not self._inside(path):
            return ""
        return decode_text(path.read_bytes())


WRONG_LABEL = "label outside 1, 0, -1 and blank"


def chexpert_labels(row: Mapping[str, str]) -> Labels | None:
    """Those of the 14 columns that are there, with 1, 0, -1 and blank; None if a value is anything else."""
    try:
        return {f: LabelState(_whole(row[f])) if row[f].strip() else None for f in Finding if f in row}
    except ValueError:
        return None


def _whole(text: str) -> int:
    value = float(text)
    if not value.is_integer():
        raise ValueError(text)
    return int(value)


def named_labels(names: set[str], mapping: Mapping[str, Finding]) -> Labels:
    """Labels of a data set that lists what it found: listed is positive, in its vocabulary but not listed is negative,
    else not mentioned."""
    positive = {mapping[n] for n in names if n in mapping}
    known = set(mapping.values())
    return {f: LabelState.POSITIVE if f in positive else LabelState.NEGATIVE if f in known else None for f in Finding}


def frontal_view(code: str) -> View:
    """PA or AP; FRONTAL where the table says neither."""
    return {"AP": View.AP, "PA": View.PA}.get(code.strip().upper(), View.FRONTAL)


def merged_sections(report: str, findings: str, impression: str) -> dict[str, str]:
    """Sections of a report text, of which findings and impression give way to columns of their own; empty ones are left
    out."""
    own = {"findings": clean_text(findings), "impression": clean_text(impression)}
    sections = {**split_sections(report), **{name: text for name, text in own.items() if text}}
    return {name: text for name, text in sections.items() if text}


def years(text: str) -> float | None:
    """ "063Y", "63", "63.0" => 63.0; None for what is no age of 0 to 120 years."""
    digits = text.strip().upper().removesuffix("Y")
    try:
        age = float(digits)
    except ValueError:
        return None
    return age if 0 <= age <= 120 else None


def sex(text: str) -> str | None:
    """ "Male", "F", ... => "M", "F" or None."""
    first = text.strip().upper()[:1]
    return first if first in ("M", "F") else None
