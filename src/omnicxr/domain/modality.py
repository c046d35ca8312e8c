"""The three parts of a study, and the radiographic projections that image parts come in."""

from __future__ import annotations

from enum import StrEnum

from omnicxr.domain.errors import UserError


class Modality(StrEnum):
    """One part of a chest X-ray study. The order of the members is the canonical order everywhere."""

    FRONTAL = "frontal"
    LATERAL = "lateral"
    REPORT = "report"

    @property
    def is_image(self) -> bool:
        """Whether it is a picture rather than text."""
        return self is not Modality.REPORT

    @classmethod
    def parse(cls, text: str) -> Modality:
        """Read a modality's name; raises UserError with the known names."""
        try:
            return cls(text.strip().lower())
        except ValueError:
            known = ", ".join(cls)
            raise UserError(f"Unknown modality '{text.strip()}': choose from {known}.") from None


IMAGE_MODALITIES = tuple(m for m in Modality if m.is_image)


class View(StrEnum):
    """ViewPosition codes (DICOM 0018,5101) that this project uses, as MIMIC-CXR writes them."""

    PA = "PA"
    AP = "AP"
    FRONTAL = "FRONTAL"
    """Frontal, not said whether PA or AP."""
    LATERAL = "LATERAL"
    LL = "LL"

    @property
    def modality(self) -> Modality:
        """The part of a study that a picture of this view is."""
        return Modality.LATERAL if self in (View.LATERAL, View.LL) else Modality.FRONTAL
