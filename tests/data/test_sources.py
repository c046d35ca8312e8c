"""Every source on files in the exact layout of its data set."""

import csv
import gzip
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from omnicxr.data.sources import open_source
from omnicxr.domain import Finding, LabelState, Study, UserError
from tests.data.test_dicom import write_dicom

P, N, U = LabelState.POSITIVE, LabelState.NEGATIVE, LabelState.UNCERTAIN


def table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = list(dict.fromkeys(c for row in rows for c in row))
    lines = [columns, *([row.get(c, "") for c in columns] for row in rows)]
    with gzip.open(path, "wt", newline="") if path.suffix == ".gz" else path.open("w", newline="") as file:
        csv.writer(file).writerows(lines)


def picture(path: Path, *, size: tuple[int, int] = (40, 50)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, 90).save(path)


def read(kind: str, where: Path | str, **columns: str) -> tuple[list[Study], dict[str, int], dict[str, int]]:
    source = open_source(kind, str(where), columns)
    return list(source.studies()), dict(source.dropped), dict(source.images_left_out)


def views(study: Study) -> list[str]:
    return [str(ref.view) for ref in study.images]


# MIMIC-CXR


def mimic(root: Path, suffix: str = ".jpg") -> None:
    rows = [
        ("a", "10000001", "50000001", "PA"),
        ("b", "10000001", "50000001", "LATERAL"),
        ("c", "10000002", "50000002", "AP"),
        ("d", "10000002", "50000002", "SWIMMERS"),
        ("e", "10000002", "50000002", ""),
    ]
    table(
        root / "mimic-cxr-2.0.0-metadata.csv.gz",
        [
            {"dicom_id": d, "subject_id": p, "study_id": s, "ViewPosition": v, "Rows": 50, "Columns": 40}
            for d, p, s, v in reversed(rows)
        ],
    )
    table(
        root / "mimic-cxr-2.0.0-split.csv.gz",
        [
            {"dicom_id": d, "study_id": s, "subject_id": p, "split": "train" if p.endswith("1") else "test"}
            for d, p, s, _ in rows
        ],
    )
    table(
        root / "mimic-cxr-2.0.0-chexpert.csv.gz",
        [
            {
                "subject_id": "10000001",
                "study_id": "50000001",
                **dict.fromkeys(Finding, ""),
                "Edema": "-1.0",
                "Fracture": "1.0",
            },
            {
                "subject_id": "10000002",
                "study_id": "50000002",
                **dict.fromkeys(Finding, ""),
                "No Finding": "1.0",
                "Edema": "0.0",
            },
        ],
    )
    for d, p, s, _ in rows:
        if suffix == ".jpg":
            picture(root / "files" / f"p{p[:2]}" / f"p{p}" / f"s{s}" / f"{d}.jpg")
    text = root / "files/p10/p10000001/s50000001.txt"
    text.parent.mkdir(parents=True, exist_ok=True)
    text.write_text(" FINDINGS:  Edema.\n\n IMPRESSION:  Mild edema.\n")


def test_mimic_cxr_jpg(tmp_path: Path) -> None:
    mimic(tmp_path)
    (first, second), dropped, left_out = read("mimic-cxr-jpg", tmp_path)
    assert (first.subject_id, first.study_id, first.split, views(first)) == (
        "10000001",
        "50000001",
        "train",
        ["PA", "LATERAL"],
    )
    assert first.sections["impression"] == "Mild edema."
    assert (first.labels[Finding.EDEMA], first.labels[Finding.FRACTURE], first.labels[Finding.PNEUMONIA]) == (
        U,
        P,
        None,
    )
    assert views(second) == ["AP", "None"]
    assert second.sections == {}
    assert dropped == {}
    assert left_out == {"view SWIMMERS": 1}


def test_mimic_cxr_dicom_without_the_tables_of_the_jpeg_release(tmp_path: Path) -> None:
    folder = tmp_path / "files/p10/p10000001/s50000001"
    folder.mkdir(parents=True)
    write_dicom(folder / "a.dcm", np.zeros((40, 40), np.uint16))
    table(
        tmp_path / "cxr-record-list.csv.gz",
        [
            {
                "subject_id": "10000001",
                "study_id": "50000001",
                "dicom_id": "a",
                "path": "files/p10/p10000001/s50000001/a.dcm",
            }
        ],
    )
    (study,), _, _ = read("mimic-cxr", tmp_path)
    assert (study.split, dict(study.labels), views(study)) == ("", {}, ["None"])


