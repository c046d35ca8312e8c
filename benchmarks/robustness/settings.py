"""`train --set` of every setting of a preset, with values that fit no model."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from benchmarks.robustness.cases import Case, Folders
from omnicxr.training.presets import get_preset

COUNTS = ("-1", "0", "1.5", "abc", "", "nan", "1000000000")
RATES = ("-1", "nan", "inf", "abc", "", "1e30")
TRIFLES = {("0", "principal_axes"), ("0", "encoder_blocks"), ("0", "decoder_blocks"), ("0", "encoder_depth"),
           ("0", "decoder_depth")}  # fmt: skip
"""Zero may mean something here."""
GOOD = ("generator.depth=3", "generator.depth=1,generator.heads=1", "image_autoencoder.encoder_blocks=2",
        "optimization.judge.steps=7", "optimization.image-autoencoder.batch_size=2", "vocab_size=400")  # fmt: skip


def cases(rng: random.Random) -> Iterator[Case]:
    """All of them."""
    for name, value in leaves(asdict(get_preset("nano"))):
        last = name.rpartition(".")[2]
        odd = {int: COUNTS, float: RATES}.get(type(value), ("x", ""))
        for text in odd:
            expect = "either" if (text, last) in TRIFLES or last == "name" else "refused"
            yield Case(name=f"{name}={text}", run=lambda f, s=f"{name}={text}": train(f, s), expect=expect)
    for text in GOOD:
        yield Case(name=text, run=lambda f, s=text: train(f, s), expect="handled")
    for text in ("generator.heads=5", "generator.width=7", "image_autoencoder.pixels_per_latent=6", "image_size=65",
                 "report_autoencoder.heads=5", "report_autoencoder.width=33", "image_size=128", "vocab_size=2",
                 "max_tokens=1000000", "generator.depth=10000000", "optimization=1", "generator={}",
                 "generator.depth=2=3", ".=1", "generator..depth=1", "design=published"):  # fmt: skip
        yield Case(name=text, run=lambda f, s=text: train(f, s), expect="refused" if "design" not in text else "either")


def leaves(values: dict[str, Any], within: str = "") -> Iterator[tuple[str, Any]]:
    """Name, as --set takes it, and value of every setting."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{within}{name}.")
        else:
            yield within + name, value


def train(folders: Folders, text: str) -> list[str]:
    run = ("image-autoencoder", "--preset", "nano", "--steps", "1", "--data", str(folders.prepared))
    return ["train", *run, "--set", text, "--out", "out"]
