"""The words of the field, as types. Standard library only."""

from omnicxr.domain.errors import UserError
from omnicxr.domain.findings import Finding, Labels, LabelState
from omnicxr.domain.modality import IMAGE_MODALITIES, Modality, View
from omnicxr.domain.study import SPLITS, ImageRef, Study
from omnicxr.domain.task import Task

__all__ = [
    "IMAGE_MODALITIES",
    "SPLITS",
    "Finding",
    "ImageRef",
    "LabelState",
    "Labels",
    "Modality",
    "Study",
    "Task",
    "UserError",
    "View",
]
