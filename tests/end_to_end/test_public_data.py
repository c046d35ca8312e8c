"""Real data where they are at hand: counts, sections through free text and back, views at a glance."""

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from benchmarks.labeler import micro_macro, read_gold, score
from omnicxr.data.facing import facing
from omnicxr.data.headings import find_headings
from omnicxr.data.images import load_image, to_square
from omnicxr.data.prepare import PrepareConfig, prepare
from omnicxr.data.sections import clean_text, split_sections
from omnicxr.data.selection import Selection
from omnicxr.data.table_files import read_table
from omnicxr.data.views import what_is_wrong
from omnicxr.domain import Modality

REAL_DATA = Path(os.environ.get("OMNICXR_REAL_DATA", Path(__file__).parents[3] / "shared" / "data"))


@pytest.fixture
def openi() -> Path:
    folder = REAL_DATA / "openi"
    if not folder.is_dir():
        pytest.skip("needs Open-I: set OMNICXR_REAL_DATA to the folder that holds openi/")
    return folder


def test_sections_survive_free_text(openi: Path) -> None:
    """Each XML report written as a MIMIC-style text file comes back section by section; one has headings in a
    section."""
    files = sorted((openi / "reports_xml").glob("*.xml"))
    assert len(files) == 64
    seen: Counter[str] = Counter()
    for file in files:
        sections = {
            node.get("Label", ""): "".join(node.itertext()) for node in ElementTree.parse(file).iter("AbstractText")
        }
        text = "                                 FINAL REPORT\n" + "".join(
            f" {name}:  {body}\n\n" for name, body in sections.items()
        )
        back = split_sections(text)
        for name, body in sections.items():
            if find_headings(body):
                continue
            assert back.get(name.lower(), "") == clean_text(body), file.name
            seen[name] += bool(clean_text(body))
    assert seen["IMPRESSION"] > 50


@pytest.mark.slow
def test_counts_of_the_tables(openi: Path, tmp_path: Path) -> None:
    account = prepare(PrepareConfig(kind="openi"), openi, tmp_path / "out", dry_run=True)
    assert account.studies_seen == 3851
    assert account.studies + sum(account.dropped.values()) == 3851
    assert sum(account.images_left_out.values()) == 7466 or not account.images_left_out


@pytest.mark.slow
def test_the_split_of_the_literature(openi: Path, tmp_path: Path) -> None:
    """All its studies are in the tables, with findings."""
    if not (openi / "splits.csv").exists():
        pytest.skip("needs the literature's split of Open-I as splits.csv: docs/data.md says how to make it")
    selection = Selection(require=(Modality.REPORT,), text="findings")
    config = PrepareConfig(kind="openi", selection=selection, splits=openi / "splits.csv")
    account = prepare(config, openi, tmp_path / "out", dry_run=True)
    assert account.splits == {"train": 2069, "validate": 296, "test": 590}
    assert account.dropped == {"not in the split table": 3851 - 2955}


def test_nih(tmp_path: Path) -> None:
    folder = REAL_DATA / "nih"
    if not folder.is_dir():
        pytest.skip("needs ChestX-ray14 pictures: set OMNICXR_REAL_DATA to the folder that holds nih/")
    rows = len(list(read_table(folder / "metadata.csv", ("image",))))
    account = prepare(PrepareConfig(kind="nih"), folder, tmp_path / "out", dry_run=True)
    assert rows > 1000
    assert (account.studies_seen, account.studies, account.dropped) == (rows, rows, {})


TURNED = {"images/00003490_011.jpg": "upside down", "images/00017625_000.jpg": "inverted"}
"""Of the pictures of ChestX-ray14, as its `sources.csv` flags them."""


def test_wrong_films_of_nih_are_found(tmp_path: Path) -> None:
    """Two of them, and nothing is said of a spread of others, in whatever way they are exposed."""
    folder = REAL_DATA / "nih"
    if not folder.is_dir():
        pytest.skip("needs ChestX-ray14 pictures: set OMNICXR_REAL_DATA to the folder that holds nih/")
    for name, wrong in TURNED.items():
        assert what_is_wrong(load_image(folder / name, 256), Modality.FRONTAL).startswith(f"it looks {wrong}")
    rows = [row["image"] for row in read_table(folder / "metadata.csv", ("image",))]
    said = [
        what_is_wrong(load_image(folder / name, 256), Modality.FRONTAL) for name in rows[::15] if name not in TURNED
    ]
    assert len(said) > 90
    assert sum(map(bool, said)) <= 1


def unsqueezed(openi: Path, row: Mapping[str, str]) -> Image.Image:
    """A picture of `images.csv` with the aspect of its film, about 256 pixels long."""
    columns, rows = int(row["native_columns"]), int(row["native_rows"])
    scale = 256 / max(columns, rows)
    with Image.open(openi / row["file"]) as picture:
        return picture.convert("L").resize((round(columns * scale), round(rows * scale)))


def test_real_views_are_told_apart(openi: Path) -> None:
    """The network never saw a real lateral. 200 pictures of each view: at most two are called the other (some are
    labelled wrongly), and nearly all that are given as the other one are found."""
    if not (openi / "images.csv").exists():
        pytest.skip("needs the pictures of Open-I")
    rows = list(read_table(openi / "images.csv", ("file", "projection", "native_columns", "native_rows")))
    for modality in (Modality.FRONTAL, Modality.LATERAL):
        chosen = [row for row in rows if row["projection"].lower() == modality][::15][:200]
        greys = [to_square(unsqueezed(openi, row), 256) for row in chosen]
        other = Modality.LATERAL if modality is Modality.FRONTAL else Modality.FRONTAL
        assert sum("view" in what_is_wrong(grey, modality) for grey in greys) <= 2
        assert np.mean(["view" in what_is_wrong(grey, other) for grey in greys]) > 0.95


def test_few_real_laterals_face_right(openi: Path) -> None:
    """One in 18; the network never saw a real film."""
    if not (openi / "images.csv").exists():
        pytest.skip("needs the pictures of Open-I")
    rows = list(read_table(openi / "images.csv", ("file", "projection", "native_columns", "native_rows")))
    laterals = [row for row in rows if row["projection"].lower() == Modality.LATERAL][::15]
    found = Counter(facing(to_square(unsqueezed(openi, row), 256)) for row in laterals)
    assert found.total() > 200
    assert 0.80 < found["left"] / found.total() < 0.95
    assert 0.02 < found["right"] / found.total() < 0.10


def test_agrees_with_the_gold_labels() -> None:
    folder = REAL_DATA / "openi"
    if not (folder / "openi_gld_std14.csv").exists():
        pytest.skip("needs Open-I reports and gold labels: set OMNICXR_REAL_DATA to the folder that holds openi/")
    gold = read_gold(folder)
    assert len(gold) > 2900
    micro, macro = micro_macro(score(gold))
    assert micro >= 0.92
    assert macro >= 0.85
