"""`omnicxr demo`: what a newcomer sees first."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from omnicxr.app.page import Page
from omnicxr.data.files import check_writable, write_json, write_text
from omnicxr.domain import Notes
from omnicxr.models.folder import model_hash
from omnicxr.models.noticing import InputWarning
from omnicxr.pipeline import AnyToAnyPipeline, StudyOutput
from omnicxr.training.sheets import save_grid

SENTENCES = (
    "No acute cardiopulmonary process.",
    "Large left pleural effusion.",
    "Moderate right pleural effusion. There is severe cardiomegaly.",
    "Severe cardiomegaly. A left pectoral pacemaker is in place.",
    "Large consolidation in the right upper lobe.",
    "Large right pneumothorax.",
)
RESULTS = 2
"""Studies for each sentence, and from nothing."""


@dataclass(frozen=True, kw_only=True)
class Example:
    """A sentence, or nothing, and what was generated from it."""

    sentence: str
    pictures: list[Image.Image]
    """Frontal and lateral view of every result."""
    report: str
    """Written from the first two views; of a study from nothing, generated with them."""
    turned: list[Image.Image]
    """The lateral view from the first frontal view alone."""
    notes: Notes | None = None
    """What was noticed about the sentence, or about the report from nothing; None where nothing was looked at."""
    report_notes: Notes | None = None
    """About the views, and the report written from them."""
    turned_notes: Notes | None = None
    """About the first frontal view alone."""

    def noticed(self) -> list[str]:
        """All sentences, each once."""
        known = filter(None, (self.notes, self.report_notes, self.turned_notes))
        return list(dict.fromkeys(sentence for notes in known for sentence in notes.sentences()))


def run_demo(
    out: Path, *, model: Path | None = None, seed: int = 0, progress: Callable[[int, int], None] | None = None
) -> Path:
    """Write OUT/index.html, contact_sheet.png, demo.json and the pictures; returns the page's path."""
    start = time.monotonic()
    pipe = AnyToAnyPipeline.from_pretrained(model)
    check_writable(out)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)  # stands on the page
        sentences, free = _generate(pipe, seed, progress or (lambda done, total: None))
    save_grid(
        [np.stack([np.asarray(p) for p in (*e.pictures, *e.turned)]) for e in sentences], out / "contact_sheet.png"
    )
    record = {
        "seed": seed,
        "model_hash": model_hash(model),
        "image_size": pipe.image_size,
        "sampling": asdict(pipe.sampling),
        "seconds": round(time.monotonic() - start, 1),
        "sentences": [
            {
                "sentence": e.sentence,
                "report_from_views": e.report,
                "pictures": _save(e.pictures, out, f"sentence{i}"),
                "lateral_from_frontal": _save(e.turned, out, f"turned{i}"),
                "noticed": e.noticed(),
            }
            for i, e in enumerate(sentences)
        ],
        "from_nothing": [
            {"pictures": _save(e.pictures, out, f"nothing{i}"), "report": e.report, "noticed": e.noticed()}
            for i, e in enumerate(free)
        ],
    }
    write_json(out / "demo.json", record)
    write_text(out / "index.html", _page(sentences, free).html())
    return out / "index.html"


def _generate(
    pipe: AnyToAnyPipeline, seed: int, progress: Callable[[int, int], None]
) -> tuple[list[Example], list[Example]]:
    """What is shown of every sentence, and from nothing."""
    both = pipe(report=list(SENTENCES), generate=("frontal", "lateral"), num=RESULTS, seed=seed)
    assert both.frontal and both.lateral
    progress(1, 4)
    frontals, laterals = both.frontal[::RESULTS], both.lateral[::RESULTS]
    read = pipe(frontal=frontals, lateral=laterals, generate=("report",), seed=seed)
    progress(2, 4)
    turned = pipe(frontal=frontals, generate=("lateral",), seed=seed + 1)
    progress(3, 4)
    nothing = pipe(generate=("frontal", "lateral", "report"), num=RESULTS, seed=seed)
    progress(4, 4)
    assert read.report and turned.lateral and nothing.frontal and nothing.lateral and nothing.report
    pairs = list(zip(both.frontal, both.lateral, strict=True))
    sentences = []
    for i, sentence in enumerate(SENTENCES):
        pictures = [view for pair in pairs[i * RESULTS : (i + 1) * RESULTS] for view in pair]
        one = Example(
            sentence=sentence,
            pictures=pictures,
            report=read.report[i],
            turned=[turned.lateral[i]],
            notes=_notes_of(both, i * RESULTS),
            report_notes=_notes_of(read, i),
            turned_notes=_notes_of(turned, i),
        )
        sentences.append(one)
    views = zip(nothing.frontal, nothing.lateral, strict=True)
    free = [
        Example(sentence="", pictures=[*pair], report=report, turned=[], notes=_notes_of(nothing, i))
        for i, (pair, report) in enumerate(zip(views, nothing.report, strict=True))
    ]
    return sentences, free


def _notes_of(output: StudyOutput, index: int) -> Notes | None:
    return output.notes[index] if output.notes else None


def _save(pictures: list[Image.Image], out: Path, stem: str) -> list[str]:
    """The names of the pictures' files."""
    names = [f"{stem}_{k}.png" for k in range(len(pictures))]
    for name, picture in zip(names, pictures, strict=True):
        picture.save(out / name)
    return names


def _page(sentences: list[Example], free: list[Example]) -> Page:
    page = Page("OmniCXR demo", dark=True)
    page.text(
        "Everything on this page was generated on this computer by the bundled model, which learned from simulated"
        " studies. For research and teaching, not for diagnosis."
    )
    for e in sentences:
        page.heading(f"“{e.sentence}”")
        page.figure(e.pictures, "Two results, frontal and lateral, from the sentence alone")
        page.figure(e.turned, "Lateral from the first frontal alone")
        page.notes(e.notes)
        page.notes(e.turned_notes)
        page.text(f"Report written from the first two views: {e.report}")
        page.notes(e.report_notes)
    for e in free:
        page.heading("From nothing")
        page.figure(e.pictures, "Frontal and lateral")
        page.text(f"Report: {e.report}")
        page.notes(e.notes)
    return page
