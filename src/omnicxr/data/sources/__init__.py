"""One file per data set; each yields `Study` values and counts what it cannot use."""

from omnicxr.data.sources.base import StudySource
from omnicxr.data.sources.mimic_cxr_jpg import MimicCxrJpg

SOURCES: dict[str, type[StudySource]] = {"mimic-cxr-jpg": MimicCxrJpg}
"""Names on the command line => readers."""

__all__ = ["SOURCES", "MimicCxrJpg", "StudySource"]
