import json
import re
from pathlib import Path

import pytest
from PIL import Image

from omnicxr.app.demo import SENTENCES, run_demo


@pytest.mark.slow
def test_demo_of_a_small_model(model_folder: Path, tmp_path: Path) -> None:
    page = run_demo(tmp_path / "demo", model=model_folder).read_text()
    record = json.loads((tmp_path / "demo" / "demo.json").read_text())
    assert [e["sentence"] for e in record["sentences"]] == list(SENTENCES)
    index = json.loads((model_folder / "model_index.json").read_text())
    assert record["sampling"] == index["sampling"]
    assert all(e["report_from_views"] for e in record["sentences"])
    assert Image.open(tmp_path / "demo" / "contact_sheet.png").size == (64 * 5, 64 * len(SENTENCES))
    assert page.count("<img") == 5 * len(SENTENCES) + 4
    assert not re.search(r"(src|href)=[\"']?https?:", page)
