import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from omnicxr.app.demo import SENTENCES, Example, _page, run_demo
from omnicxr.domain import Fit, Modality, Notes, PictureNote, PromptNote


@pytest.mark.slow
def test_demo_of_a_small_model(model_folder: Path, tmp_path: Path) -> None:
    page = run_demo(tmp_path / "demo", model=model_folder).read_text()
    record = json.loads((tmp_path / "demo" / "demo.json").read_text())
    assert [e["sentence"] for e in record["sentences"]] == list(SENTENCES)
    index = json.loads((model_folder / "model_index.json").read_text())
    assert record["sampling"] == index["sampling"]
    assert all(e["report_from_views"] for e in record["sentences"])
    assert all("noticed" in e for e in (*record["sentences"], *record["from_nothing"]))
    assert Image.open(tmp_path / "demo" / "contact_sheet.png").size == (64 * 5, 64 * len(SENTENCES))
    assert page.count("<img") == 5 * len(SENTENCES) + 4
    assert not re.search(r"(src|href)=[\"']?https?:", page)


def test_notes_stand_below_their_figures() -> None:
    fit = Fit.AS_KNOWN
    drawn = Notes(prompt=PromptNote(text="No large effusion.", understood_as="No effusion.", fit=fit))
    turned = Notes(pictures=(PictureNote(modality=Modality.FRONTAL, fit=Fit.UNLIKE, reason="it looks inverted"),))
    picture = Image.new("L", (8, 8))
    example = Example(
        sentence="No large effusion.",
        pictures=[picture],
        report="Normal heart.",
        turned=[picture],
        notes=drawn,
        report_notes=turned,
        turned_notes=turned,
    )
    assert example.noticed() == [*drawn.sentences(), *turned.sentences()]
    blocks = _page([example], [replace(example, report_notes=None, turned_notes=None)]).blocks
    kinds = [re.split(r"[ >]", block)[1 if "class=" in block else 0] for block in blocks]
    of_sentence = ["<h2", "<figure", "<figure", "class=noticed", "class=warning", "<p", "class=warning"]
    assert kinds == ["<p", *of_sentence, "<h2", "<figure", "<p", "class=noticed"]
