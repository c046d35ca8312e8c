"""Open-I as it was released, where it is at hand: counts, and its sections through free text and back."""

import os
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.labeler import micro_macro, read_gold, score
from omnicxr.data.headings import find_headings
from omnicxr.data.prepare import PrepareConfig, prepare
from omnicxr.data.sections import clean_text, split_sections
from omnicxr.data.table_files import read_table

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


def test_nih(tmp_path: Path) -> None:
    folder = REAL_DATA / "nih"
    if not folder.is_dir():
        pytest.skip("needs ChestX-ray14 pictures: set OMNICXR_REAL_DATA to the folder that holds nih/")
    rows = len(list(read_table(folder / "metadata.csv", ("image",))))
    account = prepare(PrepareConfig(kind="nih"), folder, tmp_path / "out", dry_run=True)
    assert rows > 1000
    assert (account.studies_seen, account.studies, account.dropped) == (rows, rows, {})


def test_agrees_with_the_gold_labels() -> None:
    folder = REAL_DATA / "openi"
    if not (folder / "openi_gld_std14.csv").exists():
        pytest.skip("needs Open-I reports and gold labels: set OMNICXR_REAL_DATA to the folder that holds openi/")
    gold = read_gold(folder)
    assert len(gold) > 2900
    micro, macro = micro_macro(score(gold))
    assert micro >= 0.92
    assert macro >= 0.85
