"""What holds for any data set: no patient on two sides, reasons that sum, the same bytes twice and after a kill."""

import csv
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from omnicxr.data.duplicates import find_copies, picture_hash
from omnicxr.data.prepare import PrepareConfig, prepare
from omnicxr.data.rows import study_from_json, study_to_json
from omnicxr.data.selection import Selection
from omnicxr.data.splits import hashed_split
from omnicxr.domain import Finding, ImageRef, LabelState, Modality, Study, UserError, View
from tests.data.test_prepare import hashes

ROLES = {"patient": "p", "study": "s", "frontal": "f", "lateral": "l", "report": "r"}
CONFIG = PrepareConfig(kind="table", image_size=32, shard_size=3, columns=ROLES)


def write_table(root: Path, rows: list[tuple[str, ...]]) -> Path:
    with (root / "table.csv").open("w", newline="") as file:
        csv.writer(file).writerows([ROLES.values(), *rows])
    return root / "table.csv"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pictures")
    for i in range(4):
        Image.linear_gradient("L").rotate(90 * i).resize((40, 44)).save(root / f"{i}.png")
    (root / "broken.png").write_bytes(b"no picture")
    return root


names = st.sampled_from(["0.png", "1.png", "2.png", "broken.png", "missing.png", "../3.png", "", ""])
texts = st.sampled_from(["", "Clear.", "FINDINGS: Effusion.\n\nIMPRESSION: Small left effusion.", "word " * 40])
tables = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 30).map(str), names, names, texts), min_size=1, max_size=14
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=tables, require=st.sets(st.sampled_from(list(Modality))))
def test_every_study_is_accounted_for_and_no_patient_leaks(
    pictures: Path, tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]], require: set[Modality]
) -> None:
    out = tmp_path_factory.mktemp("out")
    table = write_table(pictures, rows)
    config = PrepareConfig(
        kind="table",
        image_size=32,
        shard_size=3,
        columns=ROLES,
        selection=Selection(require=tuple(require), max_words=30),
    )
    try:
        manifest = prepare(config, table, out / "a")
    except UserError as error:
        assert "none was kept" in str(error)
        assert not (out / "a").exists()
        return
    assert manifest.studies + sum(manifest.dropped.values()) == manifest.studies_seen
    seen: dict[str, str] = {}
    studies = set()
    for shard in manifest.shards:
        for row in pq.read_table(out / "a" / shard).to_pylist():
            assert seen.setdefault(row["subject_id"], row["split"]) == row["split"]
            assert row["study_id"] not in studies
            studies.add(row["study_id"])
            there = {m for m in Modality if (row[f"{m}s"] if m.is_image else row["report"])}
            assert there
            assert require <= there
    assert len(studies) == manifest.studies
    prepare(config, table, out / "b")
    assert hashes(out / "a") == hashes(out / "b")


def test_split_of_a_patient_does_not_depend_on_the_others() -> None:
    splits = [hashed_split(f"x:{i}") for i in range(4000)]
    assert splits == [hashed_split(f"x:{i}") for i in range(4000)]
    assert 0.08 < splits.count("test") / 4000 < 0.12
    assert 0.035 < splits.count("validate") / 4000 < 0.065


