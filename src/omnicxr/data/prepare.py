"""Studies => Parquet shards and manifest.json: the one form that training, evaluation and synthesis read.

First the data set is read through once: what is kept goes to an index on disk, one line per study, what is not is
counted. Then processes turn runs of lines into shards. Memory does not grow with the number of studies beyond their
identifiers. A shard that exists is done, so the same command resumes; the manifest is written last and marks a whole
data set.
"""

from __future__ import annotations

import json
import multiprocessing as mp
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from omnicxr.data.duplicates import find_copies
from omnicxr.data.files import check_writable, sha256, write_json
from omnicxr.data.processes import end_with_parent
from omnicxr.data.selection import Selection, Selector
from omnicxr.data.shards import shard_notes, study_to_json, write_shard
from omnicxr.data.sources import KINDS, StudySource, open_source
from omnicxr.domain import SPLITS, Study, UserError

MANIFEST, INDEX = "manifest.json", ".index"
COPIES_LISTED = 200
Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    """What is prepared and how. Equal configs on equal data give equal bytes."""

    kind: str
    image_size: int = 256
    selection: Selection = field(default_factory=Selection)
    columns: dict[str, str] = field(default_factory=dict)
    """For "table": role => column, see `omnicxr.data.sources.table`."""
    shard_size: int = 256
    """Studies in a shard."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UserError(f"Unknown data set '{self.kind}': choose from {', '.join(KINDS)}.")
        if not 32 <= self.image_size <= 1024:
            raise UserError(f"Image size {self.image_size} is out of range: choose 32 to 1024 pixels.")


def prepare(
    config: PrepareConfig,
    where: Path | str,
    out: Path,
    *,
    workers: int = 1,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Prepare the data set at `where` into `out`; returns the manifest (with `dry_run`, only the account before
    pictures are read).

    `where` is as `open_source` takes it. Every study is either in a shard or counted under one reason. Raises UserError
    for a data set that cannot be read, a patient in two splits, an `out` prepared with other options, or a disk that is
    full.
    """
    source = open_source(config.kind, str(where), config.columns)
    selector = Selector(config.selection)
    if dry_run:
        splits = Counter(selected[0].split for selected in _selected(source, selector))
        return {
            **_account(selector, source),
            "studies": splits.total(),
            "splits": {s: splits[s] for s in SPLITS},
            "modalities": {},
        }
    fresh = not out.exists()
    check_writable(out)
    try:
        _claim(config, out)
        if manifest := _finished(out):
            return manifest
        account = _write_index(config, source, selector, out)
    except UserError:
        if fresh:
            shutil.rmtree(out, ignore_errors=True)
        raise
    jobs = list(_shards(config, account["kept"], out))
    todo = [job for job in jobs if not job.path.exists()]
    done = len(jobs) - len(todo)
    for _ in _run(todo, workers):
        done += 1
        if progress:
            progress(done, len(jobs))
    manifest = write_manifest(asdict(config), account, [job.path for job in jobs], out)
    shutil.rmtree(out / INDEX)
    return manifest


def _selected(source: StudySource, selector: Selector) -> Iterator[tuple[Study, str]]:
    for study in source.studies():
        if selected := selector.select(study):
            yield selected
        if selector.full():
            return


def _finished(out: Path) -> dict[str, Any] | None:
    """The manifest, if all its shards are there."""
    if not (out / MANIFEST).exists():
        return None
    manifest = json.loads((out / MANIFEST).read_text())
    return manifest if all((out / name).exists() for name in manifest["shards"]) else None


def _account(selector: Selector, source: StudySource) -> dict[str, Any]:
    account = selector.account
    dropped = account.dropped + source.dropped
    images = account.images_left_out + source.images_left_out
    return {
        "studies_seen": account.seen + source.dropped.total(),
        "dropped": dict(sorted(dropped.items())),
        "images_left_out": dict(sorted(images.items())),
    }


def _claim(config: PrepareConfig, out: Path) -> None:
    path = out / "options.json"
    wanted = json.loads(json.dumps(asdict(config)))
    if path.exists() and json.loads(path.read_text()) != wanted:
        raise UserError(f"{out} was prepared with other options (see {path.name}): choose another folder.")
    write_json(path, wanted)


