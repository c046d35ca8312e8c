"""A partition that comes as a table of its own, such as the one that a publication reports on: identifier => split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from omnicxr.data.files import sha256
from omnicxr.data.paths import is_file
from omnicxr.data.splits import named_split
from omnicxr.data.table_files import identifier, read_table, table_path
from omnicxr.domain import SPLITS, Study, UserError

IDENTIFIERS = ("uid", "study_id", "subject_id")
"""Columns that say whose split a row is; the first that the table has counts. `uid` and `study_id` name studies,
`subject_id` all studies of a patient."""
FIRST_ROW = 2
"""As spreadsheets count: the header is row 1."""


@dataclass(frozen=True, kw_only=True)
class SplitTable:
    """A table of splits that was read."""

    path: Path
    column: str
    """One of `IDENTIFIERS`."""
    splits: Mapping[str, str]
    """Identifier => split; with `sources`, "source:identifier"."""
    sources: frozenset[str] = frozenset()
    """Data sets of a mixture that it speaks of, from its column `source`; empty: of all."""
    sha256: str
    """Of the file."""

    def speaks_of(self, study: Study) -> bool:
        """Whether the study is of a data set that it speaks of."""
        return not self.sources or study.source in self.sources

    def identifier(self, study: Study) -> str:
        """What the table would name the study by: its own identifier or its patient's."""
        name = study.subject_id if self.column == "subject_id" else study.study_id
        return f"{study.source}:{name}" if self.sources else name


def read_split_table(path: Path) -> SplitTable:
    """CSV (plain or gzipped) or Parquet with the columns `split` and one of `IDENTIFIERS`; in a mixture also `source`,
    the KIND that a row is of.

    Raises UserError for a table that is missing or damaged or lacks a column, a row without an identifier or with a
    split that is none, and an identifier in two splits.
    """
    if not is_file(table_path(path)):
        raise UserError(f"No such split table: {path}: check the path; it has to be a file.")
    splits: dict[str, str] = {}
    sources: set[str] = set()
    column = ""
    for number, row in enumerate(read_table(path, ("split",), (*IDENTIFIERS, "source")), FIRST_ROW):
        column = next((name for name in IDENTIFIERS if name in row), "")
        if not column:
            raise UserError(
                f"{path} does not say whose splits these are: call its column of identifiers"
                f" {', '.join(IDENTIFIERS[:-1])} or {IDENTIFIERS[-1]}."
            )
        name, split = identifier(row[column]), named_split(row["split"])
        if not name:
            raise UserError(f"{path}, row {number}: the column '{column}' is blank: write the identifier.")
        if "source" in row:
            if not (source := row["source"].strip()):
                raise UserError(
                    f"{path}, row {number} ({name}): the column 'source' is blank: write the KIND of the data."
                )
            sources.add(source)
            name = f"{source}:{name}"
        if split not in SPLITS:
            said = f"'{row['split'].strip()}' is no split" if split else "the split is blank"
            raise UserError(f"{path}, row {number} ({name}): {said}: write {', '.join(SPLITS)}, or take the row out.")
        if splits.setdefault(name, split) != split:
            raise UserError(f"{path} has {name} in the splits {splits[name]} and {split}: take one of them out.")
    return SplitTable(
        path=path, column=column, splits=splits, sources=frozenset(sources), sha256=sha256(table_path(path))
    )
