"""One file per data set; each yields `Study` values and counts what it cannot use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from omnicxr.data.paths import is_file, is_folder
from omnicxr.data.sources.base import StudySource
from omnicxr.data.sources.chexpert import CheXpert, CheXpertPlus
from omnicxr.data.sources.mimic_cxr import MimicCxr, MimicCxrJpg
from omnicxr.data.sources.mix import Mix
from omnicxr.data.sources.nih import Nih
from omnicxr.data.sources.openi import OpenI
from omnicxr.data.sources.padchest import PadChest
from omnicxr.data.sources.table import TableSource
from omnicxr.data.table_files import table_path
from omnicxr.domain import UserError

FOLDERS: dict[str, Callable[[Path], StudySource]] = {
    "mimic-cxr-jpg": MimicCxrJpg,
    "mimic-cxr": MimicCxr,
    "openi": OpenI,
    "chexpert": CheXpert,
    "chexpert-plus": CheXpertPlus,
    "padchest": PadChest,
    "nih": Nih,
}
"""Names on the command line => sources that are folders."""
KINDS = (*FOLDERS, "table", "mix")


def open_source(kind: str, where: str, columns: Mapping[str, str] | None = None) -> StudySource:
    """The source of a data set.

    `where` is a folder; for "table" a file; for "mix" several data sets as "KIND=FOLDER,KIND=FOLDER". Raises UserError
    for an unknown kind or a place that is not there.
    """
    if kind == "mix":
        parts = [part.partition("=") for part in where.split(",")]
        if not all(equals and name != "mix" for name, equals, _ in parts):
            raise UserError(f"'{where}' is no mixture: write it like mimic-cxr-jpg=FOLDER,openi=FOLDER.")
        return Mix([open_source(name.strip(), folder.strip(), columns) for name, _, folder in parts])
    path = Path(where)
    if kind == "table":
        if is_folder(path):
            raise UserError(f"{path} is a folder, not a table: name the file.")
        if not is_file(table_path(path)):
            raise UserError(f"No such table: {path}: check the path; it has to be a file.")
        return TableSource(path, columns or {})
    if kind not in FOLDERS:
        raise UserError(f"Unknown data set '{kind}': choose from {', '.join(KINDS)}.")
    if not is_folder(path):
        raise UserError(f"No such data folder: {path}: check the path.")
    return FOLDERS[kind](path)


__all__ = ["FOLDERS", "KINDS", "Mix", "StudySource", "open_source"]
