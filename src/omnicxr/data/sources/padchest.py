"""PadChest (Bustos et al. 2020): Spanish reports, kept as they are.

| file | columns read |
|---|---|
| `PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv` (also `.csv.gz`) | ImageID, StudyID, PatientID, Projection, Labels, Report |
| | ImageDir, PatientBirth, StudyDate_DICOM, PatientSex_DICOM where present |

Projections used: PA, AP, AP_horizontal (as AP) and L; others (COSTAL, ...) are left out and counted. Labels name
radiological signs; those that are one of the 14 findings are mapped below, the others are not used. Pictures lie at
`ImageDir/ImageID` or `ImageID`.
"""  # noqa: E501

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter

from omnicxr.data.paths import regular_file
from omnicxr.data.sections import clean_text
from omnicxr.data.sources.base import Source, named_labels, sex, years
from omnicxr.data.table_files import Row, read_table
from omnicxr.domain import Finding, ImageRef, Labels, Study, View

TABLE = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv"
PROJECTIONS = {"PA": View.PA, "AP": View.AP, "AP_horizontal": View.AP, "L": View.LATERAL}
_SIGNS = {
    Finding.NO_FINDING: "normal",
    Finding.ATELECTASIS: "atelectasis, laminar atelectasis, lobar atelectasis, total atelectasis, round atelectasis, "
    "segmental atelectasis",
    Finding.CARDIOMEGALY: "cardiomegaly",
    Finding.CONSOLIDATION: "consolidation",
    Finding.EDEMA: "pulmonary edema",
    Finding.ENLARGED_CARDIOMEDIASTINUM: "mediastinal enlargement, superior mediastinal enlargement",
    Finding.FRACTURE: "fracture, rib fracture, clavicle fracture, vertebral fracture, humeral fracture, "
    "callus rib fracture, vertebral compression",
    Finding.LUNG_LESION: "nodule, multiple nodules, pulmonary mass, mass",
    Finding.LUNG_OPACITY: "infiltrates, interstitial pattern, alveolar pattern, increased density, "
    "ground glass pattern, reticular interstitial pattern, reticulonodular interstitial pattern",
    Finding.PLEURAL_EFFUSION: "pleural effusion, loculated pleural effusion, hydropneumothorax, "
    "loculated fissural effusion",
    Finding.PLEURAL_OTHER: "pleural thickening, apical pleural thickening, calcified pleural thickening, "
    "calcified pleural plaques, pleural plaques",
    Finding.PNEUMONIA: "pneumonia, atypical pneumonia",
    Finding.PNEUMOTHORAX: "pneumothorax",
    Finding.SUPPORT_DEVICES: "pacemaker, dual chamber device, single chamber device, central venous catheter, "
    "central venous catheter via jugular vein, central venous catheter via subclavian vein, endotracheal tube, "
    "nsg tube, chest drain tube, tracheostomy tube, artificial heart valve, reservoir central venous catheter",
}
LABELS = {sign: finding for finding, signs in _SIGNS.items() for sign in signs.split(", ")}
"""PadChest label => finding."""


class PadChest(Source):
    """The full release."""

    name = "padchest"

    def studies(self) -> Iterator[Study]:
        """In the order of patient and study identifiers."""
        columns = ("ImageID", "StudyID", "PatientID", "Projection", "Labels", "Report")
        optional = ("ImageDir", "PatientBirth", "StudyDate_DICOM", "PatientSex_DICOM")
        rows = sorted(
            read_table(self.root / TABLE, columns, optional), key=itemgetter("PatientID", "StudyID", "ImageID")
        )
        for (patient, study), group in groupby(rows, key=itemgetter("PatientID", "StudyID")):
            images = list(group)
            if not patient or not study:
                self.dropped["no patient or study identifier"] += len(images)
                continue
            first = images[0]
            report = clean_text(first["Report"])
            yield Study(
                subject_id=patient,
                study_id=study,
                source=self.name,
                language="es",
                images=self._refs(images),
                missing=self.missing_views(),
                sections={"findings": report} if report else {},
                labels=_labels(images),
                age=_age(first),
                sex=sex(first.get("PatientSex_DICOM", "")),
            )

    def _image(self, row: Row) -> ImageRef | None:
        view = PROJECTIONS.get(row["Projection"].strip())
        if view is None:
            self.images_left_out.add("view {}", row["Projection"] or "blank")
            return None
        nested = self.root / row.get("ImageDir", "") / row["ImageID"]
        return self.image(nested if regular_file(nested) else self.root / row["ImageID"], view)


def _labels(rows: list[Row]) -> Labels:
    names: set[str] = set()
    for row in rows:
        try:
            listed = ast.literal_eval(row["Labels"]) if row["Labels"].strip() else []
        except (ValueError, SyntaxError):
            return {}
        names |= {str(n).strip().lower() for n in listed}
    return named_labels(names, LABELS) if names else {}


def _age(row: Row) -> float | None:
    born, taken = row.get("PatientBirth", "")[:4], row.get("StudyDate_DICOM", "")[:4]
    return years(str(int(taken) - int(born))) if born.isdigit() and taken.isdigit() else None
