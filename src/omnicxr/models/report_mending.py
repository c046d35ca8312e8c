"""Reports that were sampled => reports that contradict nothing and say nothing twice, the weaker sentence going."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from omnicxr.data.agreement import confidence, with_uncertainty
from omnicxr.data.mending import mended
from omnicxr.domain import Modality
from omnicxr.domain.notes import Notes, ReportNote
from omnicxr.models.prompt_encoders import PromptEncoders
from omnicxr.models.tokenizer import ReportTokenizer

SAMPLES = 8
"""Reports of one study that are compared to say how sure its findings are."""


def mended_reports(
    texts: Sequence[str],
    encoders: PromptEncoders,
    tokenizer: ReportTokenizer,
    *,
    prompt_embeds: Sequence[Tensor | None] | None,
) -> list[tuple[str, ReportNote]]:
    """`mended_report` of several, each with the prompt embedding [d] of what it was generated from, or None; None for
    all where nothing is known of them."""
    return [
        mended_report(text, encoders, tokenizer, prompt_embeds=embeds)
        for text, embeds in zip(texts, prompt_embeds or [None] * len(texts), strict=True)
    ]


@torch.no_grad()
def mended_report(
    text: str, encoders: PromptEncoders, tokenizer: ReportTokenizer, *, prompt_embeds: Tensor | None = None
) -> tuple[str, ReportNote]:
    """A sampled report on one line => what is kept of it, and a note of what is not; the same bytes where all is.

    prompt_embeds [d]: of what the report was generated from; without them sentences are held against the whole sampled
    text. Of two sentences that contradict each other, the one goes without which the embedding of the report has the
    higher cosine with them. Texts are embedded one by one, so that nothing depends on a batch.
    """

    def embed(report: str) -> Tensor:
        return encoders.embed(Modality.REPORT, tokenizer.encode([report]).to(encoders.device))[0]

    def score(texts: Sequence[str]) -> list[float]:
        target = embed(text) if prompt_embeds is None else prompt_embeds
        return [float(torch.cosine_similarity(embed(t).float(), target.float(), dim=0)) for t in texts]

    kept = mended(text, score)
    note = ReportNote(removed=kept.removed, repeated=kept.repeated, contradicted=bool(kept.removed))
    return kept.text, note


def further_reports(
    generate: Callable[..., Any], given: Mapping[Modality, Sequence[Any]], *, rngs: Sequence[torch.Generator], num: int
) -> list[list[str]]:
    """Of each study that is given, as many more reports as `SAMPLES` are than `num`.

    generate: (turn, what is given, random generators) => an output with `report`; given, rngs: of all outputs, `num`
    for each study.
    """
    each, studies = max(SAMPLES - num, 0), range(0, len(rngs), num)
    rows = [i for i in studies for _ in range(each)]
    seeds = [int(torch.randint(2**62, (), generator=rngs[i])) for i in rows]
    further = [torch.Generator().manual_seed(seed) for seed in seeds]
    known = {m: [values[i] for i in rows] for m, values in given.items()}
    reports = generate((Modality.REPORT,), known, further).report if rows else []
    return [reports[i * each : (i + 1) * each] for i in range(len(studies))]


def compared(
    reports: Sequence[str], further: Sequence[Sequence[str]], notes: Sequence[Notes]
) -> tuple[list[str], list[Notes]]:
    """Reports and their notes => the same with what several samples of each study say of the findings.

    further: more reports of each study; those of a study stand beside each other among `reports`.
    """
    num = len(reports) // len(further)
    texts, noted = [], []
    for i, (report, note) in enumerate(zip(reports, notes, strict=True)):
        study = i // num
        samples = [*reports[study * num : (study + 1) * num], *further[study]]
        shares = confidence(samples)
        texts.append(with_uncertainty(report, shares, len(samples)))
        noted.append(replace(note, report=replace(note.report or ReportNote(), confidence=shares)))
    return texts, noted
