"""MIMIC-CXR-JPG, and the simulator's output, which has the same layout.

| file | columns read |
|---|---|
| `mimic-cxr-2.0.0-metadata.csv.gz` | dicom_id, subject_id, study_id, ViewPosition; PatientAge, PatientSex where present |
| `mimic-cxr-2.0.0-split.csv.gz` | dicom_id, split |
| `mimic-cxr-2.0.0-chexpert.csv.gz` | subject_id, study_id, the 14 findings |
| `files/p10/p10000032/s50414267.txt` | the report (MIMIC-CXR's own download, put beside the pictures) |
| `truth.jsonl` | the simulator's truth, where present |
"""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from omnicxr.data.sections import split_sections, study_text
from omnicxr.domain import Finding, ImageRef, LabelState, Study, UserError, View

VIEW_CODES = {"AP": View.AP, "PA": View.PA, "LATERAL": View.LATERAL, "LL": View.LL}
"""ViewPosition values used; pictures with others are left out and counted."""


class MimicCxrJpg:
    """Reader of the JPEG release. Raises UserError for a missing table or column, naming it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.dropped: Counter[str] = Counter()

    def studies(self) -> Iterator[Study]:
        images: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
        for row in self._table("metadata", ("dicom_id", "subject_id", "study_id", "ViewPosition")):
            images[row["subject_id"], row["study_id"]].append(row)
        splits = {row["dicom_id"]: row["split"] for row in self._table("split", ("dicom_id", "split"))}
        columns = ("subject_id", "study_id", *Finding)
        labels = {(r["subject_id"], r["study_id"]): self._labels(r) for r in self._table("chexpert", columns)}
        truth = self._truth()
        for key in sorted(images):
            rows = images[key]
            study_splits = {splits.get(row["dicom_id"], "") for row in rows}
            if len(study_splits) != 1 or "" in study_splits:
                self.dropped["no split, or several splits"] += 1
                continue
            refs = tuple(ref for row in rows if (ref := self._image(row)))
            report_path = self._study_folder(*key).with_suffix(".txt")
            if not report_path.is_file():
                sections: dict[str, str] = {}
            else:
                sections = split_sections(report_path.read_text(encoding="utf-8", errors="replace"))
            age = rows[0].get("PatientAge", "")
            yield Study(
                subject_id=key[0], study_id=key[1], split=study_splits.pop(), source="mimic-cxr-jpg", images=refs,
                findings_text=sections.get("findings", ""), impression_text=sections.get("impression", ""),
                report=study_text(sections), labels=labels.get(key, dict.fromkeys(Finding)),
                age=float(age) if age else None, sex=rows[0].get("PatientSex") or None, truth=truth.get(key[1], ""),
            )  # fmt: skip

    def _study_folder(self, subject: str, study: str) -> Path:
        return self.root / "files" / f"p{subject[:2]}" / f"p{subject}" / f"s{study}"

    def _image(self, row: dict[str, str]) -> ImageRef | None:
        view = VIEW_CODES.get(row["ViewPosition"])
        path = self._study_folder(row["subject_id"], row["study_id"]) / f"{row['dicom_id']}.jpg"
        return ImageRef(path, view) if view else None

    def _table(self, name: str, columns: tuple[str, ...]) -> Iterator[dict[str, str]]:
        path = self.root / f"mimic-cxr-2.0.0-{name}.csv.gz"
        if not path.is_file():
            raise UserError(f"{path} is missing: point at the folder that holds the MIMIC-CXR-JPG tables.")
        try:
            with gzip.open(path, "rt", encoding="utf-8-sig", newline="") as file:
                reader = csv.DictReader(file)
                if missing := [c for c in columns if c not in (reader.fieldnames or ())]:
                    raise UserError(f"{path} lacks the column '{missing[0]}': check that it is the table of the release.")
                yield from reader
        except (OSError, EOFError, UnicodeDecodeError) as error:
            raise UserError(f"{path} is damaged ({error}): download it again.") from error

    def _labels(self, row: dict[str, str]) -> dict[Finding, LabelState | None]:
        try:
            return {f: LabelState(int(float(row[f]))) if row[f].strip() else None for f in Finding}
        except ValueError:
            raise UserError(f"Study {row['study_id']} has a label outside 1, 0, -1 and blank: check the chexpert table.") from None

    def _truth(self) -> dict[str, str]:
        path = self.root / "truth.jsonl"
        if not path.is_file():
            return {}
        rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
        return {str(row["study_id"]): json.dumps(row["truth"], sort_keys=True) for row in rows}