@pytest.mark.parametrize("moment", [0.0, 0.15, 0.4])
def test_killed_and_started_again(simulated: Path, prepared: Path, tmp_path: Path, moment: float) -> None:
    code = (
        "from pathlib import Path; from omnicxr.data.prepare import *;prepare(PrepareConfig(kind='mimic-cxr-jpg',"
        f" image_size=64, shard_size=32), {str(simulated)!r}, Path({str(tmp_path / 'out')!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    while not (tmp_path / "out" / "options.json").exists() and process.poll() is None:
        time.sleep(0.005)
    time.sleep(moment)
    process.send_signal(signal.SIGKILL)
    process.wait()
    prepare(PrepareConfig(kind="mimic-cxr-jpg", image_size=64, shard_size=32), simulated, tmp_path / "out")
    finished = {n: h for n, h in hashes(tmp_path / "out").items() if not n.endswith(".part")}
    assert finished == hashes(prepared)


def test_index_line_comes_back_as_the_same_study() -> None:
    labels = {f: None for f in Finding} | {Finding.EDEMA: LabelState.UNCERTAIN}
    study = Study(
        subject_id="1",
        study_id="2",
        source="x",
        split="test",
        images=(ImageRef(Path("a.png"), View.LL), ImageRef(Path("b.dcm"))),
        sections={"findings": "é\n"},
        labels=labels,
        age=3.5,
        sex="F",
        truth="{}",
        language="es",
    )
    assert study_from_json(study_to_json(study, "text")) == (study, "text")


def test_copies_across_splits(pictures: Path) -> None:
    grey = [Image.open(pictures / f"{i}.png").convert("L").resize((64, 64)) for i in (0, 1)]
    near = grey[0].point(lambda v: min(255, v + 1))
    hashes_ = [picture_hash(p) for p in (grey[0], grey[0], near, grey[1], grey[0])]
    assert find_copies(hashes_, ["train", "test", "test", "test", "train"]) == [(0, 1, -1), (4, 1, -1)]
    assert find_copies(hashes_[2:4], ["train", "test"]) == []
    assert find_copies([hashes_[2], hashes_[0]], ["train", "test"]) in ([(0, 1, 0)], [(1, 0, 0)])
    assert find_copies([], []) == []


def test_manifest_lists_copies(pictures: Path, tmp_path: Path) -> None:
    patients = {hashed_split(f"table:{i}"): str(i) for i in range(100)}
    table = write_table(pictures, [(patients["train"], "1", "0.png", "", ""), (patients["test"], "2", "0.png", "", "")])
    manifest = prepare(CONFIG, table, tmp_path / "out")
    assert (manifest.copies_across_splits["exact"], manifest.copies_across_splits["near"]) == (1, 0)
    assert sorted(manifest.copies_across_splits["listed"][0]["studies"]) == ["test/2", "train/1"]


def test_view_that_is_not_given_is_predicted_and_marked(simulated: Path, tmp_path: Path) -> None:
    meta = [path for path in sorted(simulated.glob("files/*/*/*/*.jpg"))][:2]
    for i, path in enumerate(meta):
        (tmp_path / f"{i}.jpg").write_bytes(path.read_bytes())
    with (tmp_path / "t.csv").open("w") as file:
        file.write("i\n0.jpg\n1.jpg\n")
    config = PrepareConfig(kind="table", image_size=64, columns={"image": "i"})
    manifest = prepare(config, tmp_path / "t.csv", tmp_path / "out")
    assert manifest.views == {"FRONTAL (predicted)": 1, "LATERAL (predicted)": 1}


def test_limit_and_text_length(simulated: Path, tmp_path: Path) -> None:
    few = prepare(
        PrepareConfig(kind="mimic-cxr-jpg", image_size=64, selection=Selection(limit=7)), simulated, tmp_path / "few"
    )
    assert few.studies == 7
    short = Selection(require=(Modality.REPORT,), max_words=8)
    manifest = prepare(
        PrepareConfig(kind="mimic-cxr-jpg", image_size=64, selection=short), simulated, tmp_path / "short", dry_run=True
    )
    assert manifest.dropped["report too long"] + manifest.studies == 80


def test_full_disk_leaves_whole_shards_only(
    simulated: Path, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import omnicxr.data.shards as shards

    written = []
    real = shards.pq.write_table

    def until_full(table: object, path: Path, **options: object) -> None:
        if len(written) == 2:
            path.write_bytes(b"half")
            raise OSError(28, "No space left on device")
        written.append(path)
        real(table, path, **options)

    monkeypatch.setattr(shards.pq, "write_table", until_full)
    config = PrepareConfig(kind="mimic-cxr-jpg", image_size=64, shard_size=32)
    with pytest.raises(UserError, match="No space left on device"):
        prepare(config, simulated, tmp_path / "out")
    assert len(list((tmp_path / "out").glob("*.parquet"))) == 2
    assert not list((tmp_path / "out").glob(".*part"))
    monkeypatch.setattr(shards.pq, "write_table", real)
    prepare(config, simulated, tmp_path / "out")
    assert hashes(tmp_path / "out") == hashes(prepared)
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["studies"] == 80
