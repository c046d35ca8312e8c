"""What a model makes of prompts, looked at before anything is generated from them, and counts of what was noticed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from omnicxr.domain import Fit, Modality, Notes, PromptNote, Task, UserError
from omnicxr.pipeline import AnyToAnyPipeline
from omnicxr.synthesis.prompts import Prompts, Wish, choose

ACCOUNT = "prompts.json"
"""Beside the shards: what was made of the prompts."""
LISTED = 1000
"""Prompts that the account names; the worst first."""
WORST_FIRST = (Fit.NOT_USABLE, Fit.UNLIKE, Fit.NOT_CHECKED, Fit.AS_KNOWN)


class Reading:
    """What is noticed about prompts; each is looked at once, and the notes of those that need no word are not kept."""

    def __init__(self, pipe: AnyToAnyPipeline, prompts: Prompts, task: Task) -> None:
        """`task`: what it is given is looked at."""
        self.pipe, self.prompts, self.task = pipe, prompts, task
        self.counts: Counter[str] = Counter()
        """As `what_was_noticed` says it => prompts."""
        self.remarkable: dict[int, Notes] = {}
        """Prompt => notes, of those that have a sentence."""
        self.left_out: set[int] = set()
        """Prompts that the gate keeps from being used."""
        self._read: set[int] = set()

    def __len__(self) -> int:
        """Prompts that were looked at."""
        return len(self._read)

    def doubtful(self, prompt: int) -> bool:
        """Whether what is generated from a prompt would mean little or nothing."""
        if prompt not in self._read:
            self._read.add(prompt)
            given = {Modality(m): [part] for m, part in self.prompts.given(prompt, self.task).items()}
            notes = self.pipe.doorkeeper.notice(given)[0]
            self.counts.update(what_was_noticed(notes))
            if notes.sentences():
                self.remarkable[prompt] = notes
        return prompt in self.remarkable and self.remarkable[prompt].doubtful

    def account(self) -> dict[str, Any]:
        """For ACCOUNT: how many prompts were read, what was noticed how often, and of which."""
        order = sorted(self.remarkable, key=lambda i: (WORST_FIRST.index(self.remarkable[i].fit), i))
        return {
            "read": len(self),
            "left_out": len(self.left_out),
            "noticed": dict(sorted(self.counts.items())),
            "listed": [self._entry(i) for i in order[:LISTED]],
        }

    def _entry(self, prompt: int) -> dict[str, Any]:
        notes = self.remarkable[prompt]
        text = {"report": notes.prompt.text, "understood_as": notes.prompt.understood_as} if notes.prompt else {}
        return {"study_id": self.prompts.names[prompt], **text, "fit": str(notes.fit), "notes": notes.sentences()}

    def summary(self) -> str:
        """A line for people; empty where every prompt was taken as it stands."""
        if not self.remarkable:
            return ""
        return f"{len(self)} prompts read, {len(self.left_out)} left out; {in_words(self.counts)}"


def choose_known(reading: Reading, wish: Wish, seed: int) -> np.ndarray:
    """The prompt [n] of every study, as `choose` takes them, of prompts that are not doubtful; others take the place of
    those that are.

    Raises UserError where all prompts are, and as `choose`.
    """
    left_out = reading.left_out
    while True:
        chosen = choose(reading.prompts, wish, seed, without=np.array(sorted(left_out), int))
        if not (doubtful := {i for i in np.unique(chosen).tolist() if reading.doubtful(i)}):
            return chosen
        left_out |= doubtful
        if len(left_out) == len(reading.prompts):
            first = reading.remarkable[min(left_out)].sentences()[0]
            raise UserError(f"No prompt is as the model knows them: give others. Of the first: {first}")


def what_was_noticed(notes: Notes) -> Iterator[str]:
    """What is counted of one study or prompt."""
    if notes.prompt:
        yield from _of_prompt(notes.prompt)
    for picture in notes.pictures:
        if picture.fit is not Fit.AS_KNOWN:
            yield f"{picture.modality} view {picture.fit}"
    if notes.report and (notes.report.contradicted or notes.report.removed or notes.report.repeated):
        yield "generated report corrected"
    if notes.disagreement:
        yield "given parts disagree"


def in_words(counts: Mapping[str, int]) -> str:
    """What was noticed and how often, the most frequent first."""
    return ", ".join(f"{what}: {n}" for what, n in sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _of_prompt(note: PromptNote) -> Iterator[str]:
    if note.fit is Fit.NOT_USABLE:
        yield "report not understood"
        return
    if note.fit is Fit.UNLIKE:
        yield "report understood in part"
    if note.rewritten:
        yield "report rewritten"
    if note.cut:
        yield "report cut"


def as_the_model_reads(given: dict[str, Any], notes: Notes) -> dict[str, Any]:
    """What is given, with the report as it was understood."""
    if notes.prompt is None:
        return given
    return given | {str(Modality.REPORT): notes.prompt.understood_as}
