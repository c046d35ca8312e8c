"""A synthetic data set in the layouts that other tools read: picture folders, MIMIC-CXR-JPG, CheXGenBench, DICOM.

Studies are read one after the other, so memory does not grow with their number. Every file is written whole or not at
all, and one that is there is kept, so the same command goes on after an interruption; tables are put into place last.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from omnicxr.data.checks import check_shards
from omnicxr.data.exchange import write_chexgenbench
from omnicxr.data.files import claim, is_empty, sha256, whole_file, write_once, write_text, writes_out
from omnicxr.data.manifest import MANIFEST, Manifest
from omnicxr.data.mimic_layout import Picture, dicom_id, mimic_tables, study_folder
from omnicxr.data.shards import LABEL_COLUMNS, decode_picture
from omnicxr.data.typed_json import from_json
from omnicxr.domain import IMAGE_MODALITIES, Finding, Modality, Notes, UserError, View
from omnicxr.synthesis.dicom import Person, dicom_file
from omnicxr.synthesis.provenance import jpeg_file, provenance_of
from omnicxr.synthesis.shards import SPLIT

RECORD = "export.json"
TABLE = "studies.csv"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""A study_id that can be the name of a folder, and leads out of none."""
FIRST_ID = 90_000_000
"""MIMIC-CXR counts patients from 10 million and studies from 50 million: synthetic ones are never mistaken for them."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class SyntheticStudy:
    """One study of a synthetic data set, with the views that were generated."""

    index: int
    study_id: str
    subject_id: str
    report: str
    labels: dict[Finding, int | None]
    age: float | None
    sex: str | None
    notes: list[str]
    """Sentences: what was noticed about what it was generated from, and about its report."""
    views: dict[Modality, tuple[bytes, dict[str, Any]]]
    """PNG file and provenance."""
    size: int
    """Side of the pictures, pixels."""

    def pixels(self, view: Modality) -> np.ndarray:
        """uint8 [size, size]. Raises UserError for a picture that cannot be decoded."""
        return decode_picture(self.views[view][0], self.size, where=f"Synthetic study {self.study_id}, {view}")

    def jpeg(self, view: Modality) -> bytes:
        """The view as a JPEG file with its provenance. Raises as `pixels`."""
        return jpeg_file(self.pixels(view), self.views[view][1])

    def person(self) -> Person:
        """Whom the DICOM header names."""
        return Person(self.subject_id, self.age, self.sex)


@writes_out("*/*", "*.csv")
def export(data: Path, kind: str, out: Path, *, progress: Progress | None = None) -> int:
    """Write the studies of the synthetic data set `data` to `out` as `kind`, a name of FORMATS; returns their number.

    Pictures that were given and kept are left out. Raises UserError for a data set that `synthesize` did not write or
    that is damaged, an unknown kind, and a folder that holds another export or anything else.
    """
    if kind not in FORMATS:
        raise UserError(f"Unknown format '{kind}': choose from {', '.join(FORMATS)}.")
    if not (data / MANIFEST).is_file() or not (manifest := Manifest.read(data)).synthetic:
        raise UserError(
            f"{data} is not a finished synthetic data set: give the folder that `omnicxr synthesize` wrote."
        )
    _check(data, manifest)
    if not (out / RECORD).exists() and not is_empty(out):
        raise UserError(f"{out} is not empty: choose another folder.")
    claim(out / RECORD, {"format": kind, "manifest": sha256(data / MANIFEST)}, what="an export")

    def counted() -> Iterator[SyntheticStudy]:
        for done, study in enumerate(read_studies(data, manifest), 1):
            yield study
            if progress:
                progress(done, manifest.studies)

    FORMATS[kind](counted(), out)
    return manifest.studies


def _check(data: Path, manifest: Manifest) -> None:
    """Before anything is written: shards are whole, pictures say where they come from, and studies, which become
    folders and files, have names of their own that are no paths."""
    check_shards(data, manifest)
    seen: set[str] = set()
    for study in read_studies(data, manifest):
        name = study.study_id
        if not NAME.fullmatch(name):
            raise UserError(
                f"{data} has the study_id {name[:80]!r}, which cannot be the name of a folder: use up to 64 letters,"
                " digits, dashes, underscores and dots."
            )
        if name in seen:
            raise UserError(f"{data} has the study_id '{name}' twice: synthesize the studies again.")
        seen.add(name)


def read_studies(data: Path, manifest: Manifest) -> Iterator[SyntheticStudy]:
    """The studies of a data set in order, a few in memory at a time. Raises UserError for pictures whose provenance
    cannot be read."""
    index, size = 0, manifest.options["image_size"]
    for name in sorted(manifest.shards):
        for batch in pq.ParquetFile(data / name).iter_batches(batch_size=16):
            for row in batch.to_pylist():
                yield _study(index, row, shard=data / name, size=size)
                index += 1


def _study(index: int, row: dict[str, Any], *, shard: Path, size: int) -> SyntheticStudy:
    views = {}
    for m in IMAGE_MODALITIES:
        for picture in row[f"{m}s"][:1]:
            provenance = provenance_of(picture["bytes"], where=f"{shard}, study '{row['study_id']}', {m}")
            if provenance is not None:
                views[m] = picture["bytes"], provenance
    return SyntheticStudy(
        index=index,
        labels={f: row[column] for f, column in LABEL_COLUMNS.items()},
        views=views,
        notes=_sentences(row.get("notes"), where=f"{shard}, study '{row['study_id']}'"),
        size=size,
        **{name: row[name] for name in ("study_id", "subject_id", "report", "age", "sex")},
    )


def _sentences(notes: str | None, *, where: str) -> list[str]:
    """Of a cell of the column `notes`. Raises UserError for one that holds none."""
    try:
        return from_json(Notes, json.loads(notes)).sentences() if notes else []
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{where}: its notes are damaged ({error}): synthesize the studies again.") from error


def _as_files(
    studies: Iterator[SyntheticStudy], out: Path, *, suffix: str, encode: Callable[[SyntheticStudy, Modality], bytes]
) -> None:
    """OUT/STUDY_ID/frontal.SUFFIX, lateral.SUFFIX, report.txt and OUT/studies.csv, which `omnicxr prepare table`
    reads."""
    columns = (
        "study_id",
        "subject_id",
        *IMAGE_MODALITIES,
        "report",
        "age",
        "sex",
        "split",
        *Finding,
        "notes",
        "provenance",
    )
    with whole_file(out / TABLE) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        for study in studies:
            names = {m: f"{study.study_id}/{m}.{suffix}" for m in study.views}
            for m, name in names.items():
                write_once(out / name, encode(study, m))
            if study.report:
                write_text(out / study.study_id / "report.txt", study.report + "\n")
            provenance = next(iter(study.views.values()))[1] if study.views else {}
            writer.writerow(
                {
                    "study_id": study.study_id,
                    "subject_id": study.subject_id,
                    **names,
                    "report": study.report,
                    "age": study.age,
                    "sex": study.sex,
                    "split": SPLIT,
                    **study.labels,
                    "notes": " ".join(study.notes),
                    "provenance": json.dumps(provenance, sort_keys=True),
                }
            )


def _png(studies: Iterator[SyntheticStudy], out: Path) -> None:
    _as_files(studies, out, suffix="png", encode=lambda study, m: study.views[m][0])


def _jpeg(studies: Iterator[SyntheticStudy], out: Path) -> None:
    _as_files(studies, out, suffix="jpg", encode=SyntheticStudy.jpeg)


def _dicom(studies: Iterator[SyntheticStudy], out: Path) -> None:
    def encode(study: SyntheticStudy, m: Modality) -> bytes:
        about = {"study": study.study_id, "person": study.person(), "notes": study.notes}
        about |= {"provenance": study.views[m][1]}
        return dicom_file(study.pixels(m), m, **about)

    _as_files(studies, out, suffix="dcm", encode=encode)


def _chexgenbench(studies: Iterator[SyntheticStudy], out: Path) -> None:
    """Frontal views and their prompts."""
    shown = (s for s in studies if Modality.FRONTAL in s.views)
    write_chexgenbench(out, ((s.views[Modality.FRONTAL][0], s.report, s.study_id) for s in shown))


def _mimic_cxr_jpg(studies: Iterator[SyntheticStudy], out: Path) -> None:
    """Identifiers are numbers there: studies are counted from FIRST_ID, patients by their first study."""
    patients: dict[str, int] = {}
    with mimic_tables(out) as tables:
        for study in studies:
            number = FIRST_ID + study.index
            subject = patients.setdefault(study.subject_id, number)
            folder, pictures = study_folder(out, subject, number), []
            for m in study.views:
                view = View.LATERAL if m is Modality.LATERAL else ""
                picture = Picture(dicom_id(number, m), view, study.size)
                write_once(folder / f"{picture.dicom_id}.jpg", study.jpeg(m))
                pictures.append(picture)
            if study.report:
                write_once(folder.with_suffix(".txt"), f"IMPRESSION:\n\n{study.report}\n".encode())
            tables.add(subject, number, pictures, labels=study.labels, split=SPLIT, age=study.age, sex=study.sex)


FORMATS: dict[str, Callable[[Iterator[SyntheticStudy], Path], None]] = {
    "png": _png,
    "jpeg": _jpeg,
    "dicom": _dicom,
    "mimic-cxr-jpg": _mimic_cxr_jpg,
    "chexgenbench": _chexgenbench,
}
"""Names on the command line => writers."""
