"""The `generate` command: read inputs, run the pipeline, write results whole or not at all."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from PIL.PngImagePlugin import PngInfo

from omnicxr.app.arguments import Device
from omnicxr.data.files import part_of, write_json, writes_out
from omnicxr.data.plain_files import read_limited
from omnicxr.data.table_files import decode_text
from omnicxr.data.typed_json import to_json
from omnicxr.domain import Modality, Notes, Task, UserError
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
    strict: bool = False
    """Refuse pictures and sentences that the model cannot be expected to read, instead of saying so."""
    raw: bool = False
    """Look at nothing, and take the report's text as it stands."""
    confidence: bool = False
    """Say how sure the findings of a generated report are, by drawing several."""
    device: Device = "cpu"
    """cpu, cuda, cuda:1, ..."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.strict and self.raw:
            raise UserError("Both --strict and --raw were asked for: choose one.")
        if self.confidence and Modality.REPORT not in self.to:
            raise UserError("--confidence is about a generated report: add report to --to, or leave it out.")


@writes_out(RECORD)
def generate(config: GenerateConfig, out: Path, *, progress: Callable[[int, int], None] | None = None) -> list[str]:
    """Write OUT/0000/{frontal.png,lateral.png,report.txt} ... and OUT/generation.json; returns what a person should be
    told of the inputs and outputs, a sentence each.

    Everything is checked before anything is written. What was noticed stands in generation.json, and in every file
    that is generated where the model cannot be expected to read what it is given. Raises UserError for inputs that
    cannot be used, with `config.strict` also for those that the model cannot be expected to read.
    """
    from omnicxr.models.folder import model_hash
    from omnicxr.models.noticing import InputWarning
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
    door: dict[str, Any] = {"strict": config.strict, "raw": config.raw, "confidence": config.confidence}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)  # returned instead
        output = pipe(**given, generate=task.generate, num=config.num, seed=config.seed, progress=progress, **door)
    notes = output.notes or []
    record = {
        "task": str(task),
        "seed": config.seed,
        "sampling": asdict(pipe.sampling),
        "model_hash": model_hash(config.model),
        "image_size": pipe.image_size,
        "given": {str(m): str(sources[m]) for m in task.given},
        "note": "Synthetic. For research and teaching, not for diagnosis.",
    }
    files = _write({m: getattr(output, m) for m in task.generate}, notes, out)
    items = [{"item": i, "files": f, "notes": to_json(n)} for i, (f, n) in enumerate(zip(files, notes, strict=True))]
    write_json(out / RECORD, {**record, "fit": str(notes[0].fit), "items": items})
    return list(dict.fromkeys(sentence for n in notes for sentence in n.sentences()))


def report_argument(source: str) -> str:
    """Report text given as itself or as @FILE. Raises UserError for a file that cannot be read or is empty."""
    if not source.startswith("@"):
        return source
    path = Path(source[1:])
    text = decode_text(read_limited(path))
    if not any(map(str.isalpha, text)):
        raise UserError(f"The report {path} is empty or no text: write at least one sentence.")
    return text


def _write(parts: dict[Modality, list[Any]], notes: Sequence[Notes], out: Path) -> list[dict[str, str]]:
    """Write all results to `out` or none of them; returns the files of each."""
    temporary = part_of(out / "results")
    num = len(notes)
    names = [{str(m): f"{i:04d}/{m}.{'png' if m.is_image else 'txt'}" for m in parts} for i in range(num)]
    try:
        for i, note in enumerate(notes):
            (temporary / f"{i:04d}").mkdir(parents=True)
            mark = " ".join(note.sentences()) if note.doubtful else ""
            for m, values in parts.items():
                _write_part(values[i], temporary / names[i][m], mark)
        for i in range(num):
            shutil.rmtree(out / f"{i:04d}", ignore_errors=True)
            (temporary / f"{i:04d}").replace(out / f"{i:04d}")
    except OSError as error:
        raise UserError(
            f"Cannot write the results to {out}: {error.strerror or error}. Free some space or choose another folder."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return names


def _write_part(value: Any, path: Path, mark: str) -> None:
    """A picture or a text, marked where there is something to be said against it."""
    if isinstance(value, str):
        path.write_text((f"NOTICE: {mark}\n\n" if mark else "") + value + "\n", encoding="utf-8")
        return
    info = PngInfo()
    if mark:
        info.add_itxt("Notice", mark)
    value.save(path, format="PNG", pnginfo=info)
