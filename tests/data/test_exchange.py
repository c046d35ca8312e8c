from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from omnicxr.data.exchange import TABLE, read_chexgenbench, write_chexgenbench
from omnicxr.data.images import encode_png
from omnicxr.domain import UserError

REPORTS = ["Clear lungs.", "Small effusion.", "Clear lungs."]
IDS = ["s1", "s2", "s3"]


def pictures(n: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (n, 32, 32)).astype(np.uint8)


def png(picture: np.ndarray) -> bytes:
    return encode_png(Image.fromarray(picture))


def test_there_and_back(tmp_path: Path) -> None:
    written = pictures(2)
    table = write_chexgenbench(tmp_path, [(png(written[0]), REPORTS[2], "s3"), (png(written[1]), REPORTS[1], "s2")])
    back, rows = read_chexgenbench(table, REPORTS, IDS, image_size=32)
    assert rows.tolist() == [1, 2]
    assert (back == written[[1, 0]]).all()
    assert table.read_text().splitlines()[0] == "prompt,img_savename,study_id"


def without_ids(folder: Path, *lines: str) -> Path:
    table = write_chexgenbench(folder, [(png(pictures(1)[0]), "Small effusion.", "s2")])
    table.write_text("prompt,img_savename\n" + "\n".join(lines) + "\n")
    return table


def test_prompt_that_is_one_report(tmp_path: Path) -> None:
    _, rows = read_chexgenbench(without_ids(tmp_path, "Small effusion.,000000.png"), REPORTS, IDS, image_size=32)
    assert rows.tolist() == [1]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("Clear lungs.,000000.png",), "exactly one study"),
        (("Other.,000000.png",), "exactly one study"),
        (("Small effusion.,000000.png", "Small effusion.,000000.png"), "named twice"),
        (("Small effusion.,1.png",), "neither beside it nor"),
    ],
)
def test_tables_that_do_not_fit(tmp_path: Path, lines: tuple[str, ...], said: str) -> None:
    with pytest.raises(UserError, match=said):
        read_chexgenbench(without_ids(tmp_path, *lines), REPORTS, IDS, image_size=32)


def test_table_without_the_columns(tmp_path: Path) -> None:
    (tmp_path / TABLE).write_text("text,file\na,b\n")
    with pytest.raises(UserError, match="lacks the column 'prompt'"):
        read_chexgenbench(tmp_path / TABLE, REPORTS, IDS, image_size=32)


def test_pictures_outside_of_the_folder_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "out.png").write_bytes(png(pictures(1)[0]))
    for name in ("../out.png", "../../out.png", str(tmp_path / "out.png")):
        with pytest.raises(UserError, match="neither beside it nor"):
            read_chexgenbench(without_ids(tmp_path / "in", f"Small effusion.,{name}"), REPORTS, IDS, image_size=32)
