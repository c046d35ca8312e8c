"""Write simulated studies in the MIMIC-CXR-JPG layout: pictures, reports, tables and the truth.

Each chunk of studies is one unit of work: its files and its part of the tables. A chunk whose record exists is done, so
the same command resumes; the tables are joined from the records at the end.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from omnicxr.data.files import claim, output_folder, read_state, whole_file, write_json, write_text
from omnicxr.data.images import encode_jpeg
from omnicxr.data.mimic_layout import Picture, dicom_id, mimic_tables, study_folder
from omnicxr.data.processes import run_jobs, working_on
from omnicxr.data.splits import hashed_split
from omnicxr.domain import Finding
from omnicxr.domain.settings import ImageSize, Seed, Settings, Studies
from omnicxr.simulation.population import Prevalence, sample_truth
from omnicxr.simulation.render import Rendering, render
from omnicxr.simulation.report import write_report

CHUNK = 20
Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class SimulationConfig(Settings):
    """What is simulated. Equal configs give equal files."""

    studies: Studies
    """How many. About one patient in eight has two."""
    seed: Seed = 0
    """Equal seeds give equal results."""
    image_size: ImageSize = 256
    """Side of the square pictures, pixels."""
    prevalence: Prevalence = field(default_factory=Prevalence)


def study_ids(seed: int, index: int) -> tuple[int, int]:
    """(subject_id, study_id) of a simulated study: about one patient in eight has two studies."""
    patient = index - 1 if index % 9 == 8 else index
    return 10_000_000 + (seed % 9) * 1_000_000 + patient, 50_000_000 + (seed % 9) * 1_000_000 + index


def simulate(
    config: SimulationConfig, out: Path, *, workers: int = 1, device: str = "cpu", progress: Progress | None = None
) -> None:
    """Write `config.studies` studies under `out`; finished parts are kept when the same command runs again.

    Raises UserError if `out` holds a simulation with other settings, another command writes there, or nothing can be
    written.
    """
    chunks = [range(i, min(i + CHUNK, config.studies)) for i in range(0, config.studies, CHUNK)]
    with output_folder(out, results=("chunks/*.json",)):
        claim(out / "simulation.json", asdict(config), what="a simulation", free=("studies",))
        # where more studies are asked for than before, the last chunk was not whole
        todo = [chunk for chunk in chunks if len(_record(out, chunk)) < len(chunk)]
        done = config.studies - sum(map(len, todo))
        for size in run_jobs(partial(_begin, config, out), todo, workers, devices=(device,)):
            done += size
            if progress:
                progress(done, config.studies)
        _write_tables(out, chunks)


def _begin(config: SimulationConfig, out: Path, device: str) -> Callable[[range], int]:
    """In each process that simulates."""

    def do_chunk(chunk: range) -> int:
        working_on(f"studies {chunk.start} to {chunk[-1]}")
        truths = [sample_truth(config.seed, i, config.prevalence) for i in chunk]
        rows = [_write_study(r, out) for r in render(truths, config.image_size, device)]
        write_json(_record_path(out, chunk.start), rows)
        return len(rows)

    return do_chunk


def _record(out: Path, chunk: range) -> list[dict[str, Any]]:
    """What was written of a chunk, as far as it is asked for; nothing before it is done."""
    return (read_state(_record_path(out, chunk.start)) or [])[: len(chunk)]


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
            temporary.write_bytes(encode_jpeg(Image.fromarray(pixels.numpy())))
        images.append(picture._asdict())
    write_text(folder.with_suffix(".txt"), report.text())
    labels = {f: None if s is None else int(s) for f, s in report.labels.items()}
    return {"subject_id": subject, "study_id": study, "images": images, "labels": labels, "truth": truth.to_json()}


def _write_tables(out: Path, chunks: list[range]) -> None:
    """The tables of MIMIC-CXR-JPG, and `truth.jsonl`."""
    with (
        mimic_tables(out) as tables,
        whole_file(out / "truth.jsonl") as temporary,
        temporary.open("w", encoding="utf-8") as file,
    ):
        for row in (row for chunk in chunks for row in _record(out, chunk)):
            person = row["truth"]["anatomy"]
            tables.add(
                row["subject_id"],
                row["study_id"],
                [Picture(**image) for image in row["images"]],
                labels={Finding(name): state for name, state in row["labels"].items()},
                split=hashed_split(str(row["subject_id"])),
                age=person["age"],
                sex=person["sex"],
            )
            file.write(json.dumps({k: row[k] for k in ("subject_id", "study_id", "truth")}) + "\n")
