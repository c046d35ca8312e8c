"""The commands as a user runs them: what they write, and what they say when something is wrong."""

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from omnicxr.app import cli
from omnicxr.app.arguments import RULES
from omnicxr.models.folder import model_hash
from tests.data.test_dicom import write_dicom
from tests.data.test_images import colour, huge, truncated


def omnicxr(line: str) -> int:
    """The exit status of `omnicxr LINE`."""
    try:
        cli.main(shlex.split(line))
    except SystemExit as end:
        return int(end.code or 0)
    return 0


OPTIONS = {
    "simulate": "--studies --seed --image-size --prevalence.nodule --out --workers --device --dry-run",
    "prepare": "--image-size --require --views --text --min-words --max-words --describe --limit --columns --splits"
    " --face --dry-run",
    "inspect": "--out --verify",
    "label": "@FILE",
    "train": "--data --out --preset --steps --set --from --seed --mixed-precision --compile --checkpoint-minutes"
    " --budget-minutes --measure --dry-run",
    "generate": "--frontal --lateral --report --to --out --model --num --steps --guidance --seed --device"
    " --strict --raw --confidence",
    "evaluate": "--data --model --generated --judge --compare --tasks --suite --num --split --extractors --classifier"
    " --labeler --protocol --radgraph --steps --guidance --autoguidance --seed --workers --device --dry-run",
    "synthesize": "--num --task --data --split --prompts --samples --balance --per-finding --findings --sex --ages"
    " --gate-known --gate-alignment --gate-agreement --tries --raw --keep-given --model --steps --guidance --seed"
    " --workers --device --ray --shard-size --formats --dry-run",
    "export": "--to --out",
    "study": "--real --synthetic --out --device --mixed-precision --dry-run",
    "reader-study": "--out --real --generated --results --parts --num --split --seed",
    "demo": "--out --model --seed",
}


