"""Writing the layout of MIMIC-CXR-JPG (columns in `sources/mimic_cxr.py`): folders, identifiers and tables."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from omnicxr.data.files import whole_file
from omnicxr.domain import Finding

COLUMNS: dict[str, tuple[str, ...]] = {
    "metadata": ("dicom_id", "subject_id", "study_id", "PerformedProcedureStepDescription", "ViewPosition", "Rows",
    "Columns", "StudyDate",
                 "StudyTime", "PatientAge", "PatientSex"),
    "split": ("dicom_id", "study_id", "subject_id", "split"),
    "chexpert": ("subject_id", "study_id", *Finding),
}  # fmt: skip
"""Of each table; the release's, with age and sex beside."""


class Picture(NamedTuple):
    """One picture of a study, as the tables name it."""

    dicom_id: str
    view: str
    """ViewPosition; blank where it is not known."""
    size: int
    """Side of the square picture, pixels."""


def study_folder(root: Path, subject: int, study: int) -> Path:
    """Where the pictures of a study lie; its report lies beside the folder, with the suffix .txt."""
    return root / "files" / f"p{str(subject)[:2]}" / f"p{subject}" / f"s{study}"


def dicom_id(study: int, view: str) -> str:
    """An identifier in the form of the release's, the same for the same study and view."""
    name = hashlib.sha256(f"{study} {view}".encode()).hexdigest()[:40]
    return "-".join(name[i : i + 8] for i in range(0, 40, 8))


class MimicTables:
    """The three tables, written row by row and put into place together when the block ends well."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._stack = ExitStack()
        self._writers: dict[str, csv.DictWriter[str]] = {}

    def __enter__(self) -> MimicTables:
        for name, columns in COLUMNS.items():
            temporary = self._stack.enter_context(whole_file(self._root / f"mimic-cxr-2.0.0-{name}.csv.gz"))
            raw = self._stack.enter_context(temporary.open("wb"))
            packed = self._stack.enter_context(gzip.GzipFile("", "wb", fileobj=raw, mtime=0))
            text = self._stack.enter_context(io.TextIOWrapper(packed, encoding="utf-8", newline=""))
            self._writers[name] = csv.DictWriter(text, columns, lineterminator="\n")
            self._writers[name].writeheader()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def add(
        self,
        subject: int,
        study: int,
        pictures: Sequence[Picture],
        labels: Mapping[Finding, int | None],
        split: str,
        age: Any,
        sex: Any,
    ) -> None:
        """The rows of one study."""
        for picture in pictures:
            self._writers["metadata"].writerow(
                {
                    "dicom_id": picture.dicom_id,
                    "subject_id": subject,
                    "study_id": study,
                    "PerformedProcedureStepDescription": "CHEST (PA AND LAT)",
                    "ViewPosition": picture.view,
                    "Rows": picture.size,
                    "Columns": picture.size,
                    "StudyDate": 21800101,
                    "StudyTime": 0.0,
                    "PatientAge": age,
                    "PatientSex": sex,
                }
            )
            self._writers["split"].writerow(
                {"dicom_id": picture.dicom_id, "study_id": study, "subject_id": subject, "split": split}
            )
        states = {f: "" if (state := labels[f]) is None else f"{state:.1f}" for f in Finding}
        self._writers["chexpert"].writerow({"subject_id": subject, "study_id": study, **states})
