"""What the door noticed while studies were generated: of each study what is counted, and the counts of a task."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from omnicxr.data.files import write_json
from omnicxr.data.typed_json import from_json, to_json
from omnicxr.domain import IMAGE_MODALITIES, Modality
from omnicxr.domain.notes import UNFIT, Fit, Notes


@dataclass(frozen=True, kw_only=True)
class StudyNoticed:
    """What is counted of the `Notes` of one study; no text of the study is kept."""

    pictures: dict[Modality, Fit]
    """Each picture that was given."""
    prompt: Fit | None = None
    """The report that was given; None where none was."""
    changed: bool = False
    """The report was understood as something else than it says word for word."""
    not_understood: bool = False
    """Pieces of the report, or all of it, were not understood."""
    cut: bool = False
    """Sentences of the report were left out."""
    contradicted: bool = False
    """The report that was sampled stated and denied the same."""
    repeated: bool = False
    """It said the same twice."""
    disagreement: bool = False
    """A picture and a report that were given contradict each other."""

    @classmethod
    def of(cls, notes: Notes) -> StudyNoticed:
        """One study's notes, as far as they are counted."""
        prompt, report = notes.prompt, notes.report
        return cls(
            pictures={p.modality: p.fit for p in notes.pictures},
            prompt=prompt.fit if prompt else None,
            changed=prompt is not None and prompt.fit is not Fit.NOT_USABLE and prompt.rewritten,
            not_understood=prompt is not None and (bool(prompt.not_understood) or prompt.fit is Fit.NOT_USABLE),
            cut=prompt is not None and bool(prompt.cut),
            contradicted=report is not None and report.contradicted,
            repeated=report is not None and bool(report.repeated),
            disagreement=bool(notes.disagreement),
        )


@dataclass(frozen=True, kw_only=True)
class Noticed:
    """How many studies of a task had what: numbers of studies."""

    studies: int
    pictures: dict[Modality, dict[Fit, int]]
    """View that was given => how many pictures are called what."""
    prompts: int
    """Studies whose report was given; the next three are of these."""
    changed: int
    not_understood: int
    cut: int
    reports: int
    """Studies whose report was generated; the next two are of these."""
    contradicted: int
    repeated: int
    disagreement: int

    @classmethod
    def of(cls, studies: Sequence[StudyNoticed], *, reports: bool) -> Noticed:
        """`reports`: whether the task generates reports."""
        named = ("changed", "not_understood", "cut", "contradicted", "repeated", "disagreement")
        by_view = {v: Counter(s.pictures[v] for s in studies if v in s.pictures) for v in IMAGE_MODALITIES}
        return cls(
            studies=len(studies),
            pictures={v: {fit: found[fit] for fit in Fit if found[fit]} for v, found in by_view.items() if found},
            prompts=sum(s.prompt is not None for s in studies),
            reports=len(studies) if reports else 0,
            **{name: sum(getattr(s, name) for s in studies) for name in named},
        )

    def checked(self, view: Modality) -> int:
        """Pictures of a view that were given and checked."""
        return sum(count for fit, count in self.pictures.get(view, {}).items() if fit is not Fit.NOT_CHECKED)

    def picture_share(self, view: Modality, fits: Iterable[Fit] = UNFIT) -> float | None:
        """Share, 0..1, of the pictures of a view that were checked which are called one of `fits`; None where none was
        checked."""
        found, checked = self.pictures.get(view, {}), self.checked(view)
        return sum(found.get(fit, 0) for fit in fits) / checked if checked else None


def write_noticed(path: Path, studies: Sequence[StudyNoticed] | None) -> None:
    """The studies as JSON beside what was generated; nothing for None, the notes of a pipeline that takes none."""
    if studies is not None:
        write_json(path, to_json(studies))


def read_noticed(path: Path) -> list[StudyNoticed] | None:
    """What `write_noticed` wrote, None where nothing was noted."""
    return from_json(list[StudyNoticed], json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None
