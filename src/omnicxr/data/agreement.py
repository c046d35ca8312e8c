"""How far several reports of one study agree, and a report that says where they don't."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from omnicxr.data.labeler import label_report
from omnicxr.data.sayings import Saying, read_sentences, split_sentences
from omnicxr.domain import Finding, LabelState, UserError

AGREED = 0.9
"""A statement is called uncertain that a smaller share of the samples make. Of 8 samples from the views of 108
held-out simulated studies: what all state is true in 93 % (n 104), what the first and only some of the others state in
45 % (n 49). `python benchmarks/agreement.py PREPARED 108`."""
RAISED = 0.3
"""A finding is named as uncertain that the report does not state, but at least this share of the samples. Of what the
first does not state: true in 36 % (n 25) where 3 or more of 8 state it, in 17 % where 1 or 2 do (n 36), else 3 %."""
IMPLIES_OPACITY = (Finding.CONSOLIDATION, Finding.ATELECTASIS, Finding.PNEUMONIA, Finding.EDEMA)


def confidence(reports: Sequence[str]) -> dict[Finding, float]:
    """Several reports of one study => finding => share that state it (0..1); findings that none states are left out.

    "No Finding" is stated by what the labeler calls so. Raises UserError for no reports.
    """
    if not reports:
        raise UserError("There are no reports to compare: sample at least one.")
    labels = [label_report(report) for report in reports]
    counts = {f: sum(states[f] is LabelState.POSITIVE for states in labels) for f in Finding}
    return {finding: count / len(reports) for finding, count in counts.items() if count}


def with_uncertainty(report: str, shares: Mapping[Finding, float], n: int) -> str:
    """The report, with "uncertain" where the samples disagree.

    shares: as `confidence` of n samples gives them, the report among them. A sentence is marked ("Small left pleural
    effusion (uncertain, 5 of 8 samples).") whose finding fewer than `AGREED` state, or that denies what at least
    `RAISED` state; findings that it does not speak of, but `RAISED` of the samples state, end the report ("Uncertain:
    possible edema (3 of 8 samples)."). The labeler reads both as uncertain. The same bytes where the samples agree.
    """
    sentences = split_sentences(report)
    sayings = read_sentences(sentences)
    marked = [
        _marked(sentence, [s for s in sayings if s.sentence == i], shares, n=n) for i, sentence in enumerate(sentences)
    ]
    known = {s.finding for s in sayings} | {Finding.NO_FINDING}
    raised = [f for f, share in shares.items() if share >= RAISED]
    if set(raised) & set(IMPLIES_OPACITY):
        known.add(Finding.LUNG_OPACITY)
    if others := [f"possible {f.lower()} ({_samples(shares[f], n)})" for f in raised if f not in known]:
        marked.append(f"Uncertain: {', '.join(others)}.")
    return " ".join(marked) if marked != sentences else report


def _marked(sentence: str, sayings: Sequence[Saying], shares: Mapping[Finding, float], *, n: int) -> str:
    """A sentence, marked by the finding in it on which the samples agree least."""
    doubts: dict[float, str] = {}
    for saying in sayings:
        if saying.finding is Finding.LUNG_OPACITY and len({s.finding for s in sayings}) > 1:
            continue
        share = shares.get(saying.finding, 0.0)
        stated = saying.state is LabelState.POSITIVE
        if stated and share < AGREED:
            doubts[share] = f"uncertain, {_samples(share, n)}"
        elif saying.state is LabelState.NEGATIVE and share >= RAISED:
            doubts[1 - share] = f"uncertain, {_samples(share, n)} state {saying.finding.lower()}"
    if not doubts:
        return sentence
    words, end = _END.fullmatch(sentence).groups()  # type: ignore[union-attr]
    return f"{words} ({doubts[min(doubts)]}){end}"


def _samples(share: float, n: int) -> str:
    return f"{round(share * n)} of {n} samples"


_END = re.compile(r"(.*?)([.!?]*)", re.DOTALL)
