"""The `generate` command: read inputs, run the pipeline, write results whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from omnicxr.data.files import check_writable, write_json
from omnicxr.data.images import load_image
from omnicxr.domain import Modality, Task, UserError
from omnicxr.models.folder import model_hash
from omnicxr.pipeline import AnyToAnyPipeline, StudyOutput

RECORD = "generation.json"


@dataclass(frozen=True, kw_only=True)
class GenerateConfig:
    """What the command line asked for."""

    frontal: Path | None
    lateral: Path | None
    report: str | None
    """Text, or @ and a file."""
    to: tuple[Modality, ...]
    model: Path | None
    num: int
    steps: int | None
    guidance: float | None
    seed: int
    device: str


def generate(config: GenerateConfig, out: Path, *, progress: Callable[[int, int], None] | None = None) -> None:
    """Write OUT/0000/{frontal.png,lateral.png,report.txt} ... and OUT/generation.json.

    Everything is checked before anything is written. Raises UserError for inputs that cannot be used.
    """
    files = {Modality.FRONTAL: config.frontal, Modality.LATERAL: config.lateral, Modality.REPORT: config.report}
    task = Task(tuple(m for m, f in files.items() if f is not None), config.to)
    if (out / RECORD).exists():
        raise UserError(f"{out} already holds results: choose another folder or delete it.")
    given = {str(m): _read(m, files[m]) for m in task.given}
    pipe = AnyToAnyPipeline.from_pretrained(config.model, device=config.device)
    pipe.sampling = pipe.sampling.changed(num_inference_steps=config.steps, guidance_scale=config.guidance)
    output = pipe(**given, generate=task.generate, num=config.num, seed=config.seed, progress=progress)  # type: ignore[arg-type]
    check_writable(out)
    record = {
        "task": str(task),
        "seed": config.seed,
        "sampling": asdict(pipe.sampling),
        "model_hash": model_hash(config.model),
        "image_size": pipe.image_size,
        "given": {str(m): str(files[m]) for m in task.given},
        "note": "Synthetic. For research and teaching, not for diagnosis.",
    }
    _write(output, task, config.num, record, out)


def _read(modality: Modality, source: Any) -> Any:
    return load_image(source, 512) if modality.is_image else report_argument(source)


def report_argument(source: str) -> str:
    """Report text given as itself or as @FILE. Raises UserError for a file that cannot be read or is empty."""
    if not source.startswith("@"):
        return source
    path = Path(source[1:])
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"Cannot read the report {path}: {error.strerror}. Check the path.") from error
    except UnicodeDecodeError:
        raise UserError(f"The report {path} is not UTF-8 text: save it as plain text.") from None
    if not text.strip():
        raise UserError(f"The report {path} is empty: write at least one sentence.")
    return text


def _write(output: StudyOutput, task: Task, num: int, record: dict[str, Any], out: Path) -> None:
    temporary = out / f".results.{os.getpid()}"
    items = []
    try:
        for i in range(num):
            folder = temporary / f"{i:04d}"
            folder.mkdir(parents=True)
            names = {}
            for m in task.generate:
                value = getattr(output, m)[i]
                names[str(m)] = f"{i:04d}/{m}.png" if m.is_image else f"{i:04d}/{m}.txt"
                if m.is_image:
                    value.save(temporary / names[str(m)], format="PNG")
                else:
                    (temporary / names[str(m)]).write_text(value + "\n", encoding="utf-8")
            items.append({"item": i, "files": names})
        for i in range(num):
            shutil.rmtree(out / f"{i:04d}", ignore_errors=True)
            (temporary / f"{i:04d}").replace(out / f"{i:04d}")
    except OSError as error:
        raise UserError(
            f"Cannot write the results to {out}: {error.strerror or error}. Free some space or choose another folder."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    write_json(out / RECORD, {**record, "items": items})
