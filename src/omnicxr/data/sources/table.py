"""Any table: CSV (plain or gzipped) or Parquet, with its columns named on the command line.

| role | meaning |
|---|---|
| patient, study | identifiers; without `patient` each study is its own patient, without `study` each row is its own study |
| frontal, lateral | path of a picture of that view, relative to the table's folder |
| image, view | one picture per row: its path and its view (PA, AP, FRONTAL, LATERAL or LL; blank: the view classifier decides) |
| report, findings, impression | text; `report` may have section headers |
| split | train, validate (or valid, val) or test |
| age, sex | years; male or female |

Columns named like one of the 14 findings are read as labels (1, 0, -1, blank).
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path

from omnicxr.data.sources.base import WRONG_LABEL, Source, chexpert_labels, merged_sections, sex, years
from omnicxr.data.splits import SPLIT_NAMES
from omnicxr.data.table_files import Row, read_table
from omnicxr.domain import Finding, ImageRef, Labels, Study, UserError, View

PARTS = ("frontal", "lateral", "image", "report", "findings", "impression")
ROLES = ("patient", "study", *PARTS, "view", "split", "age", "sex")
ROW_SPLITS = {**SPLIT_NAMES, "val": "validate"}


class TableSource(Source):
    """A table. Raises UserError for a role that is not known or a mapping that names neither a picture nor a
    text."""

    name = "table"

    def __init__(self, path: Path, columns: Mapping[str, str]) -> None:
        super().__init__(path.parent)
        self.path, self.columns = path, dict(columns)
        if unknown := [role for role in columns if role not in ROLES]:
            raise UserError(f"Unknown column role '{unknown[0]}': choose from {', '.join(ROLES)}.")
        if not set(columns) & set(PARTS):
            raise UserError(f"A table needs at least one of {', '.join(PARTS)}: name it with --columns.")

    def studies(self) -> Iterator[Study]:
        """In the order of the table."""
        named = tuple(self.columns.values())
        rows = enumerate(read_table(self.path, named, tuple(f for f in Finding if f not in named)))
        for study, group in groupby(rows, key=self._study_id):
            images = [row for _, row in group]
            labels = chexpert_labels(images[0])
            if labels is None:
                self.dropped[WRONG_LABEL] += 1
                continue
            yield self._study(study, images, labels)

    def _study_id(self, numbered: tuple[int, Row]) -> str:
        number, row = numbered
        return self._get(row, "study") if "study" in self.columns else str(number)

    def _get(self, row: Row, role: str) -> str:
        return row[self.columns[role]].strip() if role in self.columns else ""

    def _study(self, study: str, rows: list[Row], labels: Labels) -> Study:
        first = rows[0]
        texts = [self._get(first, role) for role in ("report", "findings", "impression")]
        return Study(
            subject_id=self._get(first, "patient") or study,
            study_id=study,
            source=self.name,
            split=ROW_SPLITS.get(self._get(first, "split").lower(), self._get(first, "split")),
            images=tuple(ref for row in rows for ref in self._images(row)),
            sections=merged_sections(*texts),
            labels=labels,
            age=years(self._get(first, "age")),
            sex=sex(self._get(first, "sex")),
        )

    def _images(self, row: Row) -> Iterator[ImageRef]:
        for role, view in (("frontal", View.FRONTAL), ("lateral", View.LATERAL), ("image", self._view(row))):
            if (name := self._get(row, role)) and (path := self.picture(self.root / name)):
                yield ImageRef(path, view)

    def _view(self, row: Row) -> View | None:
        code = self._get(row, "view").upper()
        if code and code not in set(View):
            raise UserError(f"{self.path} has the view '{code}': choose from {', '.join(View)} or leave it blank.")
        return View(code) if code else None
