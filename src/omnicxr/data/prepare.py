"""Studies => Parquet shards and manifest.json: the one form that training, evaluation and synthesis read.

First the data set is read through once: what is kept goes to an index on disk, one line per study, what is not is
counted. Then processes turn runs of lines into shards. Memory does not grow with the number of studies beyond their
identifiers. A shard that exists is done, so the same command resumes; the manifest is written last and marks a whole
data set.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

from omnicxr.data.counts import FILE_MISSING
from omnicxr.data.files import cannot_write, claim, output_folder, read_state, write_json
from omnicxr.data.manifest import MANIFEST, Manifest, write_manifest
from omnicxr.data.processes import run_jobs
from omnicxr.data.rows import study_to_json, write_studies
from omnicxr.data.selection import Selection, Selector
from omnicxr.data.shards import is_shard
from omnicxr.data.sources import KINDS, StudySource, open_source
from omnicxr.data.split_table import read_split_table
from omnicxr.domain import SPLITS, Facing, Study, UserError
from omnicxr.domain.settings import Between, ImageSize, Settings

INDEX, ACCOUNT = ".index", "account.json"
REPORT_EVERY, REASONS_NAMED = 500, 5
MOST_DEADLY = 8
"""Pictures of a shard that may end the process that reads them; more are a sign of something else."""
Progress = Callable[[int, int | None], None]
"""Called with what is done: studies read, of a number that is not known yet (None), then shards of all."""


@dataclass(frozen=True, kw_only=True)
class PrepareConfig(Settings):
    """What is prepared and how. Equal configs on equal data give equal bytes."""

    kind: str
    image_size: ImageSize = 256
    selection: Selection = field(default_factory=Selection)
    columns: dict[str, str] = field(default_factory=dict)
    """For "table": role => column, see `omnicxr.data.sources.table`."""
    shard_size: Annotated[int, Between(1, 100_000)] = 256
    """Studies in a shard."""
    splits: Path | None = None
    """A table of splits, see `omnicxr.data.split_table`."""
    face: Facing | None = None
    """Laterals that face the other way are mirrored; None: they stay as they are."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind not in KINDS:
            raise UserError(f"Unknown data set '{self.kind}': choose from {', '.join(KINDS)}.")


def prepare(
    config: PrepareConfig,
    where: Path | str,
    out: Path,
    *,
    workers: int = 1,
    dry_run: bool = False,
    progress: Progress | None = None,
    warn: Callable[[Sequence[str]], None] | None = None,
) -> Manifest:
    """Prepare the data set at `where` into `out`; returns the manifest (with `dry_run`, only the account before
    pictures are read). `warn` is called with its warnings before pictures are read.

    `where` is as `open_source` takes it. Every study is either in a shard or counted under one reason. Raises UserError
    for a data set or split table that cannot be read, a split table that names none of the studies, a patient in two
    splits, an `out` prepared with other options, a disk that is full, or nothing that can be used; what it wrote is
    gone then, but for shards that are done.
    """
    source = open_source(config.kind, str(where), config.columns)
    table = read_split_table(config.splits) if config.splits else None
    options = {**asdict(config), "splits": table.sha256 if table else None}
    selector = Selector(config.selection, table)
    studies = _selected(source, selector, progress)
    if dry_run:
        splits = Counter(study.split for study, _ in studies)
        counts, account = {s: splits[s] for s in SPLITS}, _account(selector, source)
        return _with_studies(Manifest(studies=splits.total(), splits=counts, **account), where)
    with output_folder(out, results=("*.parquet",)):
        claim(out / "options.json", options, what="a data set prepared")
        if manifest := _finished(out):
            shutil.rmtree(out / INDEX, ignore_errors=True)  # of a command killed at its very end
            return manifest
        account = _write_index(config, out, studies=studies, account=lambda: _account(selector, source))
        kept = account.pop("kept")
        _with_studies(Manifest(studies=sum(map(len, kept.values())), splits={}, **account), where)
        if warn:
            warn(account.get("warnings", ()))
        jobs = list(_jobs(config, kept, out))
        _write_shards(jobs, workers, progress)
        manifest = write_manifest(out, [job.path for job in jobs], options=options, **account)
        shutil.rmtree(out / INDEX)
        if not manifest.studies:
            for path in (out / MANIFEST, *(job.path for job in jobs)):
                path.unlink()
        return _with_studies(manifest, where)