@pytest.mark.parametrize("command", OPTIONS)
def test_help_names_every_option(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert omnicxr(f"{command} --help") == 0
    shown = capsys.readouterr().out
    assert "usage: omnicxr" in shown
    words = set(shown.replace(",", " ").split())
    assert not [option for option in OPTIONS[command].split() if option not in words]


def test_help_of_all_commands_imports_none_of_them() -> None:
    code = "import sys; from omnicxr.app import cli; cli.main(['--help'])"
    check = f"try:\n {code}\nexcept SystemExit: print('torch' in sys.modules, 'pyarrow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False False"
    assert all(command in done.stdout for command in OPTIONS)
    assert "Say which findings a report states" in done.stdout


VALUES = ["nothing->frontal", "report->frontal,frontal->report", "frontal,report", "PA,LL", "Edema,Fracture"]
VALUES += ["a,b", "60-80", "a=b,c=d"]


@pytest.mark.parametrize(("kind", "text"), list(zip(RULES, VALUES, strict=True)), ids=str)
def test_values_are_written_as_they_are_read(kind: object, text: str) -> None:
    _, read, write = RULES[kind]
    assert write(read(text)) == text


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
    ("line", "said"),
    [
        ("--frontal missing.png --to lateral", "No such image file"),
        ("--frontal text.png --to lateral", "not an image"),
        ("--frontal cut.jpg --to lateral", "damaged"),
        ("--lateral nothing.dcm --to report", "without pixels"),
        ("--frontal colour.png --to lateral", "colour"),
        ("--frontal huge.png --to lateral", "20000 x 20000"),
        ("--report @empty.txt --to lateral", "is empty"),
        ("--report @binary.txt --to lateral", "no text"),
        ("--report @none.txt --to lateral", "missing"),
        ("--report '  ' --to lateral", "empty"),
        ("--report Clear. --to report", "Both given and to be generated: report"),
        ("--report Clear. --to oblique", "Unknown modality 'oblique'"),
        ("--report Clear. --to ''", "Nothing to generate"),
        ("--report Clear. --to frontal --num 0", "num is 0: give a whole number from 1 to"),
        ("--report Clear. --to frontal --steps 0", "1 to 1000"),
        ("--report Clear. --to frontal --model no-model", "not a model folder"),
        ("--report Clear. --to frontal --model broken", "missing or damaged"),
        ("--report Clear. --to frontal --model partial", "missing or damaged"),
    ],
)
def test_bad_input_is_one_sentence_and_writes_nothing(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    model_folder: Path,
    tmp_path: Path,
    line: str,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    words = line.replace("@", "").split()
    for name in set(words) & set(FILES):
        FILES[name](tmp_path / name)
    for name, harm in (("broken", break_weights), ("partial", drop_weights)):
        if name in words:
            harm(Path(shutil.copytree(model_folder, tmp_path / name)))
    model = "" if "--model" in words else f"--model {model_folder}"
    assert omnicxr(f"generate {line} --out out {model}") == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.startswith("omnicxr: ")
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


OUT_OF_RANGE = [
    ("simulate --studies 3 --seed -1", "seed is -1: give a whole number from 0 to"),
    ("simulate --studies 3 --seed 9223372036854775808", "seed is 9223372036854775808"),
    ("simulate --studies 1000000000", "studies is 1000000000"),
    ("simulate --studies 3 --workers 0", "--workers is 0: give a whole number from 1 to 1024"),
    ("simulate --studies 3 --device cuda:99", "There is no device 'cuda:99'"),
    ("simulate --studies 3 --device x", "Unknown device 'x'"),
    ("simulate --studies 3 --prevalence.nodule nan", "nodule is nan"),
    ("prepare table none.csv --image-size 1000000", "--image-size is 1000000"),
    ("prepare table none.csv --workers -1", "--workers is -1"),
    ("train all --data none --preset nano --seed -1", "seed is -1"),
    ("train all --data none --preset nano --steps 0", "--steps is 0"),
    ("train all --data none --preset nano --budget-minutes 0", "budget_minutes is 0.0"),
    ("train all --data none --preset nano --budget-minutes -1", "budget_minutes is -1.0"),
    ("train all --data none --preset nano --measure -1", "--measure is -1"),
    ("train all --data none --preset nano --set generator.width=8192,generator.depth=256", "GB to train"),
    ("train every --data none --preset nano --dry-run", "Unknown stage 'every'"),
    ("generate --to report --seed -1", "seed is -1"),
    ("generate --to report --seed 18446744073709551616", "seed is 18446744073709551616"),
    ("generate --to report --num 100000000", "num is 100000000"),
    ("generate --to report --guidance nan", "guidance is nan"),
    ("generate --to report --device cuda:99", "There is no device"),
    ("generate --to lateral --report @/dev/zero", "no plain file"),
    ("evaluate --data none --seed -1", "seed is -1"),
    ("evaluate --data none --num 0", "num is 0"),
    ("evaluate --data none --workers 0", "--workers is 0"),
    ("evaluate --data none --device ''", "--device is []: give a list of 1 to"),
    ("synthesize --seed -1", "seed is -1"),
    ("synthesize --num 2 --workers 0", "--workers is 0"),
    ("synthesize --num 2 --device cpu,cuda:99", "There is no device 'cuda:99'"),
    ("synthesize --num 2 --gate-agreement nan", "agreement is nan"),
    ("synthesize --num 2 --gate-alignment 5", "alignment is 5.0: give a number from -1 to 1"),
    ("synthesize --per-finding -2", "per_finding is -2"),
    ("synthesize --num 2 --shard-size 0", "shard_size is 0"),
    ("reader-study --num 0", "--num is 0"),
    ("reader-study --seed -1", "--seed is -1"),
    ("demo --seed -1", "--seed is -1"),
    ("study none.toml --real a --synthetic b --device cuda:99", "There is no device"),
]


def test_names_that_are_too_long(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert omnicxr(f"generate --to report --out {tmp_path / ('a' * 300)}") == 2
    assert "--out is '" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (PermissionError(13, "Permission denied", "a/b"), 2, "a/b: Permission denied"),
        (MemoryError(), 2, "Memory ran out"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 2, "Memory ran out"),
    ],
)
def test_what_the_system_refuses_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    error: Exception,
    status: int,
    said: str,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("omnicxr.app.demo.run_demo", fail)
    assert omnicxr(f"demo --out {tmp_path / 'out'}") == status
    assert said in capsys.readouterr().err


def test_no_permission_and_full_disk(capsys: pytest.CaptureFixture[str], model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for out in ("/proc/out", tmp_path / "file" / "out"):
        assert omnicxr(f"generate --to report --num 1 --steps 1 --out {out} --model {model_folder}") == 2
        assert "Cannot write" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["train", "evaluate", "inspect"])
def test_broken_shard(
    capsys: pytest.CaptureFixture[str], prepared: Path, model_folder: Path, tmp_path: Path, command: str
) -> None:
    data, out = Path(shutil.copytree(prepared, tmp_path / "data")), tmp_path / "out"
    for shard in data.glob("t*.parquet"):
        shard.write_bytes(b"PAR1 broken")
    line = {
        "train": f"train judge --preset nano --data {data} --out {out}",
        "evaluate": f"evaluate --data {data} --model {model_folder} --out {out}",
        "inspect": f"inspect {data}",
    }[command]
    assert omnicxr(line) == 2
    assert "damaged" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("few_studies")
def test_training_everything_ends_in_an_evaluation(run_folder: Path, prepared: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(run_folder, tmp_path / "run"))
    assert omnicxr(f"train all --preset nano --data {prepared} --out {run} --measure 4 --seed 0") == 0
    about = json.loads((run / "evaluation" / "metrics.json").read_text())["about"]
    assert (about["studies"], about["model_hash"]) == (4, model_hash(run / "model"))
    assert (run / "evaluation" / "report.html").stat().st_size > 10_000


