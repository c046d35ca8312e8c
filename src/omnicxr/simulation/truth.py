"""What is true of a simulated study: anatomy, exposure and findings, drawn from one seed, before anything is
rendered."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from omnicxr.domain import Finding, View
from omnicxr.domain.measures import EXTENT_MM, LOBES, PLACES, extent

LOBE_LABELS: dict[str, int] = dict(zip(LOBES, (10, 11, 12, 13, 14), strict=True))
"""Lobe names => atlas labels."""


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """The person: shape of the body and of the chest. Lengths in mm, scales relative to the atlas."""

    sex: str
    age: int
    """Years."""
    scale: tuple[float, float, float]
    """Size of the body along x (left), y (anterior), z (up)."""
    fat_mm: float
    """Fat added under the skin; negative takes some away."""
    breast_mm: float
    """Depth of the breasts; 0 for none."""
    bone_density: float
    diaphragm_mm: float
    """Downward shift of the diaphragm: positive is a deep breath."""
    heart_scale: float
    mediastinum_scale: float
    warp_mm: float
    """Amplitude of the smooth random displacement."""
    kyphosis_mm: float
    scoliosis_mm: float
    lung_density: float
    vessel_gain: float
    texture_seed: int


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """How one view was taken."""

    view: View
    source_mm: float
    """Source to detector."""
    field_mm: float
    """Side of the square field in the plane through the middle of the chest."""
    shift_mm: tuple[float, float]
    """Middle of the field from the middle of the lungs, to the right of the picture and upwards."""
    rotation_deg: tuple[float, float, float]
    """About x (pitch), y (roll) and z (yaw)."""
    scatter: float
    photons: float
    """Relative photon count: higher is less noise."""
    equalisation: float
    contrast: float
    brightness: float


def _size(share: float) -> str:
    return "small" if share < 0.24 else "moderate" if share < 0.42 else "large"


@dataclass(frozen=True, kw_only=True)
class Cardiomegaly:
    """Large heart; how large is in `Anatomy.heart_scale`."""

    finding: ClassVar = Finding.CARDIOMEGALY
    severity: str


@dataclass(frozen=True, kw_only=True)
class WideMediastinum:
    """Wide upper mediastinum; how wide is in `Anatomy.mediastinum_scale`."""

    finding: ClassVar = Finding.ENLARGED_CARDIOMEDIASTINUM


@dataclass(frozen=True, kw_only=True)
class Effusion:
    """Free pleural fluid."""

    finding: ClassVar = Finding.PLEURAL_EFFUSION
    side: str
    level: float
    """Height of the fluid over height of the lung, 0..1."""

    @property
    def size(self) -> str:
        """small, moderate or large."""
        return _size(self.level)


@dataclass(frozen=True, kw_only=True)
class Pneumothorax:
    """Air in the pleural space."""

    finding: ClassVar = Finding.PNEUMOTHORAX
    side: str
    collapse: float
    """1 - (width of the collapsed lung over its full width), 0..1."""

    @property
    def size(self) -> str:
        """small, moderate or large."""
        return _size(self.collapse)


@dataclass(frozen=True, kw_only=True)
class InLobe:
    """Where a lesion of one lobe is."""

    lobe: str
    centre: tuple[float, float, float]
    """Place inside the bounding box of the lobe (x, y, z), each 0..1."""

    @property
    def side(self) -> str:
        """left or right."""
        return self.lobe.split()[0]


@dataclass(frozen=True, kw_only=True)
class Consolidation(InLobe):
    """Airspace filled with fluid or pus, inside one lobe."""

    finding: ClassVar = Finding.CONSOLIDATION
    radius_mm: float
    density: float

    @property
    def size(self) -> str:
        """small, moderate or large."""
        return "small" if self.radius_mm < 30 else "large" if self.radius_mm > 46 else "moderate"


@dataclass(frozen=True, kw_only=True)
class Atelectasis:
    """Plate-like collapse near the base."""

    finding: ClassVar = Finding.ATELECTASIS
    side: str
    plates: int
    thickness_mm: float


@dataclass(frozen=True, kw_only=True)
class Edema:
    """Interstitial and alveolar edema of both lungs, 0..1."""

    finding: ClassVar = Finding.EDEMA
    severity: float

    @property
    def size(self) -> str:
        """mild, moderate or severe."""
        return "mild" if self.severity < 0.45 else "moderate" if self.severity < 0.75 else "severe"


@dataclass(frozen=True, kw_only=True)
class Nodule(InLobe):
    """Round solid lesion; a mass above 30 mm."""

    finding: ClassVar = Finding.LUNG_LESION
    diameter_mm: float

    @property
    def size(self) -> str:
        """nodule or mass."""
        return "mass" if self.diameter_mm > 30 else "nodule"


@dataclass(frozen=True, kw_only=True)
class RibFracture:
    """Displaced fractures of neighbouring ribs."""

    finding: ClassVar = Finding.FRACTURE
    side: str
    first_rib: int
    count: int


@dataclass(frozen=True, kw_only=True)
class Device:
    """A support device, one of `DEVICE_KINDS`."""

    finding: ClassVar = Finding.SUPPORT_DEVICES
    kind: str
    side: str


Lesion = (
    Cardiomegaly
    | WideMediastinum
    | Effusion
    | Pneumothorax
    | Consolidation
    | Atelectasis
    | Edema
    | Nodule
    | RibFracture
    | Device
)

DEVICE_KINDS = ("pacemaker", "central line", "endotracheal tube", "nasogastric tube", "chest tube")

OPACITIES = frozenset({Finding.ATELECTASIS, Finding.CONSOLIDATION, Finding.EDEMA, Finding.LUNG_LESION})
"""Findings under "Lung Opacity" in the CheXpert hierarchy: any of them makes it positive."""


@dataclass(frozen=True, kw_only=True)
class Truth:
    """All that a study depends on. Rendering adds `measures`, the quantities read off the deformed anatomy."""

    seed: int
    index: int
    anatomy: Anatomy
    frontal: Exposure
    lateral: Exposure
    lesions: tuple[Lesion, ...]
    measures: dict[str, float] = field(default_factory=dict)

    def findings(self) -> frozenset[Finding]:
        """The positive findings, "Lung Opacity" and "No Finding" derived as CheXpert does."""
        there = {lesion.finding for lesion in self.lesions}
        if there & OPACITIES:
            there.add(Finding.LUNG_OPACITY)
        if not there - {Finding.SUPPORT_DEVICES}:
            there.add(Finding.NO_FINDING)
        return frozenset(there)

    def extents(self) -> dict[str, float]:
        """The continuous truth by place (`domain.measures.MEASURES`), 0 where there is no such lesion."""
        out = {extent(kind, place): 0.0 for kind, places in PLACES.items() for place in places}
        for lesion in self.lesions:
            match lesion:
                case Effusion():
                    out[extent("effusion", lesion.side)] = lesion.level
                case Pneumothorax():
                    out[extent("pneumothorax", lesion.side)] = lesion.collapse
                case Consolidation():
                    name = extent("consolidation", lesion.lobe)
                    out[name] = max(out[name], lesion.radius_mm / EXTENT_MM)
                case Nodule():
                    name = extent("nodule", lesion.lobe)
                    out[name] = max(out[name], lesion.diameter_mm / EXTENT_MM)
        return out

    def to_json(self) -> dict[str, Any]:
        """As JSON; lesions carry their type."""
        lesions = [{"type": type(lesion).__name__, **asdict(lesion)} for lesion in self.lesions]
        return {**asdict(self), "lesions": lesions}
