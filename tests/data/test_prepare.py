import gzip
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from omnicxr.data import rows
from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.files import sha256
from omnicxr.data.manifest import Manifest
from omnicxr.data.prepare import PrepareConfig, _do_shard, _Job, prepare
from omnicxr.data.selection import Selection
from omnicxr.data.splits import hashed_split
from omnicxr.domain import IMAGE_MODALITIES, Finding, Modality, UserError
from omnicxr.domain.measures import CARDIOTHORACIC_RATIO
from tests.data.test_dicom import raw, write_dicom

CONFIG = PrepareConfig(kind="mimic-cxr-jpg", image_size=64, shard_size=32)


@pytest.fixture
def copy(simulated: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(simulated, tmp_path / "copy"))


def edit(path: Path, change) -> None:
    text = gzip.decompress(path.read_bytes()).decode()
    path.write_bytes(gzip.compress(change(text).encode()))


def hashes(folder: Path) -> dict[str, str]:
    return {p.name: sha256(p) for p in folder.iterdir() if p.is_file()}


def test_every_study_is_kept_or_counted(prepared: Path) -> None:
    manifest = Manifest.read(prepared)
    assert manifest.studies + sum(manifest.dropped.values()) == manifest.studies_seen == 80
    assert sum(manifest.splits.values()) == manifest.studies


def test_rows_carry_what_the_simulator_wrote(prepared: Path) -> None:
    for split in ("train", "validate", "test"):
        data = PreparedDataset(prepared, split)
        for i, row in enumerate(data.table.to_pylist()):
            truth = json.loads(row["truth"])
            assert hashed_split(row["subject_id"]) == split
            positive = {f for f, v in zip(Finding, data.labels[i], strict=True) if v == 1}
            there = {lesion["type"] for lesion in truth["lesions"]}
            assert (Finding.PLEURAL_EFFUSION in positive) == ("Effusion" in there)
            assert (Finding.SUPPORT_DEVICES in positive) == ("Device" in there)
            assert data.image(i, Modality.FRONTAL).shape == (64, 64)
            assert row["report"] == row["impression"] != ""
            assert data.measures is not None and data.measures[i, 0] == np.float32(
                truth["measures"][CARDIOTHORACIC_RATIO]
            )


def test_no_patient_in_two_splits(prepared: Path) -> None:
    seen: Counter[str] = Counter()
    for split in ("train", "validate", "test"):
        seen.update(set(PreparedDataset(prepared, split).table.column("subject_id").to_pylist()))
    assert max(seen.values()) == 1


def test_resumed_run_gives_the_same_bytes(simulated: Path, prepared: Path, tmp_path: Path) -> None:
    prepare(CONFIG, simulated, tmp_path)
    (tmp_path / "manifest.json").unlink()
    sorted(tmp_path.glob("train-*.parquet"))[1].unlink()
    (tmp_path / ".train-00001.parquet.1.part").write_bytes(b"half a shard")
    torn = sorted(tmp_path.glob("train-*.parquet"))[0]
    torn.write_bytes(torn.read_bytes()[:-100])
    prepare(CONFIG, simulated, tmp_path, workers=2)
    assert not list(tmp_path.glob(".*")), "half a shard, the index or the lock is left"
    assert hashes(tmp_path) == hashes(prepared)


def ending(*arguments: object) -> None:
    """A decoder that takes its process with it."""
    os._exit(1)


def killed_by(picture: str, _: str) -> Callable[[_Job], None]:
    """In a worker: reading this picture ends the process."""

    def do(job: _Job) -> None:
        whole = rows.read_radiograph
        rows.read_radiograph = lambda path, size: ending() if path.name == picture else whole(path, size)
        _do_shard(job)

    return do


