"""Which report to keep: ways to decode, measured on validation studies (both views => report).

    python benchmarks/decoding.py MODEL PREPARED [--num 294] [--candidates 16] [--split validate] [--steps 20]

Of every study several reports are sampled, once; every way chooses among the same ones: the first, the mean latent (one
step of the sampler), the one nearest to the views by the prompt encoders, and the most central one with findings
counting by several weights (`models/report_choice.py`). Text by the protocol iu-xray beside the F1 of findings, and the
bounds.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch

from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.seeds import derived_seed
from omnicxr.domain import Modality, Task
from omnicxr.evaluation.layout import number
from omnicxr.evaluation.measures.clinical import finding_scores
from omnicxr.evaluation.measures.protocols import clean_iu_xray, coco_scores
from omnicxr.evaluation.readers.panel import stated_findings
from omnicxr.evaluation.references import References
from omnicxr.models.report_choice import best_report, candidate_generators
from omnicxr.pipeline import AnyToAnyPipeline

GIVEN = (Modality.FRONTAL, Modality.LATERAL)
WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.5, 1.0, 3.0)
NEIGHBOURS = ("shuffled", "always-usual", "nearest", "consensus")


@torch.no_grad()
def sampled(
    pipe: AnyToAnyPipeline, data: PreparedDataset, rows: np.ndarray, *, candidates: int
) -> tuple[list[list[str]], list[str], list[int]]:
    """Reports of each study, the one of its mean latent, and which of the first is nearest to its views."""
    reports, means, nearest = [], [], []
    once = pipe.sampling.changed(num_inference_steps=1)
    for row in rows:
        given, embeds = pipe.encode_given({m: list(v) for m, v in data.parts(rows[rows == row], GIVEN).items()})
        rng = torch.Generator().manual_seed(derived_seed(0, int(row)))
        rngs = candidate_generators(rng, candidates)
        turn = (Modality.REPORT,)
        z = pipe.sample(turn, given, embeds, sampling=pipe.sampling, rngs=rngs, draws=candidates)
        mean = pipe.sample(turn, given, embeds, sampling=once, rngs=rngs[:1])
        texts, (of_mean,) = (
            pipe.tokenizer.decode(pipe.report_autoencoder.decode(x[Modality.REPORT])) for x in (z, mean)
        )
        own = pipe.prompt_encoders.embed(Modality.REPORT, pipe.tokenizer.encode(texts))
        assert embeds is not None
        nearest.append(int((own @ embeds[0]).argmax()))
        reports.append(texts)
        means.append(of_mean)
    return reports, means, nearest


def ways(reports: list[list[str]], means: list[str], nearest: list[int]) -> dict[str, list[str]]:
    """Way to decode => the report that is kept of each study."""
    chosen = {
        "one sample": [texts[0] for texts in reports],
        "mean latent": means,
        "nearest to the views": [texts[i] for texts, i in zip(reports, nearest, strict=True)],
    }
    for weight in WEIGHTS:
        kept = [texts[best_report(texts, findings_weight=weight)] for texts in reports]
        chosen[f"agreement, findings x {weight:g}"] = kept
    return chosen


def main() -> None:
    """Sample, choose, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("prepared", type=Path)
    parser.add_argument("--num", type=int, default=294)
    parser.add_argument("--candidates", type=int, default=16)
    parser.add_argument("--split", default="validate")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--guidance", type=float)
    options = parser.parse_args()
    pipe = AnyToAnyPipeline.from_pretrained(options.model)
    pipe.sampling = pipe.sampling.changed(num_inference_steps=options.steps, guidance_scale=options.guidance)
    training, data = (PreparedDataset(options.prepared, split) for split in ("train", options.split))
    rows = data.having(*Modality)[: options.num]
    found = ways(*sampled(pipe, data, rows, candidates=options.candidates))

    def embed(modality: Modality, part: Any) -> np.ndarray:
        x = (pipe.network_input(modality, part[i : i + 64]) for i in range(0, len(part), 64))
        with torch.no_grad():
            return torch.cat([pipe.prompt_encoders.embed(modality, batch) for batch in x]).numpy()

    held_out = data.parts(rows)
    references = References(held_out, training, embed)
    task = Task(GIVEN, (Modality.REPORT,))
    found |= {name: references.predict(name, task)[Modality.REPORT] for name in NEIGHBOURS}
    labels, patients = data.labels[rows] == 1, data.patients[rows]
    truths = [clean_iu_xray(r) for r in held_out[Modality.REPORT]]
    print(f"n {len(rows)}, {pipe.sampling}\n")
    print("| way | BLEU-1 | BLEU-4 | METEOR | ROUGE-L | CIDEr | micro F1, frequent | different |")
    print("|---" * 8 + "|")
    for name, reports in found.items():
        text = coco_scores([clean_iu_xray(r) for r in reports], truths)
        f1 = finding_scores(labels, stated_findings(reports), patients).frequent.micro
        cells = [f"{v:.3f}" for v in (text.bleu1, text.bleu4, text.meteor or float("nan"), text.rouge_l, text.cider)]
        print(f"| {name} | {' | '.join(cells)} | {number(f1)} | {len(set(reports))} |", flush=True)


if __name__ == "__main__":
    main()
