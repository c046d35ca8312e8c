"""Accuracy and speed of the labeler on the gold labels of Open-I: `python benchmarks/labeler.py FOLDER`.

FOLDER holds `indiana_reports.csv` (Open-I in table form) and `openi_gld_std14.csv` (the gold labels of NegBio, Peng et
al. 2018, which name the findings of ChestX-ray14). Only the text of findings and impression is read.
"""

from __future__ import annotations

import csv
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from omnicxr.data.labeler import label_report
from omnicxr.domain import Finding, LabelState

GOLD_COLUMNS = {
    Finding.ATELECTASIS: ("Atelectasis",),
    Finding.CARDIOMEGALY: ("Cardiomegaly",),
    Finding.CONSOLIDATION: ("Consolidation",),
    Finding.EDEMA: ("Edema",),
    Finding.LUNG_LESION: ("Mass", "Nodule"),
    Finding.PLEURAL_EFFUSION: ("Effusion",),
    Finding.PLEURAL_OTHER: ("Pleural_Thickening",),
    Finding.PNEUMONIA: ("Pneumonia",),
    Finding.PNEUMOTHORAX: ("Pneumothorax",),
}
"""Findings that both schemes have => columns of the gold table."""
ENOUGH = 30
"""Findings with at least this many positives count in the macro average."""


@dataclass(frozen=True)
class Score:
    """Positives of one finding: right, wrong and missed."""

    right: int
    wrong: int
    missed: int

    @property
    def f1(self) -> float:
        return 2 * self.right / max(1, 2 * self.right + self.wrong + self.missed)


def read_gold(folder: Path) -> list[tuple[str, dict[Finding, bool]]]:
    """Report text and gold positives of every report that has text and gold labels."""
    with (folder / "indiana_reports.csv").open(encoding="utf-8", newline="") as file:
        texts = {row["uid"]: f"{row['findings']}\n\n{row['impression']}".strip() for row in csv.DictReader(file)}
    with (folder / "openi_gld_std14.csv").open(encoding="utf-8", newline="") as file:
        gold = [(texts.get(row["filename"].removeprefix("CXR"), ""), row) for row in csv.DictReader(file)]
    return [
        (text, {f: any(row[c] == "1" for c in columns) for f, columns in GOLD_COLUMNS.items()})
        for text, row in gold
        if text
    ]


def score(gold: list[tuple[str, dict[Finding, bool]]]) -> dict[Finding, Score]:
    """A label counts as positive where the state is positive; uncertain does not."""
    predicted = [label_report(text) for text, _ in gold]
    scores = {}
    for finding in GOLD_COLUMNS:
        pairs = [
            (labels[finding] is LabelState.POSITIVE, truth[finding])
            for labels, (_, truth) in zip(predicted, gold, strict=True)
        ]
        scores[finding] = Score(pairs.count((True, True)), pairs.count((True, False)), pairs.count((False, True)))
    return scores


def micro_macro(scores: dict[Finding, Score]) -> tuple[float, float]:
    """Micro F1 over all, macro F1 over the findings with enough positives."""
    total = Score(*(sum(getattr(s, part) for s in scores.values()) for part in ("right", "wrong", "missed")))
    enough = [s.f1 for s in scores.values() if s.right + s.missed >= ENOUGH]
    return total.f1, sum(enough) / len(enough)


def main(folder: Path) -> None:
    gold = read_gold(folder)
    start = time.process_time()
    scores = score(gold)
    print(f"{len(gold)} reports, {len(gold) / (time.process_time() - start):.0f} a second on one core")
    for finding, s in scores.items():
        print(
            f"{finding:20s} positives {s.right + s.missed:4d}  right {s.right:4d}  wrong {s.wrong:3d}  missed"
            f" {s.missed:3d}  F1 {s.f1:.3f}"
        )
    print("micro F1 {:.3f}, macro F1 {:.3f}".format(*micro_macro(scores)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
