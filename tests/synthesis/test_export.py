"""Exports read back: by the project's own sources, by Pillow, by pydicom, and checked by dciodvfy where it is
installed."""

import csv
import io
import json
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pydicom
import pytest
from PIL import Image

from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.files import sha256
from omnicxr.data.manifest import Manifest
from omnicxr.data.prepare import PrepareConfig, prepare
from omnicxr.domain import Finding, Modality, Task, UserError
from omnicxr.models.folder import model_hash
from omnicxr.synthesis.dicom import Person, dicom_file
from omnicxr.synthesis.export import FIRST_ID, FORMATS, export
from omnicxr.synthesis.prompts import Wish
from omnicxr.synthesis.provenance import jpeg_file, png_file, provenance_of, shortened
from omnicxr.synthesis.synthesize import SynthesisConfig, synthesize

NUM = 6
COLUMNS = {
    "study": "study_id",
    "patient": "subject_id",
    "frontal": "frontal",
    "lateral": "lateral",
    "report": "report",
    "split": "split",
    "age": "age",
    "sex": "sex",
}
RDF, IPTC = "http://www.w3.org/1999/02/22-rdf-syntax-ns#", "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
PROVENANCE = {
    "generator": "omnicxr 1",
    "model_hash": "a" * 64,
    "task": "report->frontal",
    "seed": 3,
    "item": 5,
    "prompt_hash": None,
    "tries": 1,
}


