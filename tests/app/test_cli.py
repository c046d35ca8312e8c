"""The commands as a user runs them: what they write, and what they say when something is wrong."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from omnicxr.app import cli
from omnicxr.models.folder import model_hash
from tests.data.test_images import colour, huge, truncated, write_dicom


def omnicxr(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["omnicxr", *map(str, arguments)])
    try:
        cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.mark.parametrize(
    "command", ["simulate", "prepare", "inspect", "label", "train", "generate", "evaluate", "synthesize", "demo"]
)
def test_help(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert omnicxr(monkeypatch, command, "--help") == 0
    assert "usage: omnicxr" in capsys.readouterr().out


def test_generate_writes_items_and_record(monkeypatch: pytest.MonkeyPatch, model_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert (
        omnicxr(
            monkeypatch,
            "generate",
            "--report",
            "Large left pleural effusion.",
            "--to",
            "frontal,lateral",
            "--out",
            out,
            "--model",
            model_folder,
            "--num",
            2,
            "--steps",
            3,
            "--seed",
            5,
        )
        == 0
    )
    record = json.loads((out / "generation.json").read_text())
    assert record["task"] == "report->frontal+lateral"
    assert (record["seed"], record["sampling"]["num_inference_steps"], len(record["model_hash"])) == (5, 3, 64)
    for item in record["items"]:
        for modality in ("frontal", "lateral"):
            assert Image.open(out / item["files"][modality]).size == (64, 64)
    assert sorted(p.name for p in out.iterdir()) == ["0000", "0001", "generation.json"]
    assert omnicxr(monkeypatch, "generate", "--to", "report", "--out", out, "--model", model_folder) == 2


def test_generate_takes_any_picture(monkeypatch: pytest.MonkeyPatch, model_folder: Path, tmp_path: Path) -> None:
    import numpy as np

    write_dicom(tmp_path / "a.dcm", np.random.default_rng(0).integers(0, 4096, (300, 200)), photometric="MONOCHROME1")
    Image.new("I;16", (90, 400), 1000).save(tmp_path / "b.png")
    (tmp_path / "r.txt").write_text("Clear lungs.")
    assert (
        omnicxr(
            monkeypatch,
            "generate",
            "--frontal",
            tmp_path / "a.dcm",
            "--lateral",
            tmp_path / "b.png",
            "--to",
            "report",
            "--num",
            1,
            "--out",
            tmp_path / "one",
            "--model",
            model_folder,
            "--steps",
            2,
        )
        == 0
    )
    assert (tmp_path / "one" / "0000" / "report.txt").read_text().strip()
    assert (
        omnicxr(
            monkeypatch,
            "generate",
            "--frontal",
            tmp_path / "a.dcm",
            "--report",
            f"@{tmp_path / 'r.txt'}",
            "--to",
            "lateral",
            "--num",
            1,
            "--out",
            tmp_path / "two",
            "--model",
            model_folder,
            "--steps",
            2,
        )
        == 0
    )


def break_weights(folder: Path) -> None:
    path = folder / "generator" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])


def drop_weights(folder: Path) -> None:
    (folder / "prompts" / "model.safetensors").unlink()


FILES = {
    "cut.jpg": truncated,
    "colour.png": colour,
    "huge.png": huge,
    "text.png": lambda p: p.write_text("no picture"),
    "nothing.dcm": lambda p: write_dicom(p, None),
    "empty.txt": lambda p: p.write_bytes(b""),
    "binary.txt": lambda p: p.write_bytes(b"\xff\xfe\x80"),
}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--frontal", "missing.png", "--to", "lateral"], "No such image file"),
        (["--frontal", "text.png", "--to", "lateral"], "not an image"),
        (["--frontal", "cut.jpg", "--to", "lateral"], "damaged"),
        (["--lateral", "nothing.dcm", "--to", "report"], "without pixels"),
        (["--frontal", "colour.png", "--to", "lateral"], "colour"),
        (["--frontal", "huge.png", "--to", "lateral"], "20000 x 20000"),
        (["--report", "@empty.txt", "--to", "lateral"], "is empty"),
        (["--report", "@binary.txt", "--to", "lateral"], "UTF-8"),
        (["--report", "@none.txt", "--to", "lateral"], "Cannot read"),
        (["--report", "  ", "--to", "lateral"], "empty"),
        (["--report", "Clear.", "--to", "report"], "Both given and to be generated: report"),
        (["--report", "Clear.", "--to", "oblique"], "Unknown modality 'oblique'"),
        (["--report", "Clear.", "--to", ""], "Nothing to generate"),
        (["--report", "Clear.", "--to", "frontal", "--num", "0"], "at least 1"),
        (["--report", "Clear.", "--to", "frontal", "--steps", "0"], "1 to 1000"),
        (["--report", "Clear.", "--to", "frontal", "--model", "no-model"], "not a model folder"),
        (["--report", "Clear.", "--to", "frontal", "--model", "broken"], "missing or damaged"),
        (["--report", "Clear.", "--to", "frontal", "--model", "partial"], "missing or damaged"),
    ],
)
def test_bad_input_is_one_sentence_and_writes_nothing(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    model_folder: Path,
    tmp_path: Path,
    arguments: list[str],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in {a.removeprefix("@") for a in arguments} & set(FILES):
        FILES[name](tmp_path / name)
    for name, harm in (("broken", break_weights), ("partial", drop_weights)):
        if name in arguments:
            harm(Path(shutil.copytree(model_folder, tmp_path / name)))
    model = [] if "--model" in arguments else ["--model", model_folder]
    assert omnicxr(monkeypatch, "generate", *arguments, "--out", "out", *model) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.startswith("omnicxr: ")
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_no_permission_and_full_disk(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], model_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x")
    for out in ("/proc/out", tmp_path / "file" / "out"):
        assert (
            omnicxr(
                monkeypatch,
                "generate",
                "--to",
                "report",
                "--num",
                1,
                "--steps",
                1,
                "--out",
                out,
                "--model",
                model_folder,
            )
            == 2
        )
        assert "Cannot write" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["train", "evaluate", "inspect"])
def test_broken_shard(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    prepared: Path,
    model_folder: Path,
    tmp_path: Path,
    command: str,
) -> None:
    data = Path(shutil.copytree(prepared, tmp_path / "data"))
    for shard in data.glob("t*.parquet"):
        shard.write_bytes(b"PAR1 broken")
    arguments = {
        "train": ["judge", "--preset", "nano", "--data", data, "--out", tmp_path / "out"],
        "evaluate": ["--data", data, "--model", model_folder, "--out", tmp_path / "out"],
        "inspect": [data],
    }[command]
    assert omnicxr(monkeypatch, command, *arguments) == 2
    assert "damaged" in capsys.readouterr().err


@pytest.mark.usefixtures("few_studies")
def test_training_everything_ends_in_an_evaluation(
    monkeypatch: pytest.MonkeyPatch, run_folder: Path, prepared: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(run_folder, tmp_path / "run"))
    assert (
        omnicxr(
            monkeypatch,
            "train",
            "all",
            "--preset",
            "nano",
            "--data",
            prepared,
            "--out",
            run,
            "--measure",
            4,
            "--seed",
            0,
        )
        == 0
    )
    about = json.loads((run / "evaluation" / "metrics.json").read_text())["about"]
    assert (about["studies"], about["model_hash"]) == (4, model_hash(run / "model"))
    assert (run / "evaluation" / "report.html").stat().st_size > 10_000


def test_label_shows_the_words(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert omnicxr(monkeypatch, "label", "Possible pneumonia, no effusion.") == 0
    shown = capsys.readouterr().out
    assert "uncertain" in shown
    assert "possible" in shown
    assert omnicxr(monkeypatch, "label", "@nowhere.txt") == 2


def test_inspect_notices_a_changed_shard(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], prepared: Path, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(prepared, tmp_path / "data"))
    assert omnicxr(monkeypatch, "inspect", data, "--out", tmp_path / "sheet") == 0
    page = (tmp_path / "sheet" / "data.html").read_text()
    assert "Pleural Effusion" in page
    assert page.count("data:image/png;base64,") == 3
    shutil.copy(sorted(data.glob("train-*"))[0], sorted(data.glob("test-*"))[0])
    assert omnicxr(monkeypatch, "inspect", data, "--verify") == 2
    assert "hash" in capsys.readouterr().err


@pytest.mark.usefixtures("few_studies")
def test_evaluation_and_comparison(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    prepared: Path,
    model_folder: Path,
    tmp_path: Path,
) -> None:
    common = [
        "--data",
        prepared,
        "--model",
        model_folder,
        "--tasks",
        "report->frontal+lateral",
        "--num",
        6,
        "--extractors",
        "prompts",
    ]
    for name, steps, interval in (("a", 1, ""), ("b", 2, "0.2-0.9")):
        assert (
            omnicxr(
                monkeypatch,
                "evaluate",
                *common,
                "--steps",
                steps,
                "--guidance-interval",
                interval,
                "--out",
                tmp_path / name,
            )
            == 0
        )
    assert "Bounds" in capsys.readouterr().out
    page = (tmp_path / "a" / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 6  # three plots, the sheet, nearest pairs of two views
    assert "http" not in page.replace("http-equiv", "")
    assert (tmp_path / "a" / "tables.tex").read_text().startswith("\\begin{table}")
    assert "| report->frontal+lateral |" in (tmp_path / "a" / "tables.md").read_text()
    assert omnicxr(monkeypatch, "evaluate", "--compare", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "ab") == 0
    compared = json.loads((tmp_path / "ab" / "comparison.json").read_text())
    assert [(compared[k]["num_inference_steps"], compared[k]["guidance_interval"]) for k in "ab"] == [
        (1, [0.0, 1.0]),
        (2, [0.2, 0.9]),
    ]
    assert "frontal: AUROC, macro" in capsys.readouterr().out
    assert omnicxr(monkeypatch, "evaluate", "--out", tmp_path / "none") == 2
    assert "--data" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["evaluate", "--data", "x", "--guidance-interval", "late"],
        ["synthesize", "--ages", "60-old"],
        ["synthesize", "--ages", "old"],
    ],
)
def test_from_where_to_where(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str]
) -> None:
    assert omnicxr(monkeypatch, *arguments, "--out", tmp_path / "out") == 2
    assert f"write {arguments[-2]} like" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["simulate", "--studies", 5, "--out", "x"],
        ["train", "all", "--data", "x", "--out", "x"],
        ["evaluate", "--data", "x", "--out", "x"],
    ],
)
def test_dry_run_writes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[object]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert omnicxr(monkeypatch, *arguments, "--dry-run") == 0
    assert json.loads(capsys.readouterr().out)
    assert list(tmp_path.iterdir()) == []


def test_dry_run_refuses_what_training_would(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    command = ["train", "generator", "--data", "x", "--out", tmp_path / "run", "--dry-run", "--from"]
    assert omnicxr(monkeypatch, *command, "bundled") == 0
    assert json.loads(capsys.readouterr().out)["start"].endswith("bundled")
    assert omnicxr(monkeypatch, *command, tmp_path / "nowhere") == 2
    assert "nowhere is not a model folder" in capsys.readouterr().err


def test_exit_status_of_the_installed_command(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "omnicxr.app.cli", "prepare", "mars", str(tmp_path), "--out", str(tmp_path / "o")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Unknown data set 'mars'" in done.stderr
    assert "Traceback" not in done.stderr
