"""Any table: CSV (comma, semicolon or tab; UTF-8, UTF-16 or Windows-1252; plain or gzipped) or Parquet, with its
columns named on the command line.

| role | meaning |
|---|---|
| patient, study | identifiers; without `patient` each study is its own patient, without `study` each row is its own study |
| frontal, lateral | path of a picture of that view, relative to the table's folder |
| image, view | one picture per row: its path and its view (PA, AP, FRONTAL, LATERAL or LL; blank: header or view classifier) |
| report, findings, impression | text; `report` may have section headers |
| split | train, validate (or valid, val, validation) or test |
| age, sex | years; male or female |
| language | of the report, two letters as in ISO 639-1 (es, de, ...); English where it is blank |

Rows with the same patient and study are one study, wherever they stand; what the first of them leaves blank the next
ones say. Columns named like one of the 14 findings are read as labels (1, 0, -1, blank).
"""  # noqa: E501

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import TypeVar

from omnicxr.data.labeler import LANGUAGE
from omnicxr.data.paths import named_file
from omnicxr.data.sources.base import Source, by_study, merged_sections, sex, years
from omnicxr.data.splits import named_split
from omnicxr.data.table_files import Row, identifier, read_table
from omnicxr.domain import Finding, ImageRef, Study, UserError, View

PARTS = ("frontal", "lateral", "image", "report", "findings", "impression")
ROLES = ("patient", "study", *PARTS, "view", "split", "age", "sex", "language")
OF_A_ROW = ("patient", "study", "frontal", "lateral", "image", "view")
"""Roles in which the rows of one study differ."""
_ROUNDED = re.compile(r"\d([.,]\d+)?E\+\d+", re.IGNORECASE)
_ROW = "row"
"""Key of a row's number."""

Value = TypeVar("Value")


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
        """In the order in which they end in the table."""
        for (patient, study), rows in by_study(self._rows, self._key):
            named = [name for role, name in (("patient", patient), ("study", study)) if role in self.columns]
            if not all(named):
                self.dropped["no patient or study identifier"] += len(rows)
            elif rounded := next(filter(_ROUNDED.fullmatch, named), None):
                self.dropped.add("identifier {} was rounded by a spreadsheet (write it as text)", rounded)
            else:
                yield self._study(patient or study, study, rows)

    def _rows(self) -> Iterator[Row]:
        """With roles for columns, findings as they are, and the number of the row."""
        named = tuple(self.columns.values())
        numbers = count()
        for row in read_table(self.path, named, tuple(f for f in Finding if f not in named)):
            roles = {role: row[column].strip() for role, column in self.columns.items()}
            yield {f: row[f] for f in Finding if f in row} | roles | {_ROW: str(next(numbers))}

    @staticmethod
    def _key(row: Row) -> tuple[str, str]:
        """Patient and study."""
        return identifier(row.get("patient", "")), identifier(row.get("study", row[_ROW]))

    def _study(self, patient: str, study: str, rows: list[Row]) -> Study:
        whole = self._together(patient, study, rows)
        return Study(
            subject_id=patient,
            study_id=study,
            source=self.name,
            split=named_split(whole.get("split", "")),
            images=tuple(ref for row in rows for ref in self._images(row)),
            missing=self.missing_views(),
            language=self._read(_language, whole, "language") or LANGUAGE,
            sections=merged_sections(*(whole.get(role, "") for role in ("report", "findings", "impression"))),
            labels=self.labels(whole),
            age=self._read(years, whole, "age"),
            sex=self._read(sex, whole, "sex"),
        )

    def _together(self, patient: str, study: str, rows: list[Row]) -> Row:
        """What the rows of a study say of it: of each column the first that is not blank."""
        whole: Row = {}
        for column in (c for c in rows[0] if c not in (*OF_A_ROW, _ROW)):
            said = list(dict.fromkeys(value for row in rows if (value := row[column].strip())))
            whole[column] = said[0] if said else ""
            if column == "split" and len(set(map(named_split, said))) > 1:
                raise UserError(
                    f"{self.path}: study {study} of patient {patient} is in the splits {said[0]} and {said[1]}: mend"
                    f" the column '{self.columns['split']}'."
                )
            if len(said) > 1:
                self.noticed.add("rows of one study differ in {} (the first one counts)", column)
        return whole

    def _read(self, read: Callable[[str], Value | None], row: Row, role: str) -> Value | None:
        """What a cell says; None, counted where it is not blank, for what cannot be read."""
        text = row.get(role, "")
        value = read(text)
        if text and value is None:
            self.noticed.add(f"{role} '{{}}' is not known (left blank)", text)
        return value

    def _images(self, row: Row) -> Iterator[ImageRef]:
        for role in ("frontal", "lateral", "image"):
            code = row.get("view", "").upper() if role == "image" else role.upper()
            if not (name := row.get(role)):
                continue
            if code and code not in set(View):
                self.images_left_out.add("view {}", row["view"])
            elif ref := self.image(named_file(self.root, name), View(code) if code else None):
                yield ref


def _language(text: str) -> str | None:
    """ "ES", "es-ES" => "es"; None for what does not begin with two letters."""
    code = re.match(r"([a-z]{2})(?![a-z])", text.lower())
    return code[1] if code else None
