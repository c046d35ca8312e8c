"""Write simulated studies in the MIMIC-CXR-JPG layout: pictures, reports, tables and the truth.

Each chunk of studies is one unit of work: its files and its part of the tables. A chunk whose record exists is done, so
the same command resumes; the tables are joined from the records at the end.
"""

from __future__ import annotations

import json
import multiprocessing as mp
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from omnicxr.data.files import check_writable, whole_file, write_json
from omnicxr.data.mimic_layout import MimicTables, Picture, dicom_id, study_folder
from omnicxr.data.processes import end_with_parent
from omnicxr.data.splits import hashed_split
from omnicxr.domain import Finding, UserError
from omnicxr.simulation.population import Prevalence, sample_truth
from omnicxr.simulation.render import Rendering, render
from omnicxr.simulation.report import write_report

CHUNK = 20
JPEG_QUALITY = 95
Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class SimulationConfig:
    """What is simulated. Equal configs give equal files."""

    studies: int
    """How many. About one patient in eight has two."""
    seed: int = 0
    """Equal seeds give equal results."""
    image_size: int = 256
    """Side of the square pictures, pixels."""
    prevalence: Prevalence = field(default_factory=Prevalence)

    def __post_init__(self) -> None:
        if self.studies < 1:
            raise UserError(f"Cannot simulate {self.studies} studies: ask for at least 1.")
        if not 32 <= self.image_size <= 1024:
            raise UserError(f"Image size {self.image_size} is out of range: choose 32 to 1024 pixels.")


def study_ids(seed: int, index: int) -> tuple[int, int]:
    """(subject_id, study_id) of a simulated study: about one patient in eight has two studies."""
    patient = index - 1 if index % 9 == 8 else index
    return 10_000_000 + (seed % 9) * 1_000_000 + patient, 50_000_000 + (seed % 9) * 1_000_000 + index


def simulate(
    config: SimulationConfig, out: Path, *, workers: int = 1, device: str = "cpu", progress: Progress | None = None
) -> None:
    """Write `config.studies` studies under `out`; finished parts are kept when the same command runs again.

    Raises UserError if `out` holds a simulation with other settings or cannot be written to.
    """
    check_writable(out)
    _claim(config, out)
    chunks = [range(i, min(i + CHUNK, config.studies)) for i in range(0, config.studies, CHUNK)]
    todo = [
        c for c in chunks if len(_record(out, c)) < len(c)
    ]  # the last chunk of fewer studies is done anew where more are asked for
    done = config.studies - sum(map(len, todo))
    for size in _run_chunks(config, out, todo, workers, device):
        done += size
        if progress:
            progress(done, config.studies)
    _write_tables(out, chunks)


def _claim(config: SimulationConfig, out: Path) -> None:
    """Write the settings, or check that those found are the same apart from the number of studies."""
    path = out / "simulation.json"
    wanted = asdict(config)
    if path.exists():
        found = json.loads(path.read_text())
        if {**found, "studies": 0} != {**wanted, "studies": 0}:
            raise UserError(f"{out} holds a simulation with other settings (see {path.name}): choose another folder.")
    write_json(path, wanted)


def _run_chunks(config: SimulationConfig, out: Path, todo: list[range], workers: int, device: str) -> Iterator[int]:
    jobs = [(config, out, chunk, device) for chunk in todo]
    if workers <= 1 or len(jobs) <= 1:
        yield from map(_do_chunk, jobs)
        return
    with mp.get_context("spawn").Pool(min(workers, len(jobs)), initializer=_set_up) as pool:
        yield from pool.imap_unordered(_do_chunk, jobs)


def _set_up() -> None:
    end_with_parent()
    torch.set_num_threads(1)


def _do_chunk(job: tuple[SimulationConfig, Path, range, str]) -> int:
    config, out, chunk, device = job
    truths = [sample_truth(config.seed, i, config.prevalence) for i in chunk]
    rows = [_write_study(r, out) for r in render(truths, config.image_size, device)]
    write_json(_record_path(out, chunk.start), rows)
    return len(rows)


def _record(out: Path, chunk: range) -> list[dict[str, Any]]:
    """What was written of a chunk, as far as it is asked for; nothing before it is done."""
    path = _record_path(out, chunk.start)
    return json.loads(path.read_text())[: len(chunk)] if path.exists() else []


def _record_path(out: Path, start: int) -> Path:
    return out / "chunks" / f"{start:07d}.json"


def _write_study(rendering: Rendering, out: Path) -> dict[str, Any]:
    truth = rendering.truth
    subject, study = study_ids(truth.seed, truth.index)
    report = write_report(truth)
    folder = study_folder(out, subject, study)
    images = []
    for exposure, pixels in ((truth.frontal, rendering.frontal), (truth.lateral, rendering.lateral)):
        picture = Picture(dicom_id(study, exposure.view), exposure.view, pixels.shape[-1])
        with whole_file(folder / f"{picture.dicom_id}.jpg") as temporary:
            Image.fromarray(pixels.numpy()).save(temporary, format="JPEG", quality=JPEG_QUALITY)
        images.append(picture._asdict())
    with whole_file(folder.with_suffix(".txt")) as temporary:
        temporary.write_text(report.text(), encoding="utf-8")
    labels = {f: None if s is None else int(s) for f, s in report.labels.items()}
    return {"subject_id": subject, "study_id": study, "images": images, "labels": labels, "truth": truth.to_json()}


def _write_tables(out: Path, chunks: list[range]) -> None:
    """The tables of MIMIC-CXR-JPG, and `truth.jsonl`."""
    rows = [row for chunk in chunks for row in _record(out, chunk)]
    with MimicTables(out) as tables:
        for row in rows:
            labels = {Finding(name): state for name, state in row["labels"].items()}
            anatomy, pictures = row["truth"]["anatomy"], [Picture(**image) for image in row["images"]]
            tables.add(
                row["subject_id"],
                row["study_id"],
                pictures,
                labels,
                hashed_split(str(row["subject_id"])),
                anatomy["age"],
                anatomy["sex"],
            )
    with whole_file(out / "truth.jsonl") as temporary:
        lines = (json.dumps({k: row[k] for k in ("subject_id", "study_id", "truth")}) for row in rows)
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