def _with_studies(manifest: Manifest, where: Path | str) -> Manifest:
    """The manifest. Raises UserError, with the reasons, where no study is in it."""
    if manifest.studies:
        return manifest
    lost = {**manifest.dropped, **{f"pictures left out: {r}": n for r, n in manifest.images_left_out.items()}}
    reasons = "; ".join(f"{reason}: {n}" for reason, n in Counter(lost).most_common(REASONS_NAMED))
    first = f" (first: {manifest.unreadable[0]['error']})" if manifest.unreadable else ""
    raise UserError(
        f"Nothing of {where} can be used: of {manifest.studies_seen} studies none was kept"
        f"{f' ({reasons}){first}' if reasons else ''}: mend the data or choose other options."
    )


def _selected(source: StudySource, selector: Selector, progress: Progress | None) -> Iterator[tuple[Study, str]]:
    for study in source.studies():
        if selected := selector.select(study):
            yield selected
        if progress and selector.account.seen % REPORT_EVERY == 0:
            progress(selector.account.seen, None)
        if selector.full():
            break
    selector.close()


def _finished(out: Path) -> Manifest | None:
    """The manifest, if all its shards are there."""
    if not (out / MANIFEST).exists():
        return None
    manifest = Manifest.read(out)
    return manifest if all(is_shard(out / name) for name in manifest.shards) else None


def _account(selector: Selector, source: StudySource) -> dict[str, Any]:
    """What the manifest says of what reaches no shard."""
    account = selector.account
    dropped = account.dropped + source.dropped
    images = account.images_left_out + source.images_left_out
    return {
        "studies_seen": account.seen + source.dropped.total(),
        "dropped": dict(sorted(dropped.items())),
        "images_left_out": dict(sorted(images.items())),
        "noticed": dict(sorted((account.noticed + source.noticed).items())),
        "warnings": selector.warnings(source.images_left_out[FILE_MISSING]),
    }


def _write_index(
    config: PrepareConfig, out: Path, *, studies: Iterator[tuple[Study, str]], account: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """One line per kept study in .index/SPLIT.jsonl; an index that is whole is used as it is.

    Returns the account, which is known when the studies are through, and, as `kept`, the offset of every shard in the
    lines of its split.
    """
    folder = out / INDEX
    account_path = folder / ACCOUNT
    if found := read_state(account_path):
        return found
    shutil.rmtree(folder, ignore_errors=True)
    kept: dict[str, list[int]] = {split: [] for split in SPLITS}
    counts: Counter[str] = Counter()
    try:
        folder.mkdir(parents=True)
        with ExitStack() as stack:
            files = {split: stack.enter_context((folder / f"{split}.jsonl").open("wb")) for split in SPLITS}
            for study, report in studies:
                file = files[study.split]
                if counts[study.split] % config.shard_size == 0:
                    kept[study.split].append(file.tell())
                counts[study.split] += 1
                file.write(study_to_json(study, report).encode() + b"\n")
    except OSError as error:
        raise cannot_write(folder, error) from error
    whole = {**account(), "kept": kept}
    write_json(account_path, whole)
    return whole


@dataclass(frozen=True)
class _Job:
    """One shard: where its lines begin, and where it goes."""

    index: Path
    offset: int
    config: PrepareConfig
    path: Path
    deadly: tuple[str, ...] = ()
    """Pictures that are not read: each ended the process that tried."""


def _jobs(config: PrepareConfig, kept: dict[str, list[int]], out: Path) -> Iterator[_Job]:
    for split in SPLITS:
        for n, offset in enumerate(kept[split]):
            yield _Job(out / INDEX / f"{split}.jsonl", offset, config, out / f"{split}-{n:05d}.parquet")


def _write_shards(jobs: Sequence[_Job], workers: int, progress: Progress | None) -> None:
    """Those that are not there yet."""
    todo = [job for job in jobs if not is_shard(job.path)]
    for done, _ in enumerate(run_jobs(_begin, todo, workers, lost=_without), len(jobs) - len(todo) + 1):
        if progress:
            progress(done, len(jobs))


def _begin(_: str) -> Callable[[_Job], None]:
    return _do_shard


def _do_shard(job: _Job) -> None:
    with job.index.open("rb") as file:
        file.seek(job.offset)
        lines = [line.decode() for line in islice(file, job.config.shard_size)]
    config = job.config
    write_studies(
        lines, job.path, image_size=config.image_size, selection=config.selection, face=config.face, deadly=job.deadly
    )


def _without(job: _Job, picture: str) -> list[_Job]:
    """A shard without the picture at which workers keep dying."""
    if not picture or len(job.deadly) == MOST_DEADLY:
        raise UserError(
            f"Workers keep dying at {picture or job.path}: most likely memory ran out. What is done is kept: run the"
            " same command with fewer --workers."
        )
    return [replace(job, deadly=(*job.deadly, picture))]
