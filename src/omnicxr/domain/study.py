"""One chest X-ray study as every data source hands it on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from omnicxr.domain.findings import Labels
from omnicxr.domain.modality import Modality, View

SPLITS = ("train", "validate", "test")


@dataclass(frozen=True)
class ImageRef:
    """An image of a study: where it lies and how it was taken."""

    path: Path
    view: View


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study before preparation. Any modality may be missing: that is data, not an error."""

    subject_id: str
    study_id: str
    split: str
    source: str
    images: tuple[ImageRef, ...] = ()
    findings_text: str = ""
    impression_text: str = ""
    report: str = ""
    """The text that models read; empty where the study has none."""
    labels: Labels = field(default_factory=lambda: MappingProxyType({}))
    age: float | None = None
    """Years."""
    sex: str | None = None
    """"M", "F" or None."""
    truth: str = ""
    """The simulator's truth as one JSON object; empty for real studies."""

    def modalities(self) -> tuple[Modality, ...]:
        """The modalities that are there, in canonical order."""
        there = {image.view.modality for image in self.images}
        if self.report:
            there.add(Modality.REPORT)
        return tuple(m for m in Modality if m in there)
