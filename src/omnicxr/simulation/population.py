"""Drawing truths: how often findings occur and go together, and how anatomy and exposure vary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from omnicxr.domain import View
from omnicxr.domain.measures import LOBES, SIDES
from omnicxr.domain.settings import Between, Settings
from omnicxr.simulation.truth import (
    DEVICE_KINDS,
    Anatomy,
    Atelectasis,
    Cardiomegaly,
    Consolidation,
    Device,
    Edema,
    Effusion,
    Exposure,
    Lesion,
    Nodule,
    Pneumothorax,
    RibFracture,
    Truth,
    WideMediastinum,
)

Share = Annotated[float, Between(0, 1)]


@dataclass(frozen=True, kw_only=True)
class Prevalence(Settings):
    """How often each finding occurs. Rates are shares of studies that are not drawn as normal."""

    normal: Share = 0.28
    """Share of all studies without any finding."""
    cardiomegaly: Share = 0.22
    effusion: Share = 0.24
    pneumothorax: Share = 0.13
    consolidation: Share = 0.25
    atelectasis: Share = 0.22
    edema: Share = 0.17
    nodule: Share = 0.16
    wide_mediastinum: Share = 0.1
    fracture: Share = 0.08
    devices: Share = 0.3
    failure: Annotated[float, Between(0, 100)] = 2.6
    """How much likelier edema makes cardiomegaly and effusion (heart failure)."""


def sample_truth(seed: int, index: int, prevalence: Prevalence | None = None) -> Truth:
    """Draw study `index` of the series `seed`. Equal arguments give equal truths, whatever was drawn before."""
    rng = np.random.default_rng([seed, index])
    lesions = _LesionSampler(rng, prevalence or Prevalence()).draw()
    frail = any(isinstance(lesion, Device | Edema) for lesion in lesions)
    anatomy = _sample_anatomy(rng, lesions)
    return Truth(
        seed=seed,
        index=index,
        anatomy=anatomy,
        frontal=_sample_exposure(rng, View.AP if rng.random() < (0.45 if frail else 0.15) else View.PA, anatomy),
        lateral=_sample_exposure(rng, View.LL if rng.random() < 0.3 else View.LATERAL, anatomy),
        lesions=lesions,
    )


def _uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return round(float(rng.uniform(low, high)), 4)


def _place(rng: np.random.Generator, margin: float) -> tuple[float, float, float]:
    x, y, z = (_uniform(rng, margin, 1 - margin) for _ in range(3))
    return x, y, z


class _LesionSampler:
    """The lesions of one study. They are drawn in a fixed order: any change of it changes every study."""

    def __init__(self, rng: np.random.Generator, prevalence: Prevalence) -> None:
        self.rng, self.p = rng, prevalence
        self.lesions: list[Lesion] = []

    def draw(self) -> tuple[Lesion, ...]:
        """All of them, devices last."""
        healthy = self._happens(self.p.normal)
        if not healthy:
            wet = self._heart_failure()
            taken = self._pneumothorax(wet)
            self._lobes(taken)
            self._atelectasis([s for s in SIDES if s not in taken])
            if self._happens(self.p.wide_mediastinum):
                self.lesions.append(WideMediastinum())
            if self._happens(self.p.fracture):
                side, first_rib = self._one_of(SIDES), int(self.rng.integers(4, 7))
                self.lesions.append(RibFracture(side=side, first_rib=first_rib, count=int(self.rng.integers(2, 4))))
        self._devices(1.5 if not healthy else 0.5)
        return tuple(self.lesions)

    def _happens(self, rate: float) -> bool:
        return bool(self.rng.random() < rate)

    def _one_of(self, names: Sequence[str]) -> str:
        return str(self.rng.choice(names))

    def _heart_failure(self) -> set[str]:
        """Heart, edema and effusions, which go together; returns the sides with much fluid."""
        edema = self._happens(self.p.edema)
        failure = self.p.failure if edema else 1.0
        if self._happens(self.p.cardiomegaly * failure):
            self.lesions.append(Cardiomegaly(severity=self._one_of(("mild", "moderate", "severe"))))
        if edema:
            self.lesions.append(Edema(severity=_uniform(self.rng, 0.25, 1.0)))
        effusions: list[Effusion] = []
        if self._happens(self.p.effusion * failure):
            both = self._happens(0.5 if edema else 0.25)
            sides, most = (SIDES, 0.45) if both else ((self._one_of(SIDES),), 0.62)
            effusions = [Effusion(side=s, level=_uniform(self.rng, 0.14, most)) for s in sides]
        self.lesions += effusions
        return {effusion.side for effusion in effusions if effusion.level > 0.3}

    def _pneumothorax(self, wet: set[str]) -> set[str]:
        """On a side without much fluid; returns the sides that are full of fluid or air."""
        dry = [s for s in SIDES if s not in wet]
        if not (self._happens(self.p.pneumothorax) and dry):
            return wet
        found = Pneumothorax(side=self._one_of(dry), collapse=_uniform(self.rng, 0.15, 0.6))
        self.lesions.append(found)
        return wet | {found.side}

    def _lobes(self, taken: set[str]) -> None:
        """Consolidations and a nodule, in lobes of the other sides."""
        free = [lobe for lobe in LOBES if lobe.split()[0] not in taken]
        if self._happens(self.p.consolidation) and free:
            count = 2 if len(free) > 1 and self._happens(0.15) else 1
            for lobe in self.rng.choice(free, size=count, replace=False):
                centre, radius_mm = _place(self.rng, 0.3), _uniform(self.rng, 26, 60)
                density = _uniform(self.rng, 0.65, 1.0)
                self.lesions.append(Consolidation(lobe=str(lobe), centre=centre, radius_mm=radius_mm, density=density))
        if self._happens(self.p.nodule) and free:
            size = _uniform(self.rng, 14, 30) if self._happens(0.6) else _uniform(self.rng, 31, 60)
            self.lesions.append(Nodule(lobe=self._one_of(free), centre=_place(self.rng, 0.3), diameter_mm=size))

    def _atelectasis(self, bases: list[str]) -> None:
        if not (self._happens(self.p.atelectasis) and bases):
            return
        both = len(bases) == 2 and self._happens(0.3)
        for s in bases if both else (self._one_of(bases),):
            plates = int(self.rng.integers(1, 4))
            self.lesions.append(Atelectasis(side=s, plates=plates, thickness_mm=_uniform(self.rng, 3.0, 5.5)))

    def _devices(self, factor: float) -> None:
        if self._happens(self.p.devices * factor):
            count, shares = int(self.rng.integers(1, 3)), (0.35, 0.35, 0.15, 0.15)
            kinds = self.rng.choice(DEVICE_KINDS[:4], size=count, replace=False, p=shares)
            for kind in sorted(map(str, kinds), key=DEVICE_KINDS.index):
                right = kind == "central line" or self._happens(0.25)
                self.lesions.append(Device(kind=kind, side="right" if right else "left"))
        for lesion in tuple(self.lesions):
            if isinstance(lesion, Pneumothorax) and self._happens(0.3):
                self.lesions.append(Device(kind="chest tube", side=lesion.side))


HEART_SCALE = {"mild": (1.16, 1.28), "moderate": (1.3, 1.46), "severe": (1.5, 1.75)}


def _sample_anatomy(rng: np.random.Generator, lesions: tuple[Lesion, ...]) -> Anatomy:
    severity = next((lesion.severity for lesion in lesions if isinstance(lesion, Cardiomegaly)), None)
    wide = any(isinstance(lesion, WideMediastinum) for lesion in lesions)
    sex = "F" if rng.random() < 0.5 else "M"
    body = rng.normal(0, 0.04)
    return Anatomy(
        sex=sex,
        age=int(rng.integers(20, 91)),
        scale=tuple(round(float(np.clip(1 + body + rng.normal(0, 0.045), 0.84, 1.16)), 4) for _ in range(3)),  # type: ignore[arg-type]
        fat_mm=round(float(np.clip(rng.gamma(2.0, 6.0) - 6, -6, 32)), 2),
        breast_mm=_uniform(rng, 10, 38) if sex == "F" else 0.0,
        bone_density=_uniform(rng, 0.8, 1.35),
        diaphragm_mm=_uniform(rng, -22, 20),
        heart_scale=_uniform(rng, *HEART_SCALE[severity]) if severity else _uniform(rng, 0.74, 0.99),
        mediastinum_scale=_uniform(rng, 1.55, 2.1) if wide else _uniform(rng, 0.88, 1.12),
        warp_mm=_uniform(rng, 2.0, 6.5),
        kyphosis_mm=_uniform(rng, -8, 14),
        scoliosis_mm=round(float(rng.normal(0, 3.5)), 2),
        lung_density=_uniform(rng, 0.8, 1.25),
        vessel_gain=_uniform(rng, 1.1, 1.7),
        texture_seed=int(rng.integers(2**31)),
    )


APEX_MM = 131.0
"""Height of the lung apices over the middle of the lungs in the atlas."""


def _sample_exposure(rng: np.random.Generator, view: View, anatomy: Anatomy) -> Exposure:
    """Collimated to the person: the field starts a little above the apices and is as wide as the chest."""
    frontal, portable = view in (View.PA, View.AP), view is View.AP
    turn = 1.5 if portable else 1.0
    across = anatomy.scale[0] if frontal else max(anatomy.scale[1], 0.97 * anatomy.scale[2])
    field_mm = _uniform(rng, 272, 308) * max(across, 0.95 * anatomy.scale[2])
    top_mm = APEX_MM * anatomy.scale[2] + _uniform(rng, 4, 22)
    return Exposure(
        view=view,
        source_mm=_uniform(rng, 1000, 1200) if portable else _uniform(rng, 1750, 1850),
        field_mm=round(field_mm, 3),
        shift_mm=(_uniform(rng, -7, 7), round(top_mm - field_mm / 2, 3)),
        rotation_deg=tuple(round(float(rng.normal(0, s * turn)), 3) for s in (2.5, 1.6, 2.6)),  # type: ignore[arg-type]
        scatter=_uniform(rng, 0.15, 0.4) if frontal else _uniform(rng, 0.2, 0.45),
        photons=_uniform(rng, 0.6, 2.0),
        equalisation=_uniform(rng, 0.3, 0.6) if frontal else _uniform(rng, 0.45, 0.7),
        contrast=_uniform(rng, 0.8, 1.08),
        brightness=_uniform(rng, -0.02, 0.07),
    )
