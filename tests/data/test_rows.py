"""Several pictures of a view: all are kept, evaluation takes the first, training draws."""

import csv
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.images import load_image
from omnicxr.data.manifest import Manifest
from omnicxr.data.prepare import PrepareConfig, prepare
from omnicxr.data.selection import Selection
from omnicxr.data.sources import open_source
from omnicxr.data.views import what_is_wrong
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


@pytest.fixture(scope="module")
def views(simulated: Path) -> dict[Modality, np.ndarray]:
    """A simulated picture of each view, uint8 [64, 64], that the classifier is sure about."""
    refs = [ref for study in open_source("mimic-cxr-jpg", str(simulated)).studies() for ref in study.images]
    pictures = {(ref.view or View.PA).modality: np.asarray(load_image(ref.path, 64)) for ref in refs[:8]}
    assert not any(what_is_wrong(picture, m) for m, picture in pictures.items())
    return pictures


def noticed_of(folder: Path, pictures: dict[str, np.ndarray], views: dict[str, str]) -> Manifest:
    """The manifest of DICOM files whose header says `views`, and the table nothing."""
    for name, pixels in pictures.items():
        dataset = pydicom.dcmread(write_dicom(folder / f"{name}.dcm", pixels.astype(np.uint16) * 16))
        dataset.ViewPosition = views[name]
        dataset.save_as(folder / f"{name}.dcm")
    rows = [(name, f"{name}.dcm", "", "Clear.", "train") for name in pictures]
    table = write_table(folder / "t.csv", rows)
    return prepare(PrepareConfig(kind="table", image_size=64, columns=COLUMNS), table, folder / "out")


def test_a_view_that_the_classifier_doubts_is_counted(views: dict[Modality, np.ndarray], tmp_path: Path) -> None:
    """Of three views in headers one is not used, and one is right."""
    lateral = views[Modality.LATERAL]
    manifest = noticed_of(tmp_path, {"a": lateral, "b": lateral, "c": lateral}, {"a": "PA", "b": "SWIMMERS", "c": "LL"})
    doubted = {k: n for k, n in manifest.noticed.items() if not k.startswith("lateral pictures")}
    assert doubted == {"view PA of the header looks lateral to the classifier (the header counts)": 1}
    assert (manifest.views, manifest.images_left_out) == ({"PA": 1, "LL": 1}, {"view SWIMMERS": 1})


def test_turned_and_inverted_pictures_are_counted_and_kept(views: dict[Modality, np.ndarray], tmp_path: Path) -> None:
    frontal = views[Modality.FRONTAL]
    pictures = {"a": frontal, "b": np.rot90(frontal, 2), "c": 255 - frontal}
    manifest = noticed_of(tmp_path, pictures, dict.fromkeys("abc", "PA"))
    counted = {k: n for k, n in manifest.noticed.items() if k.startswith("pictures that look")}
    assert counted == {
        "pictures that look inverted (bone is dark), taken as they are": 1,
        "pictures that look upside down, taken as they are": 1,
    }
    kept = PreparedDataset(tmp_path / "out", "train")
    upright, turned, inverted = kept.images(Modality.FRONTAL, kept.places(Modality.FRONTAL))
    assert np.array_equal(turned, np.rot90(upright, 2))
    assert np.abs(255 - inverted.astype(int) - upright).max() <= 1


def test_reports_of_another_language_are_not_taken_as_english(tmp_path: Path) -> None:
    """Where the table does not name their language, their pictures alone are used."""
    Image.fromarray(film()).save(tmp_path / "a.png")
    texts = ("Small left effusion.", "Derrame pleural izquierdo.", "Pleuraerguss links, Herz vergroessert.")
    rows = [(f"p{i}", "a.png", "PA", text, "train") for i, text in enumerate(texts)]
    table = write_table(tmp_path / "t.csv", rows)
    manifest = prepare(PrepareConfig(kind="table", image_size=64, columns=COLUMNS), table, tmp_path / "out")
    assert manifest.noticed["report does not read as English (left out of its study, no labels from it)"] == 2
    data = PreparedDataset(tmp_path / "out", "train")
    assert data.reports == ["Small left effusion.", "", ""]
    assert np.isnan(data.labels[1:]).all()
    require = (Modality.REPORT,)
    config = PrepareConfig(kind="table", image_size=64, columns=COLUMNS, selection=Selection(require=require))
    account = prepare(config, table, tmp_path / "none", dry_run=True)
    assert (account.studies, account.dropped) == (1, {"report does not read as English": 2})