def test_a_picture_that_ends_the_process_is_unreadable(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = sorted(copy.glob("files/*/*/*/*.jpg"))[5]
    monkeypatch.setattr("omnicxr.data.prepare._begin", partial(killed_by, picture.name))
    manifest = prepare(CONFIG, copy, tmp_path / "out", workers=2)
    assert manifest.images_left_out == {"unreadable": 1}
    assert manifest.studies + sum(manifest.dropped.values()) == 80


def test_dry_run_writes_nothing(simulated: Path, tmp_path: Path) -> None:
    counts = prepare(CONFIG, simulated, tmp_path / "out", dry_run=True)
    assert counts.studies == 80
    assert not (tmp_path / "out").exists()


def test_patient_in_two_splits_is_refused(copy: Path, tmp_path: Path) -> None:
    table = copy / "mimic-cxr-2.0.0-split.csv.gz"
    lines = gzip.decompress(table.read_bytes()).decode().splitlines()
    studies = [line.split(",") for line in lines[1:]]
    by_patient: dict[str, set[str]] = {}
    for _, study, subject, _split in studies:
        by_patient.setdefault(subject, set()).add(study)
    subject = next(s for s, v in by_patient.items() if len(v) == 2)
    moved = min(by_patient[subject])
    rows = [
        ",".join([*row[:3], "test" if row[3] != "test" else "train"]) if row[1] == moved else ",".join(row)
        for row in studies
    ]
    table.write_bytes(gzip.compress("\n".join([lines[0], *rows]).encode()))
    with pytest.raises(UserError, match=f"Patient {subject}"):
        prepare(CONFIG, copy, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_unreadable_and_missing_files_are_counted(copy: Path, tmp_path: Path) -> None:
    reports = sorted(copy.glob("files/*/*/*.txt"))
    pictures = sorted(copy.glob("files/*/*/*/*.jpg"))
    reports[0].unlink()
    pictures[-1].write_bytes(b"broken")
    pictures[2].unlink()  # of the second study: the first lost its report
    config = PrepareConfig(kind="mimic-cxr-jpg", image_size=64, selection=Selection(require=tuple(Modality)))
    manifest = prepare(config, copy, tmp_path / "out")
    assert sorted(manifest.dropped.values()) == [1, 1, 1]
    assert (
        {"no report", "unreadable image"}
        < set(manifest.dropped)
        < {"no report", "unreadable image", *(f"no {m} (picture file missing)" for m in IMAGE_MODALITIES)}
    )
    assert pictures[-1].name in manifest.unreadable[0]["error"]
    assert manifest.images_left_out == {"file missing": 1, "unreadable": 1}


def test_one_bad_picture_costs_itself_and_is_named(tmp_path: Path) -> None:
    """Whatever is wrong with it: a table of DICOM files of which some are no films, or of views that are not used."""
    pixels = np.random.default_rng(0).integers(0, 4096, (64, 64))
    pictures = {
        "good": {},
        "lateral": {"ViewPosition": "RL"},
        "swimmers": {"ViewPosition": "SWIMMERS"},
        "axial": {"ViewPosition": "AP AXIAL"},
        "ct": {"Modality": "CT"},
        "slope": {"changes": (raw(0x00281053, "DS", b"much"),)},
        "blank": {"PixelData": bytes(64 * 64 * 2)},
    }
    for name, fields in pictures.items():
        write_dicom(tmp_path / f"{name}.dcm", pixels, *fields.pop("changes", ()), **fields)
    Image.new("L", (12_000, 20)).save(tmp_path / "wide.dcm", format="PNG")
    names = [*pictures, "wide"]
    table = "".join(f"{name},{name}.dcm,Clear lungs.\n" for name in names)
    (tmp_path / "t.csv").write_text("study,image,report\n" + table)
    columns = {c: c for c in ("study", "image", "report")}
    config = PrepareConfig(kind="table", image_size=64, columns=columns)
    manifest = prepare(config, tmp_path / "t.csv", tmp_path / "out")
    assert manifest.studies + sum(manifest.dropped.values()) == len(names)
    assert sum(manifest.views.values()) == 2
    assert manifest.views["LATERAL"] == 1
    assert manifest.images_left_out == {
        "blank or placeholder": 1,
        "modality CT": 1,
        "unreadable": 2,
        "view AP AXIAL": 1,
        "view SWIMMERS": 1,
    }
    unreadable = {note["study_id"]: note["error"] for note in manifest.unreadable}
    assert set(unreadable) == {"blank", "ct", "slope", "wide"}
    assert all(f"{name}.dcm" in error for name, error in unreadable.items())


def test_missing_modality_is_data(copy: Path, tmp_path: Path) -> None:
    edit(copy / "mimic-cxr-2.0.0-metadata.csv.gz", lambda t: t.replace("LATERAL", "XTABLE").replace("LL", "XTABLE"))
    prepare(CONFIG, copy, tmp_path / "out")
    data = PreparedDataset(tmp_path / "out", "train")
    assert not data.available[:, list(Modality).index(Modality.LATERAL)].any()
    assert len(data.having(Modality.LATERAL)) == 0
    assert len(data.having(Modality.FRONTAL, Modality.REPORT)) == len(data)


def test_table_without_a_column(copy: Path, tmp_path: Path) -> None:
    edit(copy / "mimic-cxr-2.0.0-metadata.csv.gz", lambda t: t.replace("ViewPosition", "View"))
    with pytest.raises(UserError, match="lacks the column 'ViewPosition'"):
        prepare(CONFIG, copy, tmp_path / "out")


def test_a_value_that_is_no_label_is_left_blank_and_counted(copy: Path, tmp_path: Path) -> None:
    edit(copy / "mimic-cxr-2.0.0-chexpert.csv.gz", lambda t: t.replace(",1.0", ",7.0", 1))
    manifest = prepare(CONFIG, copy, tmp_path / "out")
    counted = [n for reason, n in manifest.noticed.items() if reason.endswith("'7.0' is none of 1, 0, -1 (left blank)")]
    assert (counted, manifest.studies) == ([1], 80)


def test_byte_order_mark_and_windows_line_ends(copy: Path, tmp_path: Path, prepared: Path) -> None:
    for name in ("metadata", "split", "chexpert"):
        edit(copy / f"mimic-cxr-2.0.0-{name}.csv.gz", lambda t: "\ufeff" + t.replace("\n", "\r\n"))
    prepare(CONFIG, copy, tmp_path / "out")
    assert hashes(tmp_path / "out") == hashes(prepared)


def test_truncated_table(copy: Path, tmp_path: Path) -> None:
    path = copy / "mimic-cxr-2.0.0-split.csv.gz"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UserError, match="damaged"):
        prepare(CONFIG, copy, tmp_path / "out")


def test_other_options_are_refused(simulated: Path, prepared: Path) -> None:
    before = hashes(prepared)
    with pytest.raises(UserError, match="another image_size"):
        prepare(PrepareConfig(kind="mimic-cxr-jpg", image_size=96), simulated, prepared)
    assert hashes(prepared) == before


def test_shards_without_a_language_are_english(prepared: Path, tmp_path: Path) -> None:
    """As older versions wrote them; a preparation that began before and ended after has both."""
    folder = Path(shutil.copytree(prepared, tmp_path / "older"))
    shards = sorted(folder.glob("train-*.parquet"))
    assert len(shards) > 1
    table = pq.read_table(shards[0])
    assert set(table.column("language").to_pylist()) == {"en"}
    pq.write_table(table.drop_columns("language"), shards[0])
    note_hashes(folder)
    data, whole = PreparedDataset(folder, "train"), PreparedDataset(prepared, "train")
    assert data.languages == whole.languages == ["en"] * len(whole)
    assert data.reports == whole.reports
    for shard in shards[1:]:
        pq.write_table(pq.read_table(shard).drop_columns("language"), shard)
    note_hashes(folder)
    assert PreparedDataset(folder, "train").languages == ["en"] * len(whole)


def note_hashes(folder: Path) -> None:
    """Of shards that a test has changed."""
    manifest = Manifest.read(folder)
    replace(manifest, shards={name: sha256(folder / name) for name in manifest.shards}).write(folder)


def test_broken_shard(prepared: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(prepared, tmp_path / "broken"))
    shard = sorted(folder.glob("test-*.parquet"))[0]
    shard.write_bytes(shard.read_bytes()[: shard.stat().st_size // 2])
    with pytest.raises(UserError, match=shard.name):
        PreparedDataset(folder, "test")


def test_other_libraries_read_the_shards(prepared: Path) -> None:
    table = pq.read_table(sorted(prepared.glob("train-*.parquet"))[0])
    assert table.column("frontals")[0][0]["bytes"].as_py().startswith(b"\x89PNG")
    assert np.isin(table.column("label_Edema").drop_null().to_numpy(), (0, 1)).all()