@pytest.fixture(scope="module")
def synthetic(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("synthetic")
    task = Task.parse("report->frontal+lateral")
    synthesize(SynthesisConfig(task=task, wish=Wish(num=NUM, samples=2), steps=1, shard_size=4), model_folder, out)
    return out


@pytest.fixture(scope="module")
def data(synthetic: Path) -> PreparedDataset:
    return PreparedDataset(synthetic, "train")


@pytest.mark.parametrize("kind", FORMATS)
def test_interrupted_export_goes_on(
    synthetic: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert export(synthetic, kind, whole) == NUM

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(synthetic, kind, broken, progress=stop)
    assert not [p for p in broken.rglob("*") if p.suffix in (".csv", ".gz", ".part")], "tables come last"
    export(synthetic, kind, broken)
    assert content(broken) == content(whole)
    assert len(content(whole)) > NUM


def content(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("kind", ["png", "dicom"])
def test_prepared_again_has_the_same_pixels(synthetic: Path, data: PreparedDataset, tmp_path: Path, kind: str) -> None:
    export(synthetic, kind, tmp_path / "out")
    prepare(
        PrepareConfig(kind="table", image_size=64, columns=COLUMNS),
        tmp_path / "out" / "studies.csv",
        tmp_path / "again",
    )
    again = PreparedDataset(tmp_path / "again", "train")
    assert again.table.column("study_id").to_pylist() == data.table.column("study_id").to_pylist()
    assert again.table.column("subject_id").to_pylist() == data.table.column("subject_id").to_pylist()
    assert np.array_equal(again.labels, data.labels, equal_nan=True)
    for m in (Modality.FRONTAL, Modality.LATERAL):
        assert (again.images(m) == data.images(m)).all()


def test_mimic_layout_is_read_by_its_source(synthetic: Path, data: PreparedDataset, tmp_path: Path) -> None:
    export(synthetic, "mimic-cxr-jpg", tmp_path / "out")
    prepare(PrepareConfig(kind="mimic-cxr-jpg", image_size=64), tmp_path / "out", tmp_path / "again")
    again = PreparedDataset(tmp_path / "again", "train")
    assert again.available.all()
    assert again.table.column("study_id").to_pylist() == [str(FIRST_ID + i) for i in range(NUM)]
    assert [s for s in again.table.column("subject_id").to_pylist()] == [str(FIRST_ID + i // 2 * 2) for i in range(NUM)]
    assert np.array_equal(again.labels, data.labels, equal_nan=True)
    assert np.abs(again.images(Modality.LATERAL).astype(int) - data.images(Modality.LATERAL)).mean() < 2


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_provenance_as_xmp(synthetic: Path, tmp_path: Path, model_folder: Path, kind: str) -> None:
    export(synthetic, kind, tmp_path)
    pictures = [p for p in tmp_path.rglob("*") if p.suffix in (".png", ".jpg")]
    assert len(pictures) == 2 * NUM
    for path in pictures:
        with Image.open(path) as picture:
            described = ElementTree.fromstring(picture.info["xmp"]).find(f".//{{{RDF}}}Description")
        assert described is not None
        assert described.attrib[f"{{{IPTC}}}DigitalSourceType"].endswith("/trainedAlgorithmicMedia")
        assert json.loads("".join(described.itertext()))["model_hash"] == model_hash(model_folder)


def test_table_of_pictures(synthetic: Path, data: PreparedDataset, tmp_path: Path) -> None:
    export(synthetic, "png", tmp_path)
    rows = list(csv.DictReader((tmp_path / "studies.csv").open(encoding="utf-8", newline="")))
    assert [r["report"] for r in rows] == data.reports
    assert [json.loads(r["provenance"])["item"] for r in rows] == list(range(NUM))
    for row, labels in zip(rows, data.labels, strict=True):
        assert [row[f] for f in Finding] == ["" if np.isnan(v) else str(int(v)) for v in labels]


def test_dicom_study(synthetic: Path, data: PreparedDataset, tmp_path: Path) -> None:
    """Two views of a study share study and series, studies share nothing, and nothing names a person."""
    export(synthetic, "dicom", tmp_path)
    studies = [
        [pydicom.dcmread(p) for p in sorted(folder.glob("*.dcm"))]
        for folder in sorted(tmp_path.iterdir())
        if folder.is_dir()
    ]
    assert len(studies) == NUM
    assert len({d.SOPInstanceUID for pair in studies for d in pair}) == 2 * NUM
    assert (
        len({d.StudyInstanceUID for pair in studies for d in pair})
        == len({d.SeriesInstanceUID for pair in studies for d in pair})
        == NUM
    )
    for i, (frontal, lateral) in enumerate(studies):
        assert frontal["SyntheticData"].value == lateral["SyntheticData"].value == "YES"
        assert frontal.StudyInstanceUID == lateral.StudyInstanceUID
        assert frontal.PatientID == data.table.column("subject_id")[i].as_py()
        assert not frontal.PatientBirthDate and not frontal.StudyDate and not frontal.ReferringPhysicianName
        assert f'"item": {i}' in frontal.DerivationDescription
        assert (frontal.pixel_array == data.image(i, Modality.FRONTAL)).all()
        assert lateral.ViewPosition == "LL"


LONG = "It looks upside down: turn it. " * 400


def picture(size: int) -> np.ndarray:
    return np.random.default_rng(size).integers(10, 200, (size, size)).astype(np.uint8)


@pytest.mark.parametrize("view", [Modality.FRONTAL, Modality.LATERAL])
def test_dicom_passes_a_validator(tmp_path: Path, view: Modality) -> None:
    if not (validator := shutil.which("dciodvfy")):
        pytest.skip("dciodvfy is not installed (package dicom3tools)")
    for person in (Person("syn-1", 47.4, "F"), Person("syn-2", None, None)):
        path = tmp_path / "a.dcm"
        about = {"study": "syn000000001", "person": person, "provenance": PROVENANCE, "notes": [LONG, "x\n\ty\0ü"]}
        path.write_bytes(dicom_file(picture(33), view, **about))
        said = subprocess.run([validator, "-new", path], capture_output=True, text=True, check=False).stderr
        errors = [line for line in said.splitlines() if line.startswith("Error") and "(0008,001c)" not in line.lower()]
        assert "DXImageForPresentation" in said
        assert not errors, (
            "Synthetic Data (0008,001C) is younger than some versions of the validator; nothing else may be wrong"
        )


@pytest.mark.parametrize(
    ("notes", "comments"),
    [
        ([], None),
        (["Cut.", 'Understood as: "x".'], 'Cut. Understood as: "x".'),
        (["a\0b\n\tc\x7f\x85d\u2028e\ud800 \\ ü"], "a b c d e \\ ü"),
        (["\0 \n"], None),
        (["x" * 10_240], "x" * 10_240),
        (["x" * 9_000, "y" * 9_000], "x" * 9_000 + " " + "y" * 1_236 + "..."),
    ],
)
@pytest.mark.filterwarnings("error")
def test_notes_are_image_comments(notes: list[str], comments: str | None) -> None:
    about = {"person": Person("syn-1", 30, "M"), "provenance": PROVENANCE | {"notes": [LONG]}, "notes": notes}
    found = pydicom.dcmread(io.BytesIO(dicom_file(picture(32), Modality.FRONTAL, study="syn000000001", **about)))
    assert found.get("ImageComments") == comments
    assert len(found.DerivationDescription) <= 1024


@pytest.mark.parametrize(
    ("sentences", "kept"),
    [
        ([], []),
        (["ab", "cdef"], ["ab", "cdef"]),
        (["abcdefghi", "j"], ["abcdefghi", "j"]),
        (["abcdefghijk"], ["abcdefg..."]),
        (["abcdef", "ghijkl"], ["abcdef", "g..."]),
        (["abcdefgh", "ijk"], ["abcdefgh"]),
    ],
)
def test_notes_in_pictures_are_short(sentences: list[str], kept: list[str]) -> None:
    assert shortened(sentences, 10) == kept


def test_pictures_hold_the_longest_notes() -> None:
    """JPEG files end their comments at 64 KiB."""
    about = PROVENANCE | {"notes": shortened(["\U0001fac1" * 5000])}
    assert provenance_of(png_file(Image.fromarray(picture(32)), about)) == about
    with Image.open(io.BytesIO(jpeg_file(picture(32), about))) as found:
        assert json.loads(found.info["comment"]) == about


def test_dicom_bytes_depend_on_the_arguments_alone() -> None:
    def file(seed: int) -> bytes:
        person = Person("syn-1", 30, "M")
        provenance = PROVENANCE | {"seed": seed}
        return dicom_file(picture(32), Modality.FRONTAL, study="syn000000001", person=person, provenance=provenance)

    assert file(3) == file(3)
    uids = {pydicom.dcmread(io.BytesIO(file(seed))).SOPInstanceUID for seed in range(3)}
    assert len(uids) == 3


def test_what_cannot_be_exported(synthetic: Path, prepared: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Unknown format 'tiff'"):
        export(synthetic, "tiff", tmp_path / "a")
    with pytest.raises(UserError, match="not a finished synthetic data set"):
        export(prepared, "png", tmp_path / "a")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "mine.txt").write_text("x")
    with pytest.raises(UserError, match="is not empty"):
        export(synthetic, "png", tmp_path / "a")
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["mine.txt"]
    export(synthetic, "png", tmp_path / "b")
    with pytest.raises(UserError, match="holds an export with another format"):
        export(synthetic, "dicom", tmp_path / "b")


def changed(synthetic: Path, out: Path, column: str, value: Any) -> Path:
    """A copy with another value in the first row."""
    shutil.copytree(synthetic, out)
    shard = sorted(out.glob("*.parquet"))[0]
    table = pq.read_table(shard)
    rows = table.to_pylist()
    rows[0][column] = value
    pq.write_table(pa.Table.from_pylist(rows, table.schema), shard)
    manifest = Manifest.read(out)
    replace(manifest, shards=manifest.shards | {shard.name: sha256(shard)}).write(out)
    return out


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    ("study_id", "said"),
    [
        *(
            (name, "cannot be the name of a folder")
            for name in ("../../x", "/tmp/x", "a/b", "..", "", "a\0b", "x" * 300)
        ),
        ("syn000000001", "has the study_id 'syn000000001' twice"),
    ],
)
def test_names_that_are_paths(synthetic: Path, tmp_path: Path, kind: str, study_id: str, said: str) -> None:
    data = changed(synthetic, tmp_path / "in" / "data", "study_id", study_id)
    with pytest.raises(UserError, match=said):
        export(data, kind, tmp_path / "in" / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["in"]
    assert [p.name for p in (tmp_path / "in").iterdir()] == ["data"]


def test_damaged_data_sets_are_not_exported(synthetic: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(synthetic, tmp_path / "data"))
    shard = sorted(data.glob("*.parquet"))[-1]
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    for said in ("its hash is not the one in the manifest", "is missing: run the `omnicxr synthesize`"):
        with pytest.raises(UserError, match=said):
            export(data, "png", tmp_path / "out")
        shard.unlink(missing_ok=True)
    unsaid = {"bytes": png_file(Image.new("L", (64, 64)), {"generator": "x"}), "path": ""}
    with pytest.raises(UserError, match="does not say what it was generated by"):
        export(changed(synthetic, tmp_path / "unsaid", "frontals", [unsaid]), "png", tmp_path / "out")
    for notes in ("{}", "[", '{"prompt": 3}', "3"):
        with pytest.raises(UserError, match="'syn000000000': its notes are damaged"):
            export(changed(synthetic, tmp_path / f"notes{notes[-2:]}", "notes", notes), "png", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("person", "name", "age", "sex"),
    [
        (Person("syn-Ä1", 47.4, "F"), "syn-Ä1", "047Y", "F"),
        (Person("a\\b^c=d", 30, "M"), None, "030Y", "M"),
        (Person("x" * 200, 0.2, "unknown"), None, "000Y", ""),
        (Person("", float("nan"), None), None, None, ""),
        (Person("syn-1", float("inf"), "X"), "syn-1", None, ""),
        (Person("syn-1", -3, "O"), "syn-1", None, "O"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_what_a_dicom_header_cannot_hold(person: Person, name: str | None, age: str | None, sex: str) -> None:
    file = dicom_file(picture(32), Modality.FRONTAL, study="syn000000001", person=person, provenance=PROVENANCE)
    found = pydicom.dcmread(io.BytesIO(file))
    assert found.PatientID == name or (name is None and len(found.PatientID) == 16)
    assert found.PatientName == f"Synthetic^{found.PatientID}"
    assert (found.get("PatientAge"), found.PatientSex) == (age, sex)


@pytest.mark.slow
def test_given_pictures_are_not_exported(model_folder: Path, prepared: Path, tmp_path: Path) -> None:
    task = Task.parse("frontal->lateral")
    config = SynthesisConfig(task=task, wish=Wish(num=2), steps=1, data=prepared, split="test", keep_given=True)
    synthesize(config, model_folder, tmp_path / "synthetic")
    export(tmp_path / "synthetic", "png", tmp_path / "out")
    assert {p.name for p in (tmp_path / "out").rglob("*.png")} == {"lateral.png"}
