"""Studies => Parquet shards and manifest.json: the one form that training, evaluation and synthesis read.

A shard that exists is done, so the same command resumes; the manifest is written last and marks a whole data set.
"""

from __future__ import annotations

import json
import multiprocessing as mp
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from omnicxr.data.files import check_writable, sha256, whole_file, write_json
from omnicxr.data.images import encode_png, load_image
from omnicxr.data.sources import SOURCES
from omnicxr.domain import SPLITS, Finding, Modality, Study, UserError

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
SCHEMA = pa.schema(
    [
        ("subject_id", pa.string()), ("study_id", pa.string()), ("split", pa.string()), ("source", pa.string()),
        ("frontals", pa.list_(IMAGE)), ("frontal_views", pa.list_(pa.string())),
        ("laterals", pa.list_(IMAGE)), ("lateral_views", pa.list_(pa.string())),
        ("findings", pa.string()), ("impression", pa.string()), ("report", pa.string()),
        *((f"label_{f}", pa.int8()) for f in Finding),
        ("age", pa.float32()), ("sex", pa.string()), ("truth", pa.string()),
    ]
)  # fmt: skip
"""One row is one study. `bytes` are PNG, square, 8-bit grey; labels are 1, 0, -1 or null."""

MANIFEST = "manifest.json"
Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    """What is prepared and how. Equal configs on equal data give equal bytes."""

    kind: str
    image_size: int = 256
    require: tuple[Modality, ...] = ()
    """Modalities without which a study is left out; the published setting requires all three."""
    shard_size: int = 256
    """Studies in a shard."""

    def __post_init__(self) -> None:
        if self.kind not in SOURCES:
            raise UserError(f"Unknown data set '{self.kind}': choose from {', '.join(SOURCES)}.")
        if not 32 <= self.image_size <= 1024:
            raise UserError(f"Image size {self.image_size} is out of range: choose 32 to 1024 pixels.")


def prepare(
    config: PrepareConfig, root: Path, out: Path, *, workers: int = 1, dry_run: bool = False, progress: Progress | None = None
) -> dict[str, Any]:
    """Prepare the data set under `root` into `out`; returns the manifest (with `dry_run`, only counts, nothing written).

    Every study is either in a shard or counted under one reason. Raises UserError for a data set that cannot be read,
    a patient in two splits, an `out` prepared with other options, or a disk that is full.
    """
    if not root.is_dir():
        raise UserError(f"No such data folder: {root}. Check the path.")
    source = SOURCES[config.kind](root)
    dropped: Counter[str] = Counter()
    studies = []
    for study in source.studies():
        reason = _reason_to_drop(study, config)
        if reason:
            dropped[reason] += 1
        else:
            studies.append(study)
    dropped += source.dropped
    _check_no_leak(studies)
    counts = {"studies_seen": len(studies) + dropped.total(), "dropped_before_images": dict(sorted(dropped.items()))}
    if dry_run:
        return {**counts, "studies": len(studies), "splits": dict(Counter(s.split for s in studies))}
    check_writable(out)
    _claim(config, out)
    jobs = list(_shards(studies, config, out))
    todo = [job for job in jobs if not job[2].exists()]
    done = len(jobs) - len(todo)
    for _ in _run(todo, workers):
        done += 1
        if progress:
            progress(done, len(jobs))
    return _write_manifest(config, counts, [job[2] for job in jobs], out)


def _reason_to_drop(study: Study, config: PrepareConfig) -> str | None:
    there = study.modalities()
    if study.split not in SPLITS:
        return "unknown split"
    if not there:
        return "nothing usable in it"
    missing = [m for m in config.require if m not in there]
    return f"no {missing[0]}" if missing else None


def _check_no_leak(studies: list[Study]) -> None:
    split_of: dict[str, str] = {}
    for study in studies:
        if split_of.setdefault(study.subject_id, study.split) != study.split:
            raise UserError(f"Patient {study.subject_id} is in the splits {split_of[study.subject_id]} and {study.split}: mend the split table.")


def _claim(config: PrepareConfig, out: Path) -> None:
    path = out / "options.json"
    wanted = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(config).items()}
    if path.exists() and json.loads(path.read_text()) != wanted:
        raise UserError(f"{out} was prepared with other options (see {path.name}): choose another folder.")
    write_json(path, wanted)


Job = tuple[list[Study], int, Path]


def _shards(studies: list[Study], config: PrepareConfig, out: Path) -> Iterator[Job]:
    for split in SPLITS:
        part = [s for s in studies if s.split == split]
        for n, start in enumerate(range(0, len(part), config.shard_size)):
            yield part[start : start + config.shard_size], config.image_size, out / f"{split}-{n:05d}.parquet"


def _run(jobs: list[Job], workers: int) -> Iterator[None]:
    if workers <= 1 or len(jobs) <= 1:
        yield from map(_write_shard, jobs)
        return
    with mp.get_context("spawn").Pool(min(workers, len(jobs))) as pool:
        yield from pool.imap_unordered(_write_shard, jobs)


def _write_shard(job: Job) -> None:
    studies, image_size, path = job
    dropped: Counter[str] = Counter()
    rows = []
    for study in studies:
        try:
            rows.append(_row(study, image_size))
        except UserError as error:
            dropped[f"unreadable image: {error}"] += 1
    table = pa.Table.from_pylist(rows, SCHEMA.with_metadata({"dropped": "\n".join(sorted(dropped.elements()))}))
    with whole_file(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", row_group_size=64)


def _row(study: Study, image_size: int) -> dict[str, Any]:
    images: dict[Modality, list[tuple[bytes, str]]] = {Modality.FRONTAL: [], Modality.LATERAL: []}
    for ref in study.images:
        picture = load_image(ref.path, image_size)
        images[ref.view.modality].append((encode_png(picture), ref.view))
    columns = {
        f"{modality}s": [{"bytes": data, "path": None} for data, _ in pictures] for modality, pictures in images.items()
    } | {f"{modality}_views": [view for _, view in pictures] for modality, pictures in images.items()}
    labels = {f"label_{f}": None if s is None else int(s) for f, s in study.labels.items()}
    return {
        "subject_id": study.subject_id, "study_id": study.study_id, "split": study.split, "source": study.source,
        "findings": study.findings_text, "impression": study.impression_text, "report": study.report,
        "age": study.age, "sex": study.sex, "truth": study.truth, **columns, **labels,
    }  # fmt: skip


def _write_manifest(config: PrepareConfig, counts: dict[str, Any], shards: list[Path], out: Path) -> dict[str, Any]:
    unreadable: list[str] = []
    splits: Counter[str] = Counter()
    modalities: Counter[str] = Counter()
    for shard in shards:
        file = pq.ParquetFile(shard)
        notes = (file.schema_arrow.metadata or {}).get(b"dropped", b"").decode()
        unreadable += notes.splitlines()
        table = file.read(["split", "report", "frontal_views", "lateral_views"]).to_pylist()
        splits.update(row["split"] for row in table)
        for row in table:
            there = (("frontal", row["frontal_views"]), ("lateral", row["lateral_views"]), ("report", row["report"]))
            modalities["+".join(name for name, value in there if value)] += 1
    manifest = {
        "format": 1,
        **counts,
        "dropped_unreadable": sorted(unreadable),
        "studies": splits.total(),
        "splits": {s: splits[s] for s in SPLITS},
        "modalities": dict(sorted(modalities.items())),
        "options": {"kind": config.kind, "image_size": config.image_size, "require": list(config.require)},
        "shards": {shard.name: sha256(shard) for shard in shards},
    }
    write_json(out / MANIFEST, manifest)
    return manifest
