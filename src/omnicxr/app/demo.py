"""`omnicxr demo`: what a newcomer sees first."""

from __future__ import annotations

import base64
import html
import io
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from omnicxr.data.files import check_writable, write_json, write_text
from omnicxr.models.folder import model_hash
from omnicxr.pipeline import AnyToAnyPipeline
from omnicxr.training.sheets import save_grid

SENTENCES = (
    "No acute cardiopulmonary process.",
    "Large left pleural effusion.",
    "Moderate right pleural effusion. There is severe cardiomegaly.",
    "Severe cardiomegaly. A left pectoral pacemaker is in place.",
    "Large consolidation in the right upper lobe.",
    "Large right pneumothorax.",
)
SEEDS_PER_SENTENCE = 2
SCALE = 2
"""Enlargement of the pictures on the page."""


def run_demo(
    out: Path, *, model: Path | None = None, seed: int = 0, progress: Callable[[int, int], None] | None = None
) -> Path:
    """Write OUT/index.html, contact_sheet.png, demo.json and the pictures; returns the page's path."""
    start = time.monotonic()
    pipe = AnyToAnyPipeline.from_pretrained(model)
    check_writable(out)
    stages = 4

    def done(n: int) -> None:
        if progress:
            progress(n, stages)

    both = pipe(report=list(SENTENCES), generate=("frontal", "lateral"), num=SEEDS_PER_SENTENCE, seed=seed)
    assert both.frontal and both.lateral
    done(1)
    first = slice(None, None, SEEDS_PER_SENTENCE)
    written = pipe(frontal=both.frontal[first], lateral=both.lateral[first], generate=("report",), seed=seed)
    done(2)
    turned = pipe(frontal=both.frontal[first], generate=("lateral",), seed=seed + 1)
    done(3)
    nothing = pipe(generate=("frontal", "lateral", "report"), num=2, seed=seed)
    done(4)
    assert written.report and turned.lateral and nothing.frontal and nothing.lateral and nothing.report

    rows, entries = [], []
    for i, sentence in enumerate(SENTENCES):
        pair = [
            p
            for k in range(SEEDS_PER_SENTENCE)
            for p in (both.frontal[i * SEEDS_PER_SENTENCE + k], both.lateral[i * SEEDS_PER_SENTENCE + k])
        ]
        rows.append(np.stack([np.asarray(p) for p in (*pair, turned.lateral[i])]))
        entries.append(
            {
                "sentence": sentence,
                "report_from_views": written.report[i],
                "pictures": _save(pair, out, f"sentence{i}"),
                "lateral_from_frontal": _save([turned.lateral[i]], out, f"turned{i}"),
            }
        )
    save_grid(rows, out / "contact_sheet.png")
    free = [
        {"pictures": _save([nothing.frontal[k], nothing.lateral[k]], out, f"nothing{k}"), "report": nothing.report[k]}
        for k in range(2)
    ]
    write_json(
        out / "demo.json",
        {
            "seed": seed,
            "model_hash": model_hash(model),
            "image_size": pipe.image_size,
            "sampling": asdict(pipe.sampling),
            "seconds": round(time.monotonic() - start, 1),
            "sentences": entries,
            "from_nothing": free,
        },
    )
    page = out / "index.html"
    write_text(page, _page(entries, free, out))
    return page


def _save(pictures: list[Image.Image], out: Path, stem: str) -> list[str]:
    names = [f"{stem}_{k}.png" for k in range(len(pictures))]
    for name, picture in zip(names, pictures, strict=True):
        picture.save(out / name)
    return names


def _figure(out: Path, name: str) -> str:
    with Image.open(out / name) as picture:
        large = picture.resize((picture.width * SCALE, picture.height * SCALE), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    large.save(buffer, format="PNG")
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="{name}" width="{large.width}" height="{large.height}" src="data:image/png;base64,{data}">'


def _page(entries: list[dict[str, Any]], free: list[dict[str, Any]], out: Path) -> str:
    """A self-contained page."""
    blocks = []
    for e in entries:
        pictures = "".join(_figure(out, n) for n in e["pictures"])
        turned = "".join(_figure(out, n) for n in e["lateral_from_frontal"])
        blocks.append(
            f"<section><h2>“{html.escape(e['sentence'])}”</h2><div class=row><figure>{pictures}<figcaption>Two results,"
            f" frontal and lateral, from the sentence alone</figcaption></figure><figure>{turned}<figcaption>Lateral"
            " from the first frontal alone</figcaption></figure></div><p><b>Report written from the first two"
            f" views:</b> {html.escape(e['report_from_views'])}</p></section>"
        )
    for e in free:
        pictures = "".join(_figure(out, n) for n in e["pictures"])
        blocks.append(
            f"<section><h2>From nothing</h2><figure>{pictures}</figure><p>{html.escape(e['report'])}</p></section>"
        )
    return _TEMPLATE.replace("BLOCKS", "\n".join(blocks))


_TEMPLATE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>OmniCXR demo</title>
<style>
body { font: 16px/1.5 system-ui,
sans-serif; background: #111; color: #ddd; max-width: 1400px; margin: 2rem auto; padding: 0 1rem }
h1, h2 { font-weight: 500; color: #fff } h2 { font-size: 1.15rem; margin-bottom: .4rem }
section { border-top: 1px solid #333; padding: .6rem 0 1rem } .row { display: flex; flex-wrap: wrap; gap: 1rem }
figure { margin: 0 } figcaption { color: #999; font-size: .85rem } img { margin-right: 4px }
</style>
<h1>OmniCXR</h1>
<p>Everything on this page was generated on this computer by the bundled model, which learned from simulated studies.
For research and teaching, not for diagnosis.</p>
BLOCKS
</html>
"""