def _write_index(config: PrepareConfig, source: StudySource, selector: Selector, out: Path) -> dict[str, Any]:
    """One line per kept study in .index/SPLIT.jsonl, with the offset of every shard; an index that is whole is used as
    it is."""
    account_path = out / INDEX / "account.json"
    if account_path.exists():
        return json.loads(account_path.read_text())
    folder = out / INDEX
    shutil.rmtree(folder, ignore_errors=True)
    kept: dict[str, list[int]] = {split: [] for split in SPLITS}
    counts: Counter[str] = Counter()
    try:
        folder.mkdir(parents=True)
        files = {split: (folder / f"{split}.jsonl").open("wb") for split in SPLITS}
        try:
            for study, report in _selected(source, selector):
                file = files[study.split]
                if counts[study.split] % config.shard_size == 0:
                    kept[study.split].append(file.tell())
                counts[study.split] += 1
                file.write(study_to_json(study, report).encode() + b"\n")
        finally:
            for file in files.values():
                file.close()
    except OSError as error:
        raise UserError(
            f"Cannot write {folder}: {error.strerror or error}. Free some space or choose another folder."
        ) from error
    account = {**_account(selector, source), "kept": kept}
    write_json(account_path, account)
    return account


@dataclass(frozen=True)
class _Job:
    """One shard: where its lines begin, and where it goes."""

    index: Path
    offset: int
    config: PrepareConfig
    path: Path


def _shards(config: PrepareConfig, kept: dict[str, list[int]], out: Path) -> Iterator[_Job]:
    for split in SPLITS:
        for n, offset in enumerate(kept[split]):
            yield _Job(out / INDEX / f"{split}.jsonl", offset, config, out / f"{split}-{n:05d}.parquet")


def _run(jobs: list[_Job], workers: int) -> Iterator[None]:
    if workers <= 1 or len(jobs) <= 1:
        yield from map(_do_shard, jobs)
        return
    with mp.get_context("spawn").Pool(min(workers, len(jobs)), initializer=end_with_parent) as pool:
        yield from pool.imap_unordered(_do_shard, jobs)


def _do_shard(job: _Job) -> None:
    with job.index.open("rb") as file:
        file.seek(job.offset)
        lines = [line.decode() for line, _ in zip(file, range(job.config.shard_size), strict=False)]
    write_shard(lines, job.config.image_size, job.config.selection, job.path)


def write_manifest(
    options: dict[str, Any], account: dict[str, Any], shards: list[Path], out: Path, **more: Any
) -> dict[str, Any]:
    """Add up the shards and write manifest.json, which marks a whole data set; `account` has studies_seen, dropped and
    images_left_out."""
    dropped: Counter[str] = Counter(account["dropped"])
    images_left_out: Counter[str] = Counter(account["images_left_out"])
    unreadable: list[dict[str, str]] = []
    tally = {name: Counter[str]() for name in ("split", "source", "modalities", "views")}
    hashes: list[bytes] = []
    owners: list[tuple[str, str]] = []
    for shard in shards:
        notes = shard_notes(shard)
        images_left_out.update(notes["images_left_out"])
        dropped.update(note["reason"] for note in notes["dropped"])
        unreadable += [{k: note[k] for k in ("study_id", "error")} for note in notes["dropped"] if note["error"]]
        columns = [
            "split",
            "source",
            "study_id",
            "report",
            *(f"{m}_{part}" for m in ("frontal", "lateral") for part in ("views", "hashes")),
        ]
        for row in pq.read_table(shard, columns=columns).to_pylist():
            there = (("frontal", row["frontal_views"]), ("lateral", row["lateral_views"]), ("report", row["report"]))
            tally["split"][row["split"]] += 1
            tally["source"][row["source"]] += 1
            tally["modalities"]["+".join(name for name, value in there if value)] += 1
            tally["views"].update(row["frontal_views"] + row["lateral_views"])
            for value in row["frontal_hashes"] + row["lateral_hashes"]:
                hashes.append(value)
                owners.append((row["split"], row["study_id"]))
    copies = find_copies(hashes, [split for split, _ in owners])
    manifest = {
        "format": 2,
        "studies_seen": account["studies_seen"],
        "dropped": dict(sorted(dropped.items())),
        "studies": tally["split"].total(),
        "splits": {s: tally["split"][s] for s in SPLITS},
        "sources": dict(sorted(tally["source"].items())),
        "modalities": dict(sorted(tally["modalities"].items())),
        "views": dict(sorted(tally["views"].items())),
        "images_left_out": dict(sorted(images_left_out.items())),
        "unreadable": sorted(unreadable, key=lambda note: note["study_id"]),
        "copies_across_splits": {
            "exact": sum(bits < 0 for _, _, bits in copies),
            "near": sum(bits >= 0 for _, _, bits in copies),
            "listed": [
                {"studies": ["/".join(owners[i]), "/".join(owners[j])], "differing_bits": max(bits, 0)}
                for i, j, bits in copies[:COPIES_LISTED]
            ],
        },
        "options": json.loads(json.dumps(options)),
        "shards": {shard.name: sha256(shard) for shard in shards},
        **more,
    }
    assert manifest["studies"] + dropped.total() == account["studies_seen"]
    write_json(out / MANIFEST, manifest)
    return manifest
