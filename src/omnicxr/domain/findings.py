"""The 14 CheXpert findings and the states a label can have (Irvin et al., AAAI 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum


class Finding(StrEnum):
    """The 14 observations, spelled as in `mimic-cxr-2.0.0-chexpert.csv`, in its column order."""

    ATELECTASIS = "Atelectasis"
    CARDIOMEGALY = "Cardiomegaly"
    CONSOLIDATION = "Consolidation"
    EDEMA = "Edema"
    ENLARGED_CARDIOMEDIASTINUM = "Enlarged Cardiomediastinum"
    FRACTURE = "Fracture"
    LUNG_LESION = "Lung Lesion"
    LUNG_OPACITY = "Lung Opacity"
    NO_FINDING = "No Finding"
    PLEURAL_EFFUSION = "Pleural Effusion"
    PLEURAL_OTHER = "Pleural Other"
    PNEUMONIA = "Pneumonia"
    PNEUMOTHORAX = "Pneumothorax"
    SUPPORT_DEVICES = "Support Devices"


class LabelState(IntEnum):
    """What a report says of a finding; "not mentioned" is the absence of a state (None)."""

    POSITIVE = 1
    NEGATIVE = 0
    UNCERTAIN = -1


Labels = Mapping[Finding, LabelState | None]
