"""How often sampled reports contradict or repeat themselves, and what is left of that after mending:
`python benchmarks/contradictions.py NUM [PREPARED ...] [--model FOLDER]`.

NUM reports are generated from nothing, and up to NUM from the frontal views of each prepared data set (its test split),
each with its own seed. "States and denies" is the labeler's word: some finding of the 13 has a positive and a negative
mention in one report, sides and sizes aside.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from omnicxr.data.dataset import PreparedDataset
from omnicxr.data.labeler import find_mentions
from omnicxr.data.sayings import contradictions, read_sentences, repetition, split_sentences
from omnicxr.data.seeds import derived_seed
from omnicxr.domain import LabelState, Modality
from omnicxr.models.given import read_given
from omnicxr.models.report_mending import mended_report
from omnicxr.pipeline import AnyToAnyPipeline

AT_ONCE = 8
FIGURES = ("contradiction", "states and denies", "repetition")


def faults(text: str) -> list[bool]:
    """Whether a report contradicts itself, states and denies a finding, says a thing twice."""
    sentences = split_sentences(text)
    sayings = read_sentences(sentences)
    found = {(m.finding, m.state) for m in find_mentions(text)}
    both = any((f, LabelState.NEGATIVE) in found for f, state in found if state is LabelState.POSITIVE)
    again = repetition(sentences, sayings) is not None or len({s.lower() for s in sentences}) < len(sentences)
    return [any(contradictions(sayings)), both, again]


@torch.no_grad()
def sampled(pipe: AnyToAnyPipeline, frontals: list[np.ndarray] | None, num: int) -> Iterator[tuple[str, str]]:
    """Reports as sampled, and as mended."""
    for start in range(0, num, AT_ONCE):
        rows = range(start, min(start + AT_ONCE, num))
        given, embeds = pipe.encode_given({Modality.FRONTAL: [frontals[i] for i in rows]} if frontals else {})
        rngs = [torch.Generator().manual_seed(derived_seed(0, i)) for i in rows]
        z = pipe.sample((Modality.REPORT,), given, embeds, sampling=pipe.sampling, rngs=rngs)[Modality.REPORT]
        for n, text in enumerate(pipe.tokenizer.decode(pipe.report_autoencoder.decode(z))):
            own = None if embeds is None else embeds[n]
            yield text, mended_report(text, pipe.prompt_encoders, pipe.tokenizer, prompt_embeds=own)[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("num", type=int)
    parser.add_argument("prepared", type=Path, nargs="*")
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    pipe = AnyToAnyPipeline.from_pretrained(options.model)
    for folder in (None, *options.prepared):
        frontals, num = None, options.num
        if folder:
            data = PreparedDataset(folder, "test")
            chosen = data.having(Modality.FRONTAL)[:num]
            frontals, num = list(data.images(Modality.FRONTAL, chosen)), len(chosen)
            frontals = read_given(Modality.FRONTAL, frontals, pipe.image_size, prepared=True)
        pairs = list(sampled(pipe, frontals, num))
        before, after = (np.array([faults(text) for text in texts]).sum(0) for texts in zip(*pairs, strict=True))
        changed = sum(a != b for a, b in pairs)
        print(f"{folder.name if folder else 'from nothing'}: {num} reports, {changed} mended")
        for name, b, a in zip(FIGURES, before, after, strict=True):
            print(f"  {name}: {b} ({b / num:.1%}) as sampled, {a} ({a / num:.1%}) after", flush=True)


if __name__ == "__main__":
    main()
