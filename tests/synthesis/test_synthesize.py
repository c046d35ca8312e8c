from __future__ import annotations

import csv
import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image

import omnicxr.synthesis.synthesize as module
from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.typed_json import from_json
from omnicxr.domain import Finding, Fit, Modality, Notes, PromptNote, Task, UserError
from omnicxr.models.folder import model_hash
from omnicxr.pipeline import AnyToAnyPipeline
from omnicxr.synthesis.export import export
from omnicxr.synthesis.gate import Gate
from omnicxr.synthesis.prompts import Wish
from omnicxr.synthesis.synthesize import Shard, SynthesisConfig, _Job, _with_processes, _with_ray, synthesize

CONFIG = SynthesisConfig(task=Task.parse("report->frontal+lateral"), wish=Wish(num=10), steps=1, shard_size=1)


@pytest.fixture(scope="module")
def synthetic(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("synthetic")
    synthesize(CONFIG, model_folder, out)
    return out


def content(out: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(out.iterdir())}


def command_line(model: Path, out: Path) -> list[str]:
    """What a user would write for CONFIG."""
    settings = {"model": model, "num": 10, "steps": 1, "shard-size": 1, "workers": 1, "out": out}
    return [
        sys.executable,
        "-m",
        "omnicxr.app.cli",
        "synthesize",
        *(str(v) for k, x in settings.items() for v in (f"--{k}", x)),
    ]


def test_is_a_prepared_data_set(synthetic: Path) -> None:
    data = PreparedDataset(synthetic, "train")
    assert len(data) == 10
    assert len(set(data.table.column("study_id").to_pylist())) == 10
    assert data.available.all()
    assert data.image(3, Modality.LATERAL).shape == (64, 64)
    assert (data.labels == 1).any(1).all()
    assert data.manifest.synthetic["draws"] == 10
    assert data.manifest.splits == {"train": 10, "validate": 0, "test": 0}


def test_provenance_in_every_picture(synthetic: Path, model_folder: Path) -> None:
    data = PreparedDataset(synthetic, "train")
    for m in ("frontals", "laterals"):
        for i, cell in enumerate(data.table.column(m).to_pylist()):
            text = Image.open(io.BytesIO(cell[0]["bytes"])).text  # type: ignore[attr-defined]
            assert "digitalsourcetype/trainedAlgorithmicMedia" in text["XML:com.adobe.xmp"]
            provenance = json.loads(text["omnicxr"])
            assert provenance["item"] == i
            assert provenance["model_hash"] == model_hash(model_folder)
            assert len(provenance["prompt_hash"]) == 64
            assert provenance["sampling"]["num_inference_steps"] == CONFIG.steps


@pytest.mark.slow
def test_number_of_workers_does_not_change_a_byte(synthetic: Path, model_folder: Path, tmp_path: Path) -> None:
    synthesize(CONFIG, model_folder, tmp_path, workers=2)
    assert content(tmp_path) == content(synthetic)


@pytest.mark.slow
def test_ray_does_not_change_a_byte(synthetic: Path, model_folder: Path, tmp_path: Path) -> None:
    synthesize(CONFIG, model_folder, tmp_path, workers=2, use_ray=True)
    assert content(tmp_path) == content(synthetic)


@pytest.mark.slow
def test_killed_at_random_moments(synthetic: Path, model_folder: Path, tmp_path: Path) -> None:
    """The whole command is killed, its main process alone (workers go with it), then a worker; in the end not a byte
    differs."""
    command = command_line(model_folder, tmp_path / "out")
    for wait, kill in ((1, os.killpg), (2, os.kill)):
        running = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and len(list(tmp_path.glob("out/*.parquet"))) < wait:
            time.sleep(0.02)
        workers = children(running.pid)
        kill(running.pid, signal.SIGKILL)
        running.wait()
        while any(alive(worker) for worker in workers):
            assert time.monotonic() < deadline, "a worker outlives its command"
            time.sleep(0.02)
        assert len(list(tmp_path.glob("out/*.parquet"))) < 10
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (workers := children(running.pid)) and running.poll() is None:
        time.sleep(0.02)
    for worker in workers[-1:]:
        os.kill(worker, signal.SIGKILL)
    assert running.wait(timeout=120) == 0
    assert content(tmp_path / "out") == content(synthetic)


def alive(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def children(pid: int) -> list[int]:
    """Worker processes of a running command."""
    found = Path(f"/proc/{pid}/task/{pid}/children")
    return (
        [int(c) for c in found.read_text().split() if b"spawn_main" in Path(f"/proc/{c}/cmdline").read_bytes()]
        if found.exists()
        else []
    )


@dataclass(frozen=True)
class Deadly:
    """A writer that ends its process."""

    def writer(self, device: str) -> Deadly:
        return self

    def write(self, items: range, path: Path) -> None:
        os._exit(1)


@pytest.mark.slow
def test_workers_that_keep_dying(tmp_path: Path) -> None:
    shards = [(range(6), tmp_path / "train-0.parquet")]
    with pytest.raises(UserError, match=r"Workers keep dying at train-0.parquet: .*What is done is kept"):
        list(_with_processes(Deadly(), shards, workers=1, devices=("cpu",)))  # type: ignore[arg-type]
    with pytest.raises(UserError, match="nowhere"):
        list(_with_processes(_Job(CONFIG, tmp_path / "nowhere", np.arange(6)), shards, workers=1, devices=("cpu",)))


@dataclass(frozen=True)
class FullDisk:
    """A worker's writer that notes every shard it is asked for and cannot write it: the first at once, others as slowly
    as shards are generated."""

    folder: Path

    def writer(self, device: str) -> FullDisk:
        return self

    def write(self, items: range, path: Path) -> None:
        (self.folder / f"asked-{items.start}").write_text("")
        if (
            items.start > 0
        ):  # without this the main process, on a busy machine, learns of the first error after many others
            time.sleep(0.5)
        raise UserError(f"Cannot write {path}: No space left on device.")


@pytest.mark.slow
@pytest.mark.parametrize("run", [_with_processes, _with_ray])
def test_an_error_ends_the_run_at_once(tmp_path: Path, run: Callable[..., Iterator[int]]) -> None:
    todo = [(range(i, i + 1), tmp_path / f"train-{i}.parquet") for i in range(100)]
    with pytest.raises(UserError, match=r"^Cannot write .*train-0.parquet: No space left on device\.$"):
        list(run(FullDisk(tmp_path), todo, workers=1, devices=("cpu",)))
    assert len(list(tmp_path.iterdir())) < 10


@pytest.mark.slow
def test_full_disk(synthetic: Path, model_folder: Path, tmp_path: Path) -> None:
    """To a program, a limit on the size of its files is much like a full disk."""
    limit = min(p.stat().st_size for p in synthetic.glob("*.parquet")) - 1
    command = command_line(model_folder, tmp_path / "out")
    full = subprocess.run(
        command,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert full.returncode == 2
    assert "Cannot write" in full.stderr
    assert "Free some space" in full.stderr
    assert not (tmp_path / "out").exists()
    assert subprocess.run(command, capture_output=True).returncode == 0
    assert content(tmp_path / "out") == content(synthetic)


def test_folder_that_holds_something_else(synthetic: Path, model_folder: Path, prepared: Path, tmp_path: Path) -> None:
    before = content(synthetic)
    with pytest.raises(UserError, match="another seed"):
        synthesize(replace(CONFIG, seed=1), model_folder, synthetic)
    slower = Path(shutil.copytree(model_folder, tmp_path / "slower"))  # the same weights and other defaults of sampling
    index = json.loads((slower / "model_index.json").read_text())
    (slower / "model_index.json").write_text(
        json.dumps(index | {"sampling": index["sampling"] | {"guidance_scale": 2.5}})
    )
    with pytest.raises(UserError, match="another sampling"):
        synthesize(CONFIG, slower, synthetic)
    with pytest.raises(UserError, match="1 to 1000"):
        synthesize(replace(CONFIG, steps=0), model_folder, tmp_path / "never")
    assert not (tmp_path / "never").exists()
    assert content(synthetic) == before
    with pytest.raises(UserError, match="another data set"):
        synthesize(CONFIG, model_folder, prepared)


@pytest.mark.slow
def test_from_pictures_without_keeping_them(model_folder: Path, prepared: Path, tmp_path: Path) -> None:
    config = replace(CONFIG, task=Task.parse("frontal->lateral+report"), wish=Wish(num=2), data=prepared, split="test")
    synthesize(config, model_folder, tmp_path / "without")
    data = PreparedDataset(tmp_path / "without", "train")
    assert data.available.tolist() == [[False, True, True]] * 2
    synthesize(replace(config, keep_given=True), model_folder, tmp_path / "with")
    kept, real = PreparedDataset(tmp_path / "with", "train"), PreparedDataset(prepared, "test")
    assert (
        kept.image(0, Modality.FRONTAL) == real.image(int(real.having(Modality.FRONTAL)[0]), Modality.FRONTAL)
    ).all()
    assert "omnicxr" not in Image.open(io.BytesIO(kept.table.column("frontals")[0][0]["bytes"].as_py())).info


@pytest.mark.slow
def test_from_nothing_labels_come_from_the_report(model_folder: Path, tmp_path: Path) -> None:
    config = replace(CONFIG, task=Task.from_nothing(), wish=Wish(num=2))
    synthesize(config, model_folder, tmp_path)
    data = PreparedDataset(tmp_path, "train")
    assert len(set(data.table.column("subject_id").to_pylist())) == 2
    assert data.available.all()


@pytest.mark.slow
def test_gate_draws_again_and_counts(model_folder: Path, tmp_path: Path) -> None:
    """A condition that nothing meets: every try is used, the best draw is kept, and the account says so."""
    config = replace(CONFIG, wish=Wish(num=3), gate=Gate(alignment=1, tries=3))
    about = synthesize(config, model_folder, tmp_path / "never").synthetic
    assert (about["draws"], about["below_the_gate"]) == (9, 3)
    about = (
        synthesize(
            replace(config, gate=Gate(alignment=-1, agreement=0, tries=3)), model_folder, tmp_path / "always"
        ).synthetic
        or {}
    )
    assert (about["draws"], about["below_the_gate"]) == (3, 0)
    picture = PreparedDataset(tmp_path / "never", "train").table.column("frontals")[0][0]["bytes"].as_py()
    assert json.loads(Image.open(io.BytesIO(picture)).text["omnicxr"])["tries"] == 3  # type: ignore[attr-defined]
    with pytest.raises(UserError, match="tries is 0"):
        Gate(tries=0, alignment=0.1)
    with pytest.raises(UserError, match="needs a condition"):
        Gate(tries=2)
    for wish in (
        Wish(num=2, balance=True),
        Wish(num=2, sex="F"),
        Wish(num=2, ages=(60, 80)),
        Wish(num=0, per_finding=1),
    ):
        with pytest.raises(UserError, match="cannot be asked for"):
            replace(CONFIG, task=Task.from_nothing(), wish=wish)
    with pytest.raises(UserError, match="nothing to be aligned with"):
        replace(CONFIG, task=Task.from_nothing(), gate=Gate(alignment=0.1))


SENTENCES = ("Small left pleural effusion.", "There is no large left pleural effusion.", "Pequeño derrame pleural.")


def note(report: str) -> PromptNote:
    """What a door would say of SENTENCES."""
    fit = Fit.NOT_USABLE if report.startswith("Pequeño") else Fit.AS_KNOWN
    understood_as = "No pleural effusion." if "no large" in report else report
    return PromptNote(text=report, understood_as=understood_as, fit=fit, reason="it is not English")


class AnyDoor:
    """Has notes of SENTENCES."""

    def notice(self, given: dict[Modality, list[str]]) -> list[Notes]:
        return [Notes(prompt=note(report)) for report in given[Modality.REPORT]]


@pytest.fixture
def with_a_door(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models that notice, in this process, where they can be made to."""

    def in_this_process(job: _Job, todo: list[Shard], **others: Any) -> Iterator[int]:
        writer = job.writer("cpu")
        for items, path in todo:
            writer.write(items, path)
            yield len(items)

    monkeypatch.setattr(AnyToAnyPipeline, "doorkeeper", AnyDoor())
    monkeypatch.setattr(
        AnyToAnyPipeline, "door", property(lambda self: "a door", lambda self, door: None), raising=False
    )
    monkeypatch.setattr(module, "_with_processes", in_this_process)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "sentences.csv"
    path.write_text("\n".join(["report", *SENTENCES]))
    return path


def test_notes_travel_with_every_study(with_a_door: None, model_folder: Path, table: Path, tmp_path: Path) -> None:
    """In the data set, in its pictures, in its exports, in its manifest, and in the account of its prompts."""
    told: list[str] = []
    config = replace(CONFIG, wish=Wish(num=3), table=table)
    manifest = synthesize(config, model_folder, out := tmp_path / "out", tell=told.append)
    counts = {"report not understood": 1, "report rewritten": 1}
    assert manifest.synthetic["noticed"] == counts
    account = json.loads((out / "prompts.json").read_text())
    assert (account["read"], account["noticed"], [e["study_id"] for e in account["listed"]]) == (3, counts, ["3", "2"])
    assert len(told) == 1 and told[0].startswith("3 prompts read, 0 left out; report not understood: 1")
    data = PreparedDataset(out, "train")
    notes = [from_json(Notes, json.loads(cell)) for cell in data.table.column("notes").to_pylist()]
    assert [n.prompt for n in notes] == [note(sentence) for sentence in SENTENCES]
    assert data.reports == list(SENTENCES)
    for i, cell in enumerate(data.table.column("frontals").to_pylist()):
        provenance = json.loads(Image.open(io.BytesIO(cell[0]["bytes"])).text["omnicxr"])  # type: ignore[attr-defined]
        assert (provenance["fit"], provenance["notes"]) == (str(notes[i].fit), notes[i].sentences())
    export(out, "dicom", tmp_path / "dicom")
    files = [pydicom.dcmread(path) for path in sorted((tmp_path / "dicom").glob("*/frontal.dcm"))]
    assert ["ImageComments" in file for file in files] == [False, True, True]
    assert files[1].ImageComments == 'The report is understood as: "No pleural effusion."'
    rows = csv.DictReader((tmp_path / "dicom" / "studies.csv").open(encoding="utf-8", newline=""))
    assert [row["notes"] for row in rows] == [" ".join(n.sentences()) for n in notes]


def test_raw_text_is_not_looked_at(with_a_door: None, model_folder: Path, table: Path, tmp_path: Path) -> None:
    manifest = synthesize(
        replace(CONFIG, wish=Wish(num=2), table=table, raw=True), model_folder, out := tmp_path / "out"
    )
    assert manifest.synthetic["noticed"] == {"not checked": 2}
    assert not (out / "prompts.json").exists()
    notes = PreparedDataset(out, "train").table.column("notes").to_pylist()
    assert [from_json(Notes, json.loads(cell)).sentences() for cell in notes] == [[], []]
    picture = PreparedDataset(out, "train").table.column("frontals")[0][0]["bytes"].as_py()
    assert json.loads(Image.open(io.BytesIO(picture)).text["omnicxr"])["fit"] == "not checked"  # type: ignore[attr-defined]


def test_only_known_prompts(with_a_door: None, model_folder: Path, table: Path, tmp_path: Path) -> None:
    config = replace(CONFIG, wish=Wish(num=5), table=table, gate=Gate(known=True))
    manifest = synthesize(config, model_folder, tmp_path / "out")
    assert PreparedDataset(tmp_path / "out", "train").reports == [SENTENCES[i % 2] for i in range(5)]
    assert manifest.synthetic["noticed"] == {"report rewritten": 2}
    assert json.loads((tmp_path / "out" / "prompts.json").read_text())["left_out"] == 1
    for changed in ({"raw": True}, {"task": Task.from_nothing(), "table": None}):
        with pytest.raises(UserError, match="leave --gate-known out"):
            replace(config, **changed)


@pytest.mark.slow
def test_balanced_set_has_rare_findings(model_folder: Path, tmp_path: Path) -> None:
    rare = (Finding.PNEUMOTHORAX, Finding.FRACTURE)
    synthesize(replace(CONFIG, wish=Wish(num=0, per_finding=3, findings=rare)), model_folder, tmp_path)
    labels = PreparedDataset(tmp_path, "train").labels
    assert len(labels) == 6
    assert all((labels[:, list(Finding).index(f)] == 1).sum() >= 3 for f in rare)
