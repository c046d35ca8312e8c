"""Studies => Parquet shards and manifest.json: the one form that training, evaluation and synthesis read.

First the data set is read through once: what is kept goes to an index on disk, one line per study, what is not is
counted. Then processes turn runs of lines into shards. Memory does not grow with the number of studies beyond their
identifiers. A shard that exists is done, so the same command resumes; the manifest is written last and marks a whole
data set.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from omnicxr.data.files import check_writable, claim, write_json
from omnicxr.data.manifest import MANIFEST, Manifest, write_manifest
from omnicxr.data.processes import run_jobs
from omnicxr.data.rows import study_to_json, write_studies
from omnicxr.data.selection import Selection, Selector
from omnicxr.data.sources import KINDS, StudySource, open_source
from omnicxr.domain import SPLITS, Study, UserError

INDEX = ".index"
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
) -> Manifest:
    """Prepare the data set at `where` into `out`; returns the manifest (with `dry_run`, only the account before
    pictures are read).

    `where` is as `open_source` takes it. Every study is either in a shard or counted under one reason. Raises UserError
    for a data set that cannot be read, a patient in two splits, an `out` prepared with other options, or a disk that is
    full.
    """
    source = open_source(config.kind, str(where), config.columns)
    selector = Selector(config.selection)
    if dry_run:
        splits = Counter(study.split for study, _ in _selected(source, selector))
        counts = {s: splits[s] for s in SPLITS}
        return Manifest(studies=splits.total(), splits=counts, **_account(selector, source))
    new = not out.exists()
    check_writable(out)
    try:
        claim(out / "options.json", asdict(config), what="a data set prepared")
        if manifest := _finished(out):
            return manifest
        account = _write_index(config, out, source=source, selector=selector)
    except UserError:
        if new:
            shutil.rmtree(out, ignore_errors=True)
        raise
    jobs = list(_jobs(config, account.pop("kept"), out))
    todo = [job for job in jobs if not job.path.exists()]
    for done, _ in enumerate(run_jobs(_do_shard, todo, workers), len(jobs) - len(todo) + 1):
        if progress:
            progress(done, len(jobs))
    manifest = write_manifest(out, [job.path for job in jobs], options=asdict(config), **account)
    shutil.rmtree(out / INDEX)
    return manifest


def _selected(source: StudySource, selector: Selector) -> Iterator[tuple[Study, str]]:
    for study in source.studies():
        if selected := selector.select(study):
            yield selected
        if selector.full():
            return


def _finished(out: Path) -> Manifest | None:
    """The manifest, if all its shards are there."""
    if not (out / MANIFEST).exists():
        return None
    manifest = Manifest.read(out)
    return manifest if all((out / name).exists() for name in manifest.shards) else None


def _account(selector: Selector, source: StudySource) -> dict[str, Any]:
    """What the manifest says of what reaches no shard."""
    account = selector.account
    dropped = account.dropped + source.dropped
    images = account.images_left_out + source.images_left_out
    return {
        "studies_seen": account.seen + source.dropped.total(),
        "dropped": dict(sorted(dropped.items())),
        "images_left_out": dict(sorted(images.items())),
    }


def _write_index(config: PrepareConfig, out: Path, *, source: StudySource, selector: Selector) -> dict[str, Any]:
    """One line per kept study in .index/SPLIT.jsonl; an index that is whole is used as it is.

    Returns the account and, as `kept`, the offset of every shard in the lines of its split.
    """
    folder = out / INDEX
    account_path = folder / "account.json"
    if account_path.exists():
        return json.loads(account_path.read_text())
    shutil.rmtree(folder, ignore_errors=True)
    kept: dict[str, list[int]] = {split: [] for split in SPLITS}
    counts: Counter[str] = Counter()
    try:
        folder.mkdir(parents=True)
        with ExitStack() as stack:
            files = {split: stack.enter_context((folder / f"{split}.jsonl").open("wb")) for split in SPLITS}
            for study, report in _selected(source, selector):
                file = files[study.split]
                if counts[study.split] % config.shard_size == 0:
                    kept[study.split].append(file.tell())
                counts[study.split] += 1
                file.write(study_to_json(study, report).encode() + b"\n")
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


def _jobs(config: PrepareConfig, kept: dict[str, list[int]], out: Path) -> Iterator[_Job]:
    for split in SPLITS:
        for n, offset in enumerate(kept[split]):
            yield _Job(out / INDEX / f"{split}.jsonl", offset, config, out / f"{split}-{n:05d}.parquet")


def _do_shard(job: _Job) -> None:
    with job.index.open("rb") as file:
        file.seek(job.offset)
        lines = [line.decode() for line in islice(file, job.config.shard_size)]
    write_studies(lines, job.path, image_size=job.config.image_size, selection=job.config.selection)
