"""One chest X-ray study as every data source hands it on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from omnicxr.domain.findings import Labels
from omnicxr.domain.modality import View

SPLITS = ("train", "validate", "test")
Facing = Literal["left", "right"]
"""Of a lateral picture: its side on which the front of the patient is."""


@dataclass(frozen=True)
class ImageRef:
    """An image of a study: where it lies and how it was taken."""

    path: Path
    view: View | None = None
    """None: the data set does not say; the file's header or the view classifier decides when the picture is read."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study before preparation. Any modality may be missing: that is data, not an error."""

    subject_id: str
    study_id: str
    source: str
    split: str = ""
    """Of the data set's own partition; empty where it has none, then a hash of the patient decides."""
    images: tuple[ImageRef, ...] = ()
    missing: tuple[View | None, ...] = ()
    """Views of the pictures that the data set names and whose files are not there; None where it does not say."""
    sections: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Section name => text, see `omnicxr.data.sections`; empty where the study has no report."""
    language: str = "en"
    """Of the report, as ISO 639-1."""
    labels: Labels = field(default_factory=lambda: MappingProxyType({}))
    age: float | None = None
    """Years."""
    sex: str | None = None
    """"M", "F" or None."""
    truth: str = ""
    """The simulator's truth as one JSON object; empty for real studies."""