def test_split_that_is_missing_for_a_picture(tmp_path: Path) -> None:
    mimic(tmp_path)
    table(
        tmp_path / "mimic-cxr-2.0.0-split.csv.gz",
        [{"dicom_id": d, "split": s} for d, s in zip("abcd", ["train", "test", "test", "test"], strict=True)],
    )
    studies, dropped, _ = read("mimic-cxr-jpg", tmp_path)
    assert studies == []
    assert dropped == {"no split, or several splits": 2}


# Open-I


def test_openi_tables(tmp_path: Path) -> None:
    table(
        tmp_path / "indiana_reports.csv",
        [
            {
                "uid": "1",
                "MeSH": "Pneumonia",
                "Problems": "Pneumonia",
                "image": "x",
                "indication": "XXXX",
                "comparison": "None.",
                "findings": "Clear.",
                "impression": "Normal chest x-XXXX.",
            },
            {"uid": "2", "findings": "", "impression": ""},
            {"uid": "1", "findings": "Again.", "impression": ""},
        ],
    )
    table(
        tmp_path / "indiana_projections.csv",
        [
            {"uid": "1", "filename": "1_b.png", "projection": "Lateral"},
            {"uid": "1", "filename": "1_a.png", "projection": "Frontal"},
            {"uid": "2", "filename": "2_a.png", "projection": "Frontal"},
            {"uid": "2", "filename": "2_b.png", "projection": "Oblique"},
            {"uid": "9", "filename": "9.png", "projection": "Frontal"},
        ],
    )
    for name in ("1_a", "1_b"):
        picture(tmp_path / f"images/images_normalized/{name}.png")
    (first, second), dropped, left_out = read("openi", tmp_path)
    assert views(first) == ["FRONTAL", "LATERAL"]
    assert dict(first.sections) == {"comparison": "None.", "findings": "Clear.", "impression": "Normal chest x-ray."}
    assert dict(first.labels) == {}
    assert (second.images, dict(second.sections)) == ((), {})
    assert dropped == {"identifier twice": 1}
    assert left_out == {"file missing": 1, "report missing": 1, "view Oblique": 1}


XML = """<?xml version="1.0" encoding="utf-8"?>
<eCitation><uId id="CXR{n}"/><MedlineCitation><Article><Abstract>
<AbstractText Label="COMPARISON">None.</AbstractText><AbstractText Label="INDICATION"/>
<AbstractText Label="FINDINGS">{findings}</AbstractText><AbstractText Label="IMPRESSION">Normal.</AbstractText>
</Abstract></Article></MedlineCitation><parentImage id="CXR{n}_1"><figureId>F1</figureId></parentImage></eCitation>"""


def test_openi_xml(tmp_path: Path) -> None:
    folder = tmp_path / "ecgen-radiology"
    folder.mkdir()
    (folder / "10.xml").write_text(XML.format(n=10, findings="Heart &lt; 50 %."))
    (folder / "9.xml").write_text(XML.format(n=9, findings=""))
    (folder / "11.xml").write_text("<eCitation><uId")
    picture(tmp_path / "NLMCXR_png/CXR9_1.png")
    (nine, ten), dropped, left_out = read("openi", tmp_path)
    assert (nine.study_id, ten.study_id, views(nine)) == ("9", "10", ["None"])
    assert dict(ten.sections) == {"comparison": "None.", "findings": "Heart < 50 %.", "impression": "Normal."}
    assert (dropped, left_out) == ({"report file damaged": 1}, {"file missing": 1})


# CheXpert


