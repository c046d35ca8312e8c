"""NIH ChestX-ray14 (Wang et al. 2017): frontal pictures and text-mined labels, no reports, no laterals.

| file | columns read |
|---|---|
| `Data_Entry_2017_v2020.csv`, `Data_Entry_2017.csv` | Image Index, Finding Labels, Patient ID, Patient Age, Patient Gender (or Sex), View Position |
| `metadata.csv` (a short form: image, finding_labels, patient_id, age, sex, view) | the same under these names |
| `test_list.txt`, `train_val_list.txt` | the official partition, where present; of the rest a hash of the patient makes `validate` |

Pictures lie at the path in the table, in `images/`, or in `images_001/images/` to `images_012/images/`. Each picture is
one study. The 14 findings of this data set are not those of CheXpert: the mapping is below; a finding that is mapped
and not listed is negative. Infiltration is Lung Opacity; Emphysema, Fibrosis and Hernia have no counterpart.
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from omnicxr.data.paths import regular_file
from omnicxr.data.sources.base import Source, frontal_view, named_labels, sex, years
from omnicxr.data.splits import hashed_split
from omnicxr.data.table_files import read_table, table_path
from omnicxr.domain import Finding, ImageRef, Study, UserError

NAMES = (
    ("Image Index", "Finding Labels", "Patient ID", "Patient Age", "Patient Gender", "View Position"),
    ("Image Index", "Finding Labels", "Patient ID", "Patient Age", "Patient Sex", "View Position"),
    ("image", "finding_labels", "patient_id", "age", "sex", "view"),
)
TABLES = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv", "metadata.csv")
LABELS = {
    "No Finding": Finding.NO_FINDING,
    "Atelectasis": Finding.ATELECTASIS,
    "Cardiomegaly": Finding.CARDIOMEGALY,
    "Consolidation": Finding.CONSOLIDATION,
    "Edema": Finding.EDEMA,
    "Effusion": Finding.PLEURAL_EFFUSION,
    "Infiltration": Finding.LUNG_OPACITY,
    "Mass": Finding.LUNG_LESION,
    "Nodule": Finding.LUNG_LESION,
    "Pleural_Thickening": Finding.PLEURAL_OTHER,
    "Pneumonia": Finding.PNEUMONIA,
    "Pneumothorax": Finding.PNEUMOTHORAX,
}


class Nih(Source):
    """ChestX-ray14."""

    name = "nih"

    def studies(self) -> Iterator[Study]:
        """In the order of the table."""
        path = next((p for t in TABLES if (p := table_path(self.root / t)).is_file()), None)
        if path is None:
            raise UserError(f"{self.root} has no {TABLES[0]}: point at the folder of the ChestX-ray14 download.")
        names = next((n for n in NAMES if _has(path, n)), NAMES[0])
        test = self._names("test_list.txt")
        folders = [self.root, self.root / "images", *sorted(self.root.glob("images_*/images"))]
        seen = set()
        for row in read_table(path, names):
            image, labels, patient, age, gender, view = (row[n].strip() for n in names)
            if image and image in seen:
                self.dropped["identifier twice"] += 1
                continue
            seen.add(image)
            if not patient or not image:
                self.dropped["no patient or study identifier"] += 1
                continue
            yield Study(
                subject_id=patient,
                study_id=Path(image).stem,
                source=self.name,
                split=self._split(Path(image).name, patient, test),
                images=self._found(image, view, folders),
                missing=self.missing_views(),
                labels=named_labels({n.strip() for n in labels.split("|")}, LABELS),
                age=years(age),
                sex=sex(gender),
            )

    def _names(self, table: str) -> set[str]:
        return set(self.text(self.root / table).split())

    @staticmethod
    def _split(image: str, patient: str, test: set[str]) -> str:
        if not test:
            return ""
        return "test" if image in test else "validate" if hashed_split(patient) == "validate" else "train"

    def _found(self, image: str, view: str, folders: list[Path]) -> tuple[ImageRef, ...]:
        path = next((p for f in folders if (p := regular_file(f / image))), self.root / image)
        found = self.image(path, frontal_view(view))
        return (found,) if found else ()


def _has(path: Path, names: tuple[str, ...]) -> bool:
    try:
        return next(read_table(path, names), None) is not None
    except UserError:
        return False