def test_label_shows_the_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert omnicxr("label 'Possible pneumonia, no effusion.'") == 0
    shown = capsys.readouterr().out
    assert "uncertain" in shown
    assert "possible" in shown
    assert omnicxr("label @nowhere.txt") == 2


def test_inspect_notices_a_changed_shard(capsys: pytest.CaptureFixture[str], prepared: Path, tmp_path: Path) -> None:
    data = Path(shutil.copytree(prepared, tmp_path / "data"))
    assert omnicxr(f"inspect {data} --out {tmp_path / 'sheet'}") == 0
    page = (tmp_path / "sheet" / "data.html").read_text()
    assert "Pleural Effusion" in page
    assert page.count("data:image/png;base64,") == 3
    shutil.copy(sorted(data.glob("train-*"))[0], sorted(data.glob("test-*"))[0])
    assert omnicxr(f"inspect {data} --verify") == 2
    assert "hash" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("few_studies")
def test_evaluation_and_comparison(
    capsys: pytest.CaptureFixture[str], prepared: Path, model_folder: Path, tmp_path: Path
) -> None:
    a, b, both = (tmp_path / name for name in ("a", "b", "ab"))
    line = f"evaluate --data {prepared} --model {model_folder} --num 6 --extractors prompts"
    for out, steps in ((a, 1), (b, 2)):
        assert omnicxr(f"{line} --tasks 'report->frontal+lateral' --steps {steps} --out {out}") == 0
    assert "Bounds" in capsys.readouterr().out
    page = (a / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 6  # three plots, the sheet, nearest pairs of two views
    assert "http" not in page.replace("http-equiv", "")
    assert (a / "tables.tex").read_text().startswith("\\begin{table}")
    assert "| report->frontal+lateral |" in (a / "tables.md").read_text()
    assert omnicxr(f"evaluate --compare {a} {b} --out {both}") == 0
    compared = json.loads((both / "comparison.json").read_text())
    assert [compared[k]["sampling"]["num_inference_steps"] for k in "ab"] == [1, 2]
    assert "frontal: AUROC, macro" in capsys.readouterr().out
    assert omnicxr(f"evaluate --out {tmp_path / 'none'}") == 2
    assert "--data" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        *OUT_OF_RANGE,
        ("synthesize --ages 60-old", "write it like 60-80"),
        ("synthesize --ages old", "write it like 60-80"),
        ("synthesize --findings Edema,Cough", "Unknown finding 'Cough'"),
        ("synthesize --formats png,bmp", "Unknown format 'bmp'"),
        ("synthesize --task report", "'report' is not a task"),
        ("synthesize --tries 2", "--gate-alignment"),
        ("synthesize --raw --gate-known", "leave --gate-known out"),
        ("prepare table x --views PA,OBLIQUE", "Unknown view 'OBLIQUE'"),
        ("prepare table x --columns report", "write report=VALUE"),
        ("train all --data x --set drop_prompt", "write drop_prompt=VALUE"),
        ("train diffusion --data x", "Unknown stage 'diffusion'"),
        ("reader-study --real x", "give --real and --generated"),
        ("reader-study --parts frontal,report", "give --real and --generated"),
    ],
)
def test_bad_value_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, line: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert omnicxr(f"{line} --out out") == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.startswith("omnicxr: ")
    assert len(error.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "line",
    [
        "simulate --studies 5 --out x",
        "train all --data x --out x",
        "evaluate --data x --out x",
        "synthesize --num 5 --ages 60-80 --gate-alignment 0.2 --tries 3 --prompts t.csv --device cpu,cpu --out x",
    ],
)
def test_dry_run_writes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert omnicxr(f"{line} --dry-run") == 0
    shown = json.loads(capsys.readouterr().out)
    assert list(tmp_path.iterdir()) == []
    if line.startswith("synthesize"):
        assert (shown["wish"]["num"], shown["wish"]["ages"], shown["gate"]["alignment"]) == (5, [60, 80], 0.2)
        assert (shown["table"], shown["device"], shown["task"]["given"]) == ("t.csv", "cpu,cpu", ["report"])


def test_dry_run_refuses_what_training_would(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    line = f"train generator --data x --out {tmp_path / 'run'} --dry-run --from"
    assert omnicxr(f"{line} bundled") == 0
    assert json.loads(capsys.readouterr().out)["start"].endswith("bundled")
    assert omnicxr(f"{line} {tmp_path / 'nowhere'}") == 2
    assert "nowhere is not a model folder" in capsys.readouterr().err


def test_former_name_of_a_stage(capsys: pytest.CaptureFixture[str]) -> None:
    assert omnicxr("train prompts --data x --out x --dry-run") == 0
    notice, shown = capsys.readouterr().out.split("\n", 1)
    assert notice == "The stage prompts is called prompt-encoders now."
    assert json.loads(shown)["stage"] == "prompt-encoders"


@pytest.mark.slow
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