def test_chexpert(tmp_path: Path) -> None:
    rows = [
        {
            "Path": f"CheXpert-v1.0-small/train/patient0000{p}/study1/view{v}.jpg",
            "Sex": "Female",
            "Age": 68,
            "Frontal/Lateral": fl,
            "AP/PA": ap,
            **dict.fromkeys(Finding, ""),
            "Pleural Effusion": "1.0",
            "Edema": "-1.0",
            "Fracture": "0.0",
        }
        for p, v, fl, ap in (
            (1, "1_frontal", "Frontal", "AP"),
            (1, "2_lateral", "Lateral", ""),
            (2, "1_frontal", "Frontal", "PA"),
        )
    ]
    table(tmp_path / "train.csv", rows)
    table(tmp_path / "valid.csv", [{**rows[0], "Path": "CheXpert-v1.0-small/valid/patient6/study1/view1_frontal.jpg"}])
    for row in rows:
        picture(tmp_path / str(row["Path"]).partition("/")[2])
    studies, _, left_out = read("chexpert", tmp_path)
    assert [s.study_id for s in studies] == ["patient00001/study1", "patient00002/study1", "patient6/study1"]
    assert [s.split for s in studies] == ["train", "train", "validate"]
    assert views(studies[0]) == ["AP", "LATERAL"]
    assert (
        studies[0].labels[Finding.PLEURAL_EFFUSION],
        studies[0].labels[Finding.EDEMA],
        studies[0].labels[Finding.FRACTURE],
    ) == (P, U, N)
    assert (studies[0].age, studies[0].sex) == (68.0, "F")
    assert left_out == {"file missing": 1}


def test_chexpert_plus(tmp_path: Path) -> None:
    table(
        tmp_path / "df_chexpert_plus_240401.csv",
        [
            {
                "path_to_image": f"train/patient1/study1/view{v}.jpg",
                "path_to_dcm": "",
                "frontal_lateral": fl,
                "ap_pa": ap,
                "deid_patient_id": "patient1",
                "patient_report_date_order": 1,
                "report": "",
                "section_findings": "Clear\nlungs.",
                "section_impression": "Normal.",
                "age": "54.0",
                "sex": "Male",
                "race": "",
                "split": "valid",
            }
            for v, fl, ap in (("1_frontal", "Frontal", "PA"), ("2_lateral", "Lateral", ""))
        ],
    )
    picture(tmp_path / "PNG/train/patient1/study1/view1_frontal.png")
    picture(tmp_path / "train/patient1/study1/view2_lateral.jpg")
    (study,), _, _ = read("chexpert-plus", tmp_path)
    assert (study.study_id, study.split, views(study), study.age, study.sex) == (
        "patient1/1",
        "validate",
        ["PA", "LATERAL"],
        54.0,
        "M",
    )
    assert (study.sections["findings"], study.sections["impression"]) == ("Clear lungs.", "Normal.")


# PadChest


def test_padchest(tmp_path: Path) -> None:
    common = {
        "StudyID": "s1",
        "PatientID": "p1",
        "StudyDate_DICOM": "20140915",
        "PatientBirth": "1930.0",
        "PatientSex_DICOM": "M",
        "ImageDir": "0",
        "Report": "cardiomegalia . derrame pleural .",
    }
    table(
        tmp_path / "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv",
        [
            {"ImageID": "a.png", "Projection": "PA", "Labels": "['cardiomegaly', 'pleural effusion']", **common},
            {"ImageID": "b.png", "Projection": "L", "Labels": "['cardiomegaly', ' nodule']", **common},
            {"ImageID": "c.png", "Projection": "COSTAL", "Labels": "[]", **common},
            {
                "ImageID": "d.png",
                "Projection": "AP_horizontal",
                "Labels": "nan[",
                **common,
                "StudyID": "s2",
                "PatientBirth": "",
            },
        ],
    )
    picture(tmp_path / "0/a.png")
    picture(tmp_path / "b.png")
    picture(tmp_path / "d.png")
    (first, second), _, left_out = read("padchest", tmp_path)
    assert (views(first), first.age, first.sex, first.sections["findings"]) == (
        ["PA", "LATERAL"],
        84.0,
        "M",
        "cardiomegalia . derrame pleural .",
    )
    labels = first.labels
    assert (
        labels[Finding.CARDIOMEGALY],
        labels[Finding.LUNG_LESION],
        labels[Finding.EDEMA],
        labels[Finding.NO_FINDING],
    ) == (P, P, N, N)
    assert (views(second), second.age, dict(second.labels)) == (["AP"], None, {})
    assert {first.language, second.language} == {"es"}
    assert left_out == {"view COSTAL": 1}


