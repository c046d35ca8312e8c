import re

import torch

from omnicxr.training.stages.report_autoencoder import recombine

REPORTS = [f"First of {n}. Second of {n}, 2.{n} cm. Third of {n}." for n in range(40)]


def test_mixtures_keep_whole_sentences() -> None:
    known = {s for r in REPORTS for s in re.split(r"(?<=\.) ", r)}
    mixed = recombine(REPORTS, torch.Generator().manual_seed(0))
    assert mixed == recombine(REPORTS, torch.Generator().manual_seed(0))
    changed = [m for m, r in zip(mixed, REPORTS, strict=True) if m != r]
    assert 10 < len(changed) < 30
    for text in mixed:
        sentences = re.split(r"(?<=\.) ", text)
        assert set(sentences) <= known
        assert 3 <= len(sentences) <= 4
