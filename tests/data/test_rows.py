"""Several pictures of a view: all are kept, evaluation takes the first, training draws."""

import csv
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.manifest import Manifest
from omnicxr.data.prepare import PrepareConfig, prepare
from omnicxr.data.views import predict_modality
from omnicxr.domain import Modality, View
from tests.data.test_images import write_dicom

ROWS = (
    ("p1", "a", "AP", 10),
    ("p1", "b", "PA", 20),
    ("p2", "c", "LL", 30),
    ("p1", "d", "FRONTAL", 40),
    ("p1", "e", "PA", 50),
    ("p1", "f", "LATERAL", 60),
    ("p3", "g", "AP", 70),
    ("p3", "h", "AP", 80),
)
"""Patient, file, view, grey."""
COLUMNS = {"patient": "pid", "study": "pid", "image": "file", "view": "view", "report": "text", "split": "fold"}


def film(grey: int = 128) -> np.ndarray:
    """uint8 [64, 64] with contrast, `grey` in the middle."""
    pixels = np.tile(np.linspace(0, 255, 64), (64, 1)).astype(np.uint8)
    pixels[28:36, 28:36] = grey
    return pixels


def write_table(path: Path, rows) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("pid", "file", "view", "text", "fold"), *rows])
    return path


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("several")
    for _, name, _, grey in ROWS:
        Image.fromarray(film(grey)).save(root / f"{name}.png")
    table = write_table(root / "t.csv", [(p, f"{name}.png", view, "Clear.", "train") for p, name, view, _ in ROWS])
    prepare(PrepareConfig(kind="table", image_size=64, columns=COLUMNS), table, root / "out")
    return root / "out"


def greys(pictures: np.ndarray) -> list[int]:
    return pictures[:, 32, 32].tolist()


def test_the_first_picture_is_pa_before_ap_before_others(several: Path) -> None:
    data = PreparedDataset(several, "train")
    rows = {row["subject_id"]: i for i, row in enumerate(data.table.to_pylist())}
    assert data.table.column("frontal_views")[rows["p1"]].as_py() == ["PA", "PA", "AP", "FRONTAL"]
    chosen = np.array([rows["p1"], rows["p3"]])
    assert greys(data.images(Modality.FRONTAL, chosen)) == [20, 70]
    assert greys(data.parts(chosen, (Modality.FRONTAL,))[Modality.FRONTAL]) == [20, 70]
    noticed = {k: n for k, n in Manifest.read(several).noticed.items() if k.startswith("studies with several")}
    assert [(k.split()[3], n) for k, n in noticed.items()] == [("frontal", 2)]


def test_every_picture_has_a_place_and_all_are_drawn(several: Path) -> None:
    data = PreparedDataset(several, "train")
    places = data.places(Modality.FRONTAL)
    assert len(set(places.tolist())) == len(places) == 6
    assert sorted(greys(data.images(Modality.FRONTAL, places))) == [10, 20, 40, 50, 70, 80]
    assert greys(data.images(Modality.LATERAL, data.places(Modality.LATERAL))) == [30, 60]
    rows, rng = data.having(Modality.FRONTAL), np.random.default_rng(1)
    names = data.table.column("subject_id").to_pylist()
    drawn = np.array([greys(data.parts(rows, (Modality.FRONTAL,), rng=rng)[Modality.FRONTAL]) for _ in range(60)])
    own = {"p1": {10, 20, 40, 50}, "p3": {70, 80}}
    for column, row in zip(drawn.T, rows, strict=True):
        assert set(column.tolist()) == own[names[row]]


def test_a_view_that_the_classifier_doubts_is_counted(tmp_path: Path) -> None:
    """Of two views in headers one is not used."""
    looks = predict_modality(Image.fromarray(film()))
    said = View.PA if looks is Modality.LATERAL else View.LL
    for name, view in (("a", str(said)), ("b", "SWIMMERS")):
        dataset = pydicom.dcmread(write_dicom(tmp_path / f"{name}.dcm", film().astype(np.uint16) * 16))
        dataset.ViewPosition = view
        dataset.save_as(tmp_path / f"{name}.dcm")
    table = write_table(tmp_path / "t.csv", [(n, f"{n}.dcm", "", "Clear.", "train") for n in "ab"])
    manifest = prepare(PrepareConfig(kind="table", image_size=64, columns=COLUMNS), table, tmp_path / "out")
    assert manifest.noticed == {f"view {said} of the header looks {looks} to the classifier (the header counts)": 1}
    assert (manifest.views, manifest.images_left_out) == ({said: 1}, {"view SWIMMERS": 1})


def test_reports_that_are_not_english_are_counted(tmp_path: Path) -> None:
    Image.fromarray(film()).save(tmp_path / "a.png")
    texts = ("Small left effusion.", "Derrame pleural izquierdo.")
    rows = [(f"p{i}", "a.png", "PA", text, "train") for i, text in enumerate(texts)]
    table = write_table(tmp_path / "t.csv", rows)
    manifest = prepare(PrepareConfig(kind="table", image_size=64, columns=COLUMNS), table, tmp_path / "out")
    assert manifest.noticed["reports that do not read as English (no labels from them)"] == 1