# NIH


@pytest.mark.parametrize("gender", ["Patient Gender", "Patient Sex"])
def test_nih(tmp_path: Path, gender: str) -> None:
    table(
        tmp_path / "Data_Entry_2017_v2020.csv",
        [
            {
                "Image Index": f"0000000{p}_000.png",
                "Finding Labels": labels,
                "Follow-up #": 0,
                "Patient ID": p,
                "Patient Age": "063Y",
                gender: "F",
                "View Position": "PA",
            }
            for p, labels in ((1, "Effusion|Mass|Hernia"), (2, "No Finding"), (2, "No Finding"), (3, "Edema"))
        ],
    )
    (tmp_path / "test_list.txt").write_text("00000002_000.png\n")
    picture(tmp_path / "images_001/images/00000001_000.png")
    picture(tmp_path / "images_002/images/00000002_000.png")
    (first, second, third), dropped, left_out = read("nih", tmp_path)
    assert (first.subject_id, views(first), first.age, first.sex) == ("1", ["PA"], 63.0, "F")
    assert second.split == "test"
    assert first.split in ("train", "validate")
    labels = first.labels
    assert (
        labels[Finding.PLEURAL_EFFUSION],
        labels[Finding.LUNG_LESION],
        labels[Finding.EDEMA],
        labels[Finding.FRACTURE],
    ) == (P, P, N, None)
    assert second.labels[Finding.NO_FINDING] is P
    assert third.images == ()
    assert (dropped, left_out) == ({"identifier twice": 1}, {"file missing": 1})


# Any table, and several together


def test_table_with_one_study_per_row(tmp_path: Path) -> None:
    table(
        tmp_path / "mine.csv",
        [{"f": "a.png", "l": "b.png", "txt": "FINDINGS: Clear.\n\nIMPRESSION: Normal.", "fold": "val", "Edema": 0}],
    )
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png")
    (study,), _, _ = read("table", tmp_path / "mine.csv", frontal="f", lateral="l", report="txt", split="fold")
    assert (views(study), study.split, study.sections["impression"], study.labels[Finding.EDEMA]) == (
        ["FRONTAL", "LATERAL"],
        "validate",
        "Normal.",
        N,
    )


def test_table_with_one_picture_per_row(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [
        {"pid": 7, "sid": 1, "file": "a.png", "v": "PA"},
        {"pid": 7, "sid": 1, "file": "b.png", "v": None},
        {"pid": 8, "sid": 2, "file": "../c.png", "v": "LL"},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "mine.parquet")
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png")
    (first, second), _, left_out = read(
        "table", tmp_path / "mine.parquet", patient="pid", study="sid", image="file", view="v"
    )
    assert (first.subject_id, views(first), second.images) == ("7", ["PA", "None"], ())
    assert left_out == {"path leaves the data folder (link what lies outside into it)": 1}


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"frontl": "f"}, "Unknown column role 'frontl'"),
        ({"patient": "p"}, "at least one of"),
        ({"frontal": "nothere"}, "lacks the column 'nothere'"),
    ],
)
def test_wrong_mapping(tmp_path: Path, columns: dict[str, str], said: str) -> None:
    table(tmp_path / "mine.csv", [{"f": "a.png", "p": "1"}])
    with pytest.raises(UserError, match=said):
        read("table", tmp_path / "mine.csv", **columns)


def test_mix_names_the_source_of_each_study(tmp_path: Path) -> None:
    mimic(tmp_path / "m")
    table(
        tmp_path / "n/metadata.csv",
        [{"image": "x.png", "finding_labels": "Edema", "patient_id": "1", "age": "50", "sex": "M", "view": "AP"}],
    )
    picture(tmp_path / "n/x.png")
    studies, _, left_out = read("mix", f"mimic-cxr-jpg={tmp_path / 'm'},nih={tmp_path / 'n'}")
    assert [s.source for s in studies] == ["mimic-cxr-jpg", "mimic-cxr-jpg", "nih"]
    assert left_out == {"view SWIMMERS": 1}


