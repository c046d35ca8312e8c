"""MIMIC-CXR-JPG (and the simulator's output, which has the same layout) and MIMIC-CXR in DICOM.

| file | columns read |
|---|---|
| `mimic-cxr-2.0.0-metadata.csv.gz` | dicom_id, subject_id, study_id, ViewPosition; PatientAge, PatientSex where present |
| `mimic-cxr-2.0.0-split.csv.gz` | dicom_id, split |
| `mimic-cxr-2.0.0-chexpert.csv.gz` | subject_id, study_id, the 14 findings |
| `cxr-record-list.csv.gz` (DICOM release) | subject_id, study_id, dicom_id |
| `files/p10/p10000032/s50414267.txt` | the report (MIMIC-CXR's own download, beside the pictures or in another folder of the root) |
| `truth.jsonl` | the simulator's truth, where present |

Tables may be unzipped (`.csv`). Pictures with another ViewPosition than AP, PA, LATERAL and LL are left out and counted; where it is blank the view
classifier decides. The DICOM release has no table of views, splits or labels: those of MIMIC-CXR-JPG are used where
they lie in the same folder; else views come from the DICOM header, splits from a hash of the patient and labels from
the labeler.
"""  # noqa: E501

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from omnicxr.data.sections import split_sections
from omnicxr.data.sources.base import WRONG_LABEL, Source, chexpert_labels, sex, years
from omnicxr.data.splits import named_split
from omnicxr.data.table_files import Row, identifier, read_table, table_path
from omnicxr.data.views import VIEW_CODES
from omnicxr.domain import Finding, ImageRef, Labels, Study, UserError

Key = tuple[str, str]
Read = tuple[Labels, tuple[str, ...]]
"""Labels of a study, and what stands in its row that is none."""


class MimicCxrJpg(Source):
    """The JPEG release."""

    name, suffix = "mimic-cxr-jpg", ".jpg"

    def studies(self) -> Iterator[Study]:
        """In the order of patient and study identifiers."""
        splits = self._splits()
        labels = self._labels()
        truth = self._truth()
        rows = sorted(self._rows(), key=itemgetter("subject_id", "study_id", "dicom_id"))
        for key, group in groupby(rows, key=itemgetter("subject_id", "study_id")):
            images = list({row["dicom_id"]: row for row in group}.values())
            if not all(key):
                self.dropped["no patient or study identifier"] += len(images)
                continue
            study_splits = {splits.get(row["dicom_id"], "") for row in images}
            if splits and (len(study_splits) != 1 or "" in study_splits):
                self.dropped["no split, or several splits"] += 1
                continue
            own_labels, wrong = labels.get(key, ({}, ()))
            for value in wrong:
                self.noticed.add(WRONG_LABEL, value)
            report = self._report(*key)
            yield Study(
                subject_id=key[0],
                study_id=key[1],
                source=self.name,
                split=named_split(study_splits.pop()),
                images=self._refs(images),
                missing=self.missing_views(),
                sections=split_sections(report) if report.strip() else {},
                labels=own_labels,
                age=years(images[0].get("PatientAge", "")),
                sex=sex(images[0].get("PatientSex", "")),
                truth=truth.get(key[1], ""),
            )

    def _rows(self) -> Iterator[Row]:
        columns = ("dicom_id", "subject_id", "study_id", "ViewPosition")
        return map(_identified, read_table(self._table_path("metadata"), columns, ("PatientAge", "PatientSex")))

    def _splits(self) -> dict[str, str]:
        rows = read_table(self._table_path("split"), ("dicom_id", "split"))
        return {row["dicom_id"]: sys.intern(row["split"]) for row in rows}

    def _labels(self) -> dict[Key, Read]:
        """Of each study."""
        labels: dict[Key, Read] = {}
        seen: dict[tuple[str, ...], Read] = {}  # rows that say the same share one mapping
        for row in map(_identified, read_table(self._table_path("chexpert"), ("subject_id", "study_id", *Finding))):
            values = tuple(row[f] for f in Finding)
            if values not in seen:
                seen[values] = chexpert_labels(row)
            labels[row["subject_id"], row["study_id"]] = seen[values]
        return labels

    def _table_path(self, name: str) -> Path:
        return table_path(self.root / f"mimic-cxr-2.0.0-{name}.csv.gz")

    def _folder(self, subject: str, study: str) -> Path:
        return self.root / "files" / f"p{subject[:2]}" / f"p{subject}" / f"s{study}"

    @cached_property
    def _report_folders(self) -> list[Path]:
        """Those that hold folders of patients: `files`, and others, such as where the reports' archive was unpacked."""
        found = {p.parent for depth in ("", "*/", "*/*/") for p in self.root.glob(f"{depth}p[0-9][0-9]")}
        return [self.root / "files", *sorted(found - {self.root / "files"})]

    def _report(self, subject: str, study: str) -> str:
        """The text; "" where there is none."""
        names = (folder / f"p{subject[:2]}" / f"p{subject}" / f"s{study}.txt" for folder in self._report_folders)
        return next((text for name in names if (text := self.text(name))), "")

    def _image(self, row: Row) -> ImageRef | None:
        code = row["ViewPosition"].strip().upper()
        if code and code not in VIEW_CODES:
            self.images_left_out.add("view {}", code)
            return None
        path = self._folder(row["subject_id"], row["study_id"]) / f"{row['dicom_id']}{self.suffix}"
        return self.image(path, VIEW_CODES.get(code))

    def _truth(self) -> dict[str, str]:
        path = self.root / "truth.jsonl"
        if not path.is_file():
            return {}
        try:
            with path.open(encoding="utf-8") as lines:
                rows = map(json.loads, lines)
                return {str(row["study_id"]): json.dumps(row["truth"], sort_keys=True) for row in rows}
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise UserError(f"{path} is damaged ({error}): simulate again, or remove it.") from error


class MimicCxr(MimicCxrJpg):
    """The DICOM release."""

    name, suffix = "mimic-cxr", ".dcm"

    def _rows(self) -> Iterator[Row]:
        if self._table_path("metadata").is_file():
            yield from super()._rows()
            return
        for row in read_table(self.root / "cxr-record-list.csv.gz", ("subject_id", "study_id", "dicom_id")):
            yield _identified({**row, "ViewPosition": ""})

    def _splits(self) -> dict[str, str]:
        return super()._splits() if self._table_path("split").is_file() else {}

    def _labels(self) -> dict[Key, Read]:
        return super()._labels() if self._table_path("chexpert").is_file() else {}


def _identified(row: Row) -> Row:
    return row | {name: identifier(row[name]) for name in ("subject_id", "study_id")}
