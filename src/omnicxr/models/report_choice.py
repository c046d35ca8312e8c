"""One of several reports that were sampled for a study: minimum Bayes risk among them.

A sample says what may be true of the study. The one that is most like the others says what is usually said of such a
study, which mostly is that it is normal: its words are likely, and it finds little. A finding that a share p of the
samples state is worth stating, for the F1 of findings over many studies, where p is above half of that F1 (Lipton et
al. 2014). Both count here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from omnicxr.data.centrality import centrality
from omnicxr.data.labeler import label_report
from omnicxr.domain import Finding, LabelState

WORTH_STATING = 0.2
"""Share of the samples that have to state a finding: half of an F1 of 0.4."""
STATED = tuple(f for f in Finding if f is not Finding.NO_FINDING)


def best_report(candidates: Sequence[str], *, findings_weight: float) -> int:
    """The place of the report to keep; of equals the first.

    Score: mean likeness to the other candidates, 0..1, + findings_weight x the sum over the findings it states of
    (share of the candidates that state it - `WORTH_STATING`). Weight 0: the most central one.
    """
    labels = [label_report(report) for report in candidates]
    stated = np.array([[states[f] is LabelState.POSITIVE for f in STATED] for states in labels], float)
    worth = stated @ (stated.mean(0) - WORTH_STATING)
    return int(np.argmax((centrality(candidates) + findings_weight * worth).round(9)))


def one_of_each(reports: Sequence[str], *, studies: int, findings_weight: float) -> list[str]:
    """The best report of each of so many studies, whose candidates stand one after the other, equally many of each."""
    each = len(reports) // studies
    groups = [reports[i : i + each] for i in range(0, len(reports), each)]
    return [group[best_report(group, findings_weight=findings_weight) if each > 1 else 0] for group in groups]


def candidate_generators(rng: torch.Generator, count: int) -> list[torch.Generator]:
    """A study's random generator and as many more, seeded from it, as make `count`; it alone, untouched, for one."""
    seeds = [int(torch.randint(2**62, (), generator=rng)) for _ in range(count - 1)]
    return [rng, *(torch.Generator().manual_seed(seed) for seed in seeds)]
