"""`omnicxr generate`: what it writes, marks and prints."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from omnicxr.data.images import encode_png
from omnicxr.pipeline import AnyToAnyPipeline
from tests.app.test_cli import omnicxr
from tests.data.test_dicom import write_dicom


def test_generate_writes_items_and_record(model_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    line = f"--to frontal,lateral --out {out} --model {model_folder} --num 2 --steps 3 --seed 5"
    assert omnicxr(f"generate --report 'Large left pleural effusion.' {line}") == 0
    record = json.loads((out / "generation.json").read_text())
    assert record["task"] == "report->frontal+lateral"
    assert (record["seed"], record["sampling"]["num_inference_steps"], len(record["model_hash"])) == (5, 3, 64)
    for item in record["items"]:
        for modality in ("frontal", "lateral"):
            assert Image.open(out / item["files"][modality]).size == (64, 64)
    assert sorted(p.name for p in out.iterdir()) == ["0000", "0001", "generation.json"]
    assert omnicxr(f"generate --to report --out {out} --model {model_folder}") == 2


def test_generate_takes_any_picture(model_folder: Path, tmp_path: Path) -> None:
    write_dicom(tmp_path / "a.dcm", np.random.default_rng(0).integers(0, 4096, (300, 200)), photometric="MONOCHROME1")
    Image.fromarray(np.random.default_rng(0).integers(900, 9000, (400, 90), np.uint16)).save(tmp_path / "b.png")
    (tmp_path / "r.txt").write_text("Clear lungs.")
    line = f"generate --frontal {tmp_path / 'a.dcm'} --num 1 --model {model_folder} --steps 2"
    assert omnicxr(f"{line} --lateral {tmp_path / 'b.png'} --to report --out {tmp_path / 'one'}") == 0
    assert (tmp_path / "one" / "0000" / "report.txt").read_text().strip()
    assert omnicxr(f"{line} --report @{tmp_path / 'r.txt'} --to lateral --out {tmp_path / 'two'}") == 0


@pytest.mark.parametrize("size", [(700, 900), (64, 64)])
def test_generate_sees_what_the_pipeline_sees(
    model_folder: Path, pipe: AnyToAnyPipeline, tmp_path: Path, size: tuple[int, int]
) -> None:
    file = tmp_path / "a.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, size, np.uint8)).save(file)
    line = f"generate --frontal {file} --to lateral,report --num 2 --steps 2 --seed 3 --model {model_folder}"
    assert omnicxr(f"{line} --out {tmp_path / 'marked'}") == 0
    assert omnicxr(f"{line} --raw --out {tmp_path / 'raw'}") == 0
    wanted = pipe(frontal=file, generate=("lateral", "report"), num=2, num_inference_steps=2, seed=3)
    assert wanted.lateral and wanted.report
    for i in range(2):
        raw, marked = (tmp_path / name / f"{i:04d}" for name in ("raw", "marked"))
        assert (raw / "lateral.png").read_bytes() == encode_png(wanted.lateral[i])
        assert (raw / "report.txt").read_text() == wanted.report[i] + "\n"
        with Image.open(marked / "lateral.png") as picture:
            assert np.array_equal(picture, wanted.lateral[i])
            assert "not usable" in picture.info["Notice"]
        notice, report = (marked / "report.txt").read_text().split("\n\n")
        assert notice.startswith("NOTICE: The frontal view is not usable") and report == wanted.report[i] + "\n"


def test_what_is_noticed_is_printed_and_stored(
    model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = f"generate --report 'Derrame pleural izquierdo grande.' --to frontal --num 1 --model {model_folder}"
    assert omnicxr(f"{line} --steps 2 --out {tmp_path / 'out'}") == 0
    assert "The report is not understood: it is not English" in " ".join(capsys.readouterr().out.split())
    record = json.loads((tmp_path / "out" / "generation.json").read_text())
    assert (record["fit"], record["items"][0]["notes"]["prompt"]["fit"]) == ("not usable", "not usable")
    assert omnicxr(f"{line} --strict --out {tmp_path / 'strict'}") == 2 and not (tmp_path / "strict").exists()
    assert "not English" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"), [("--strict --raw", "choose one"), ("--confidence", "add report to --to")]
)
def test_options_that_do_not_go_together(
    options: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert omnicxr(f"generate --report 'Edema.' --to frontal {options} --out {tmp_path / 'out'}") == 2
    assert message in " ".join(capsys.readouterr().err.split()) and not (tmp_path / "out").exists()


def test_confidence_is_stored(model_folder: Path, tmp_path: Path) -> None:
    line = f"--to report --confidence --num 1 --steps 2 --out {tmp_path / 'out'} --model {model_folder}"
    assert omnicxr(f"generate {line}") == 0
    (item,) = json.loads((tmp_path / "out" / "generation.json").read_text())["items"]
    shares = item["notes"]["report"]["confidence"]
    assert all(0 < share <= 1 and (share * 8).is_integer() for share in shares.values())
