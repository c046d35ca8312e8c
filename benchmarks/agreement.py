"""How often what several samples of a report agree on is true: `python benchmarks/agreement.py PREPARED NUM [MODEL]`.

Eight reports are generated from both views of NUM test studies each. Printed for each number of samples that state a
finding: how often it is there (by the labels of the data set; positive), over all findings but "Lung Opacity", which
others imply, and "No Finding"; then apart for what the first sample states and for what it does not.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from omnicxr.data.agreement import confidence
from omnicxr.data.dataset import PreparedDataset
from omnicxr.domain import IMAGE_MODALITIES, Finding
from omnicxr.pipeline import AnyToAnyPipeline

SAMPLES = 8
LEFT_OUT = (Finding.LUNG_OPACITY, Finding.NO_FINDING)


def main() -> None:
    folder, num = Path(sys.argv[1]), int(sys.argv[2])
    pipe = AnyToAnyPipeline.from_pretrained(Path(sys.argv[3]) if sys.argv[3:] else None)
    data = PreparedDataset(folder, "test")
    rows = data.having(*IMAGE_MODALITIES)[:num]
    views: dict[str, Any] = {str(m): list(x) for m, x in data.parts(rows, IMAGE_MODALITIES).items()}
    reports = pipe(**views, generate="report", num=SAMPLES, batch_size=SAMPLES, prepared=True).report or []
    stating, first, true = [], [], []
    columns = [i for i, f in enumerate(Finding) if f not in LEFT_OUT]
    for i, row in enumerate(rows):
        samples = reports[i * SAMPLES : (i + 1) * SAMPLES]
        shares, own = confidence(samples), confidence(samples[:1])
        stating.append([round(shares.get(f, 0) * SAMPLES) for f in Finding])
        first.append([f in own for f in Finding])
        true.append(data.labels[row] == 1)
    counts, stated, there = (np.array(x)[:, columns] for x in (stating, first, true))
    print(f"{len(rows)} studies of {folder.name}, {SAMPLES} samples each: samples that state a finding, true of all")
    for name, chosen in (("all", counts >= 0), ("stated by the first", stated), ("not stated by the first", ~stated)):
        print(f"{name}:")
        for k in range(SAMPLES + 1):
            if (n := int((at := chosen & (counts == k)).sum())) > 0:
                print(f"  {k}: {int(there[at].sum())} of {n} ({there[at].mean():.0%})")


if __name__ == "__main__":
    main()
