"""The `generate` command: read inputs, run the pipeline, write results whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from omnicxr.app.arguments import Device
from omnicxr.data.files import part_of, write_json, writes_out
from omnicxr.data.plain_files import read_limited
from omnicxr.data.table_files import decode_text
from omnicxr.domain import Modality, Task, UserError
from omnicxr.domain.settings import Between, Guidance, SamplingSteps, Seed, Settings

RECORD = "generation.json"


@dataclass(frozen=True, kw_only=True)
class GenerateConfig(Settings):
    """What is generated from what."""

    frontal: Path | None = None
    """Frontal view: PNG, JPEG, TIFF or DICOM."""
    lateral: Path | None = None
    """Lateral view."""
    report: str | None = None
    """Report text, or @FILE."""
    to: tuple[Modality, ...]
    """What to generate: frontal,lateral,report or a part of it."""
    model: Path | None = None
    """Model folder; default: the bundled model."""
    num: Annotated[int, Between(1, 10_000)] = 4
    """How many different results."""
    steps: SamplingSteps | None = None
    """Sampling steps; default: the model's."""
    guidance: Guidance | None = None
    """Guidance scale, 1 for none; default: the model's."""
    seed: Seed = 0
    """Equal seeds give equal results."""
    device: Device = "cpu"
    """cpu, cuda, cuda:1, ..."""


@writes_out(RECORD)
def generate(config: GenerateConfig, out: Path, *, progress: Callable[[int, int], None] | None = None) -> None:
    """Write OUT/0000/{frontal.png,lateral.png,report.txt} ... and OUT/generation.json.

    Everything is checked before anything is written. Raises UserError for inputs that cannot be used.
    """
    from omnicxr.models.folder import model_hash
    from omnicxr.pipeline import AnyToAnyPipeline

    sources = {Modality.FRONTAL: config.frontal, Modality.LATERAL: config.lateral, Modality.REPORT: config.report}
    task = Task(tuple(m for m, source in sources.items() if source is not None), config.to)
    if (out / RECORD).exists():
        raise UserError(f"{out} already holds results: choose another folder or delete it.")
    given: dict[str, Any] = {str(m): sources[m] for m in task.given}
    if config.report is not None:
        given["report"] = report_argument(config.report)
    pipe = AnyToAnyPipeline.from_pretrained(config.model, device=config.device)
    pipe.sampling = pipe.sampling.changed(num_inference_steps=config.steps, guidance_scale=config.guidance)
    output = pipe(**given, generate=task.generate, num=config.num, seed=config.seed, progress=progress)
    record = {
        "task": str(task),
        "seed": config.seed,
        "sampling": asdict(pipe.sampling),
        "model_hash": model_hash(config.model),
        "image_size": pipe.image_size,
        "given": {str(m): str(sources[m]) for m in task.given},
        "note": "Synthetic. For research and teaching, not for diagnosis.",
    }
    items = _write({m: getattr(output, m) for m in task.generate}, config.num, out)
    write_json(out / RECORD, {**record, "items": items})


def report_argument(source: str) -> str:
    """Report text given as itself or as @FILE. Raises UserError for a file that cannot be read or is empty."""
    if not source.startswith("@"):
        return source
    path = Path(source[1:])
    text = decode_text(read_limited(path))
    if not any(map(str.isalpha, text)):
        raise UserError(f"The report {path} is empty or no text: write at least one sentence.")
    return text


def _write(parts: dict[Modality, list[Any]], num: int, out: Path) -> list[dict[str, Any]]:
    """Write all results to `out` or none of them; returns the record's list of their files."""
    temporary = part_of(out / "results")
    names = [{str(m): f"{i:04d}/{m}.{'png' if m.is_image else 'txt'}" for m in parts} for i in range(num)]
    try:
        for i in range(num):
            (temporary / f"{i:04d}").mkdir(parents=True)
            for m, values in parts.items():
                path = temporary / names[i][m]
                if m.is_image:
                    values[i].save(path, format="PNG")
                else:
                    path.write_text(values[i] + "\n", encoding="utf-8")
        for i in range(num):
            shutil.rmtree(out / f"{i:04d}", ignore_errors=True)
            (temporary / f"{i:04d}").replace(out / f"{i:04d}")
    except OSError as error:
        raise UserError(
            f"Cannot write the results to {out}: {error.strerror or error}. Free some space or choose another folder."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return [{"item": i, "files": files} for i, files in enumerate(names)]