@pytest.mark.parametrize(
    ("kind", "where", "said"),
    [("mix", "nih", "no mixture"), ("nih", "nowhere", "No such data folder"), ("other", ".", "Unknown data set")],
)
def test_places_that_are_not_there(kind: str, where: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        read(kind, where)


@pytest.mark.parametrize(
    "kind", ["mimic-cxr-jpg", "mimic-cxr", "openi", "chexpert", "chexpert-plus", "padchest", "nih"]
)
def test_a_folder_of_something_else(tmp_path: Path, kind: str) -> None:
    with pytest.raises(UserError, match="point at the folder"):
        read(kind, tmp_path)


# Bad files


def test_links_that_the_user_made_are_followed(tmp_path: Path) -> None:
    """`files` on another disk is the usual case."""
    mimic(tmp_path / "disk")
    root = tmp_path / "root"
    root.mkdir()
    for path in (tmp_path / "disk").iterdir():
        (root / path.name).symlink_to(path)
    (first, second), _, left_out = read("mimic-cxr-jpg", root)
    assert (views(first), views(second), left_out) == (["PA", "LATERAL"], ["AP", "None"], {"view SWIMMERS": 1})
    assert first.sections["impression"] == "Mild edema."


def test_a_folder_that_was_unpacked_otherwise(tmp_path: Path) -> None:
    """Tables unzipped, file names in capitals, the reports' archive in a folder of its own, numbers from a notebook."""
    mimic(tmp_path)
    for path in tmp_path.glob("*.csv.gz"):
        text = gzip.decompress(path.read_bytes()).decode().replace("50000001", "50000001.0")
        path.with_suffix("").write_text(text)
        path.unlink()
    for path in [*tmp_path.rglob("*.jpg"), *tmp_path.rglob("*.txt")]:
        path.rename(path.with_suffix(path.suffix.upper()))
    report = tmp_path / "files/p10/p10000001/s50000001.TXT"
    other = tmp_path / "mimic-cxr-reports" / report.relative_to(tmp_path)
    other.parent.mkdir(parents=True)
    report.rename(other)
    (first, second), dropped, left_out = read("mimic-cxr-jpg", tmp_path)
    assert (first.study_id, views(first), views(second)) == ("50000001", ["PA", "LATERAL"], ["AP", "None"])
    assert (first.labels[Finding.EDEMA], first.sections["impression"]) == (U, "Mild edema.")
    assert (dropped, left_out) == ({}, {"view SWIMMERS": 1})


def test_files_that_never_end_are_not_opened(tmp_path: Path) -> None:
    mimic(tmp_path)
    for name in ("s50000001.txt", "s50000001/a.jpg"):
        path = tmp_path / "files/p10/p10000001" / name
        path.unlink()
        os.mkfifo(path)
    (first, _), _, left_out = read("mimic-cxr-jpg", tmp_path)
    assert (views(first), dict(first.sections), left_out["file missing"]) == (["LATERAL"], {}, 1)


def test_rows_of_a_chexpert_study_need_not_stand_together(tmp_path: Path) -> None:
    rows = [
        {
            "Path": f"CheXpert-v1.0/train/patient{p}/study1/view{v}_frontal.jpg",
            "Sex": "Male",
            "Age": 50,
            "Frontal/Lateral": "Frontal",
            "AP/PA": "PA",
            **dict.fromkeys(Finding, ""),
        }
        for p, v in ((1, 1), (2, 1), (1, 2))
    ]
    table(tmp_path / "train.csv", rows)
    for row in rows:
        picture(tmp_path / str(row["Path"]).partition("/")[2])
    studies, _, _ = read("chexpert", tmp_path)
    assert [(s.subject_id, len(s.images)) for s in studies] == [("patient2", 1), ("patient1", 2)]


def test_text_in_another_encoding(tmp_path: Path) -> None:
    mimic(tmp_path)
    (tmp_path / "files/p10/p10000001/s50000001.txt").write_bytes(" IMPRESSION:  Größe normal.\n".encode("cp1252"))
    (first, _), _, _ = read("mimic-cxr-jpg", tmp_path)
    assert first.sections["impression"] == "Größe normal."
