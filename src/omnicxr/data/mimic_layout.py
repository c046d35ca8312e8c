"""Writing the layout of MIMIC-CXR-JPG (columns in `sources/mimic_cxr.py`): folders, identifiers and tables."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from omnicxr.data.files import whole_file
from omnicxr.domain import Finding

METADATA = (
    "dicom_id subject_id study_id PerformedProcedureStepDescription ViewPosition Rows Columns StudyDate StudyTime"
    " PatientAge PatientSex"
)
COLUMNS: dict[str, tuple[str, ...]] = {
    "metadata": tuple(METADATA.split()),
    "split": ("dicom_id", "study_id", "subject_id", "split"),
    "chexpert": ("subject_id", "study_id", *Finding),
}
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
    """The three tables, open for writing."""

    def __init__(self, writers: Mapping[str, csv.DictWriter[str]]) -> None:
        self._writers = writers

    def add(
        self,
        subject: int,
        study: int,
        pictures: Sequence[Picture],
        *,
        labels: Mapping[Finding, int | None],
        split: str,
        age: float | None,
        sex: str | None,
    ) -> None:
        """The rows of one study."""
        ids = {"subject_id": subject, "study_id": study}
        about = {
            "PerformedProcedureStepDescription": "CHEST (PA AND LAT)",
            "StudyDate": 21800101,
            "StudyTime": 0.0,
            "PatientAge": age,
            "PatientSex": sex,
        }
        for picture in pictures:
            image = {"dicom_id": picture.dicom_id, **ids}
            taken = {"ViewPosition": picture.view, "Rows": picture.size, "Columns": picture.size}
            self._writers["metadata"].writerow(image | taken | about)
            self._writers["split"].writerow(image | {"split": split})
        states = {f: "" if (state := labels[f]) is None else f"{state:.1f}" for f in Finding}
        self._writers["chexpert"].writerow({**ids, **states})


@contextmanager
def mimic_tables(root: Path) -> Iterator[MimicTables]:
    """Tables to write row by row, put into place together when the block ends well."""
    writers = {}
    with ExitStack() as stack:
        for name, columns in COLUMNS.items():
            temporary = stack.enter_context(whole_file(root / f"mimic-cxr-2.0.0-{name}.csv.gz"))
            raw = stack.enter_context(temporary.open("wb"))
            packed = stack.enter_context(gzip.GzipFile("", "wb", fileobj=raw, mtime=0))
            text = stack.enter_context(io.TextIOWrapper(packed, encoding="utf-8", newline=""))
            writers[name] = csv.DictWriter(text, columns, lineterminator="\n")
            writers[name].writeheader()
        yield MimicTables(writers)
