from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from omnicxr.data.dataset import PreparedDataset
from omnicxr.models.tokenizer import ReportTokenizer
from omnicxr.training.presets import get_preset
from omnicxr.training.stages.context import StageContext
from omnicxr.training.stages.report_autoencoder import BUCKETS, ReportAutoencoderStage, recombine, split_sentences

REPORTS = [f"First of {n}. Second of {n}, 2.{n} cm. Third of {n}." for n in range(40)]


SENTENCES = [s for r in REPORTS for s in split_sentences(r)]


def test_mixtures_are_of_whole_sentences_of_any_report() -> None:
    mixed = recombine(REPORTS, SENTENCES, torch.Generator().manual_seed(0))
    assert mixed == recombine(REPORTS, SENTENCES, torch.Generator().manual_seed(0))
    changed = [m for m, r in zip(mixed, REPORTS, strict=True) if m != r]
    assert 10 < len(changed) < 30
    for text in changed:
        sentences = split_sentences(text)
        assert set(sentences) <= set(SENTENCES)
        assert len(set(sentences)) == len(sentences)
        assert 3 <= len(sentences) <= 4 or len(sentences) == 2  # one that was drawn twice counts once
    assert len({s for text in changed for s in split_sentences(text)}) > 40


def test_micro_batches_hold_reports_of_about_one_length_and_each_report_once(prepared: Path) -> None:
    data, held_out = (PreparedDataset(prepared, split) for split in ("train", "validate"))
    preset = get_preset("nano").with_values({"optimization.report-autoencoder.batch_size": "3"})
    tokenizer = ReportTokenizer.train(iter(data.reports), vocab_size=320, max_tokens=64)
    stage = ReportAutoencoderStage(StageContext(preset=preset, data=data, held_out=held_out), tokenizer=tokenizer)
    batches = [stage.batch(step, 0) for step in range(BUCKETS)]
    together = np.concatenate(batches)
    assert len(set(together)) == len(together) == 3 * BUCKETS
    lengths = np.array([len(r) for r in stage.reports])
    spans = sorted((lengths[b].min(), lengths[b].max()) for b in batches)
    assert all(end <= begin for (_, end), (begin, _) in pairwise(spans))
    assert [b.tolist() for b in batches] == [stage.batch(step, 0).tolist() for step in range(BUCKETS)]
