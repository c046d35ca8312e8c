"""What does the generator read of a given part, its tokens or its prompt embedding? `python scripts/exchange_given.py PREPARED [MODEL] [STUDIES]`.

Frontal views are generated from reports and from laterals of test studies, with tokens or prompt embedding exchanged with another study's, or without
the embedding. Printed: macro-AUROC of the judge's scores, and correlation of its cardiothoracic ratio with the truth, both against the study itself.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from omnicxr.data.dataset import PreparedDataset
from omnicxr.domain import Modality
from omnicxr.evaluation import metrics
from omnicxr.evaluation.reader import Reader, truth_of
from omnicxr.evaluation.references import derangement
from omnicxr.models.folder import BUNDLED
from omnicxr.models.judge import Judge
from omnicxr.pipeline import AnyToAnyPipeline, study_seed

BATCH = 20
TARGET = Modality.FRONTAL


@torch.no_grad()
def generate(pipe: AnyToAnyPipeline, source: Modality, part: list[Any], tokens: np.ndarray, prompts: np.ndarray | None) -> np.ndarray:
    """Frontal views of `part`, whose tokens and prompt embeddings (None: left out) are taken in these orders; uint8 [n, s, s]."""
    given, embeds = pipe.encode_given({source: part})
    assert embeds is not None
    generators = [torch.Generator().manual_seed(study_seed(0, i)) for i in range(len(part))]
    pictures = []
    for rows in np.array_split(np.arange(len(part)), -(-len(part) // BATCH)):
        prompt = None if prompts is None else embeds[prompts[rows]]
        own = [generators[i] for i in rows]
        latents = pipe.sample({source: given[source][tokens[rows]]}, prompt, (TARGET,), pipe.sampling, own)
        pictures += pipe.decode(latents, own).frontal or []
    return np.stack([np.asarray(p) for p in pictures])


def main() -> None:
    """Print a row per source and exchange."""
    data, folder, count = Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else BUNDLED, int(sys.argv[3]) if len(sys.argv) > 3 else 80
    pipe, test = AnyToAnyPipeline.from_pretrained(folder), PreparedDataset(data, "test")
    reader = Reader(pipe, Judge.load(folder / "judge"), PreparedDataset(data, "validate"))
    rows = test.having(*Modality)[:count]
    labels, truth = test.labels[rows] == 1, truth_of(test, rows)
    own, other = np.arange(len(rows)), derangement(len(rows))
    exchanges = {"own, own": (own, own), "exchanged, own": (other, own), "own, exchanged": (own, other), "own, none": (own, None)}
    print("| given | tokens, prompt | AUROC | ratio r |\n|---|---|---|---|")
    for source in (Modality.REPORT, Modality.LATERAL):
        part = list(test.images(source, rows)) if source.is_image else [test.reports[i] for i in rows]
        for name, orders in exchanges.items():
            reading = reader.read(TARGET, generate(pipe, source, part, *orders))
            auroc = metrics.macro(metrics.auroc(labels, reading.scores))
            ratio = float("nan") if truth is None else float(metrics.correlation(reading.measures, truth)[0])
            print(f"| {source} | {name} | {auroc:.3f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
