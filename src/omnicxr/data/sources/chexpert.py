"""CheXpert and CheXpert Plus.

| data set | file | columns read |
|---|---|---|
| `chexpert` | `train.csv`, `valid.csv`, `test.csv` (those that are there) | Path, Sex, Age, Frontal/Lateral, AP/PA, the 14 findings |
| `chexpert-plus` | `df_chexpert_plus_240401.csv` | path_to_image, frontal_lateral, ap_pa, deid_patient_id, patient_report_date_order |
| | | section_findings, section_impression, age, sex, split; report where present |

The partition called valid is `validate` here. CheXpert has no reports; CheXpert Plus has no label columns in this
table, so the labeler reads its reports.
"""  # noqa: E501

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from omnicxr.data.paths import regular_file
from omnicxr.data.sources.base import Source, by_study, frontal_view, merged_sections, sex, years
from omnicxr.data.splits import SPLIT_NAMES, named_split
from omnicxr.data.table_files import Row, read_table, table_path
from omnicxr.domain import Finding, ImageRef, Study, UserError, View

_STUDY = re.compile(r"(patient\d+)/(study\d+)/")


def view_of(frontal_lateral: str, ap_pa: str) -> View | None:
    """The view of a row of either table; None where it does not say."""
    if frontal_lateral.strip().lower().startswith("l"):
        return View.LATERAL
    if frontal_lateral.strip().lower().startswith("f"):
        return frontal_view(ap_pa)
    return None


class CheXpert(Source):
    """CheXpert, either resolution."""

    name = "chexpert"

    def studies(self) -> Iterator[Study]:
        """In the order of the tables."""
        tables = [name for name in ("train", "valid", "test") if table_path(self.root / f"{name}.csv").is_file()]
        if not tables:
            raise UserError(f"{self.root} has no train.csv or valid.csv: point at the folder of the CheXpert download.")
        columns = ("Path", "Sex", "Age", "Frontal/Lateral", "AP/PA", *Finding)
        for table in tables:
            read = partial(read_table, self.root / f"{table}.csv", columns)
            for (patient, study), images in by_study(read, lambda row: self._key(row["Path"])):
                if not patient:
                    self.dropped["path without patient and study"] += len(images)
                else:
                    yield Study(
                        subject_id=patient,
                        study_id=f"{patient}/{study}",
                        source=self.name,
                        split=SPLIT_NAMES[table],
                        images=self._refs(images),
                        missing=self.missing_views(),
                        labels=self.labels(images[0]),
                        age=years(images[0]["Age"]),
                        sex=sex(images[0]["Sex"]),
                    )

    @staticmethod
    def _key(path: str) -> tuple[str, str]:
        """Patient and study; blank for a path that does not name them."""
        found = _STUDY.search(path)
        return (found[1], found[2]) if found else ("", "")

    def _image(self, row: Row) -> ImageRef | None:
        return self.image(self._path(row["Path"]), view_of(row["Frontal/Lateral"], row["AP/PA"]))

    def _path(self, written: str) -> Path:
        """Paths in the table begin with the name of the download folder, which may be `root` itself."""
        whole = self.root / written
        return whole if regular_file(whole) else self.root / written.partition("/")[2]


class CheXpertPlus(Source):
    """CheXpert Plus, PNG or the JPEG pictures of CheXpert under the same paths."""

    name = "chexpert-plus"
    table = "df_chexpert_plus_240401.csv"

    def studies(self) -> Iterator[Study]:
        """In the order of the tables."""
        image = ("path_to_image", "frontal_lateral", "ap_pa", "deid_patient_id", "patient_report_date_order")
        columns = (*image, "section_findings", "section_impression", "age", "sex", "split")
        key = itemgetter("deid_patient_id", "patient_report_date_order")
        rows = sorted(read_table(self.root / self.table, columns, ("report",)), key=key)
        for (patient, order), group in groupby(rows, key=key):
            images = list(group)
            if not patient or not order:
                self.dropped["no patient or study identifier"] += len(images)
                continue
            first = images[0]
            yield Study(
                subject_id=patient,
                study_id=f"{patient}/{order}",
                source=self.name,
                split=named_split(first["split"]),
                images=self._refs(images),
                missing=self.missing_views(),
                sections=merged_sections(
                    first.get("report", ""), first["section_findings"], first["section_impression"]
                ),
                age=years(first["age"]),
                sex=sex(first["sex"]),
            )

    def _image(self, row: Row) -> ImageRef | None:
        return self.image(self._path(row["path_to_image"]), view_of(row["frontal_lateral"], row["ap_pa"]))

    def _path(self, written: str) -> Path:
        stem = written.removesuffix(".png").removesuffix(".jpg")
        tried = [self.root / folder / f"{stem}{suffix}" for folder in ("", "PNG") for suffix in (".png", ".jpg")]
        return next((p for p in tried if regular_file(p)), self.root / written)
