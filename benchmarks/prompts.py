"""What is made of people's reports that are given as prompts: `python benchmarks/prompts.py DATA`, a prepared data set
with splits train and test.

For the vocabulary of the data set's own training reports, and for that of simulated reports: the share of test reports
(findings, and impressions) that are given to the model as they stand, how well they are understood, and the time.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

from omnicxr.data.prompts import Vocabulary, understand
from omnicxr.simulation.population import sample_truth
from omnicxr.simulation.report import write_report

SECTIONS = ("findings", "impression")


def sections(root: Path, split: str) -> Iterator[dict[str, str]]:
    """Findings and impression of every study of a split."""
    for path in sorted(root.glob(f"{split}-*.parquet")):
        yield from pq.read_table(path, columns=list(SECTIONS)).to_pylist()


def main(root: Path) -> None:
    """Print one line for each vocabulary and section."""
    own = Vocabulary.of(f"{r['findings']} {r['impression']}" for r in sections(root, "train"))
    simulated = (write_report(sample_truth(7, i)) for i in range(2_000))
    vocabularies = {"own": own, "simulated": Vocabulary.of(f"{r.findings} {r.impression}" for r in simulated)}
    for name, vocabulary in vocabularies.items():
        for section in SECTIONS:
            texts = [r[section] for r in sections(root, "test") if r[section]]
            start = time.perf_counter()
            notes = [understand(text, vocabulary, fits=lambda _: True) for text in texts]
            took = 1000 * (time.perf_counter() - start) / len(texts)
            same = sum(note.understood_as == note.text for note in notes) / len(texts)
            fits = dict(Counter(str(note.fit) for note in notes))
            print(f"{name:9} {section:10} {len(texts)} reports, {same:.1%} as they stand, {took:.1f} ms each, {fits}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
