"""What every source offers, and what sources share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol, TypeVar

from omnicxr.data.counts import FILE_MISSING, Reasons
from omnicxr.data.paths import inside, regular_file, spellings
from omnicxr.data.sections import clean_text, split_sections
from omnicxr.data.table_files import Row, decode_text
from omnicxr.domain import Finding, ImageRef, Labels, LabelState, Study, View

Key = TypeVar("Key", bound=Hashable)


class StudySource(Protocol):
    """A data set on disk. Studies come in a fixed order, each exactly once.

    Raises UserError, when created or while `studies` runs, for a table that is missing, damaged or of another layout.
    """

    dropped: Reasons
    """Reason => number of studies that cannot be used at all, filled while `studies` runs."""
    images_left_out: Reasons
    """Reason => number of pictures left out of studies, filled while `studies` runs."""
    noticed: Reasons
    """What is odd in studies that are used => number of times, filled while `studies` runs."""

    def studies(self) -> Iterator[Study]:
        """All studies, from the first one at every call."""
        ...


class Source:
    """Counters and checks that sources share."""

    def __init__(self, root: Path) -> None:
        self.root, self._roots = root, spellings(root)
        self.dropped, self.images_left_out, self.noticed = Reasons(), Reasons(), Reasons()
        self._missing: list[View | None] = []

    def image(self, path: Path, view: View | None) -> ImageRef | None:
        """The picture, or None with the reason counted: it must lie in the data folder and be there (else it is one of
        `missing_views`)."""
        within = inside(self._roots, path)
        if within is None:
            self.images_left_out["path leaves the data folder (link what lies outside into it)"] += 1
        elif (found := regular_file(within)) is None:
            self.images_left_out[FILE_MISSING] += 1
            self._missing.append(view)
        else:
            return ImageRef(found, view)
        return None

    def missing_views(self) -> tuple[View | None, ...]:
        """Of the pictures asked for since the last call, the views of those whose files are not there."""
        views = tuple(self._missing)
        self._missing.clear()
        return views

    def _image(self, row: Row) -> ImageRef | None:
        """The picture of a row; None, with the reason counted, where it is not used. For sources with a row each."""
        raise NotImplementedError

    def _refs(self, rows: Iterable[Row]) -> tuple[ImageRef, ...]:
        """The pictures of the rows that have one."""
        return tuple(ref for row in rows if (ref := self._image(row)))

    def text(self, path: Path) -> str:
        """A report file's text; "" where it is missing, lies outside of the data folder or cannot be read (counted)."""
        within = inside(self._roots, path)
        found = regular_file(within) if within else None
        try:
            return decode_text(found.read_bytes()) if found else ""
        except OSError as error:
            self.noticed.add("report cannot be read ({})", str(error.strerror))
            return ""

    def labels(self, row: Mapping[str, str]) -> Labels:
        """Those of the 14 columns that are there, with 1, 0, -1 and blank; anything else is counted and left blank."""
        labels, wrong = chexpert_labels(row)
        for value in wrong:
            self.noticed.add(WRONG_LABEL, value)
        return labels


WRONG_LABEL = "label {} is none of 1, 0, -1 (left blank)"


def chexpert_labels(row: Mapping[str, str]) -> tuple[Labels, tuple[str, ...]]:
    """Those of the 14 columns that are there, with 1, 0, -1 and blank, and what stands where none of these does."""
    labels: dict[Finding, LabelState | None] = {}
    wrong = []
    for finding in (f for f in Finding if f in row):
        text = row[finding].strip()
        try:
            labels[finding] = LabelState(number(text)) if text else None
        except ValueError:
            labels[finding] = None
            wrong.append(f"{finding} '{text}'")
    return labels, tuple(wrong)


def number(text: str) -> float:
    """Of a cell, with a point or a comma. Raises ValueError for what is none."""
    return float(text.strip().replace(",", "."))


def by_study(read: Callable[[], Iterable[Row]], key: Callable[[Row], Key]) -> Iterator[tuple[Key, list[Row]]]:
    """The rows of each study, which need not stand together, when its last one comes; the table is read twice."""
    left = Counter(map(key, read()))
    waiting: dict[Key, list[Row]] = {}
    for row in read():
        study = key(row)
        waiting.setdefault(study, []).append(row)
        left[study] -= 1
        if left[study] <= 0:
            yield study, waiting.pop(study)


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
        age = number(digits)
    except ValueError:
        return None
    return age if 0 <= age <= 120 else None


def sex(text: str) -> str | None:
    """ "Male", "F", ... => "M", "F" or None."""
    first = text.strip().upper()[:1]
    return first if first in ("M", "F") else None
