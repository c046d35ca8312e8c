"""The words of the field, as types. Standard library only."""

from omnicxr.domain.errors import UserError
from omnicxr.domain.findings import Finding, Labels, LabelState
from omnicxr.domain.modality import IMAGE_MODALITIES, Modality, View
from omnicxr.domain.notes import Fit, Notes, PictureNote, PromptNote, ReportNote, Statement
from omnicxr.domain.study import SPLITS, Facing, ImageRef, Study
from omnicxr.domain.task import Task

__all__ = [
    "IMAGE_MODALITIES",
    "SPLITS",
    "Facing",
    "Finding",
    "Fit",
    "ImageRef",
    "LabelState",
    "Labels",
    "Modality",
    "Notes",
    "PictureNote",
    "PromptNote",
    "ReportNote",
    "Statement",
    "Study",
    "Task",
    "UserError",
    "View",
]
