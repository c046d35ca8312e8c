"""Drawing truths: how often findings occur and go together, and how anatomy and exposure vary."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from omnicxr.domain import UserError, View
from omnicxr.domain.measures import LOBES, SIDES
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


@dataclass(frozen=True, kw_only=True)
class Prevalence:
    """How often each finding occurs. Rates are shares of studies that are not drawn as normal."""

    normal: float = 0.28
    """Share of all studies without any finding."""
    cardiomegaly: float = 0.22
    effusion: float = 0.24
    pneumothorax: float = 0.13
    consolidation: float = 0.25
    atelectasis: float = 0.22
    edema: float = 0.17
    nodule: float = 0.16
    wide_mediastinum: float = 0.1
    fracture: float = 0.08
    devices: float = 0.3
    failure: float = 2.6
    """How much likelier edema makes cardiomegaly and effusion (heart failure)."""

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if value < 0 or (f.name != "failure" and value > 1):
                raise UserError(f"Prevalence '{f.name}' is {value}: give a share between 0 and 1.")


def sample_truth(seed: int, index: int, prevalence: Prevalence | None = None) -> Truth:
    """Draw study `index` of the series `seed`. Equal arguments give equal truths, whatever was drawn before."""
    rng = np.random.default_rng([seed, index])
    p = prevalence or Prevalence()
    lesions = _sample_lesions(rng, p)
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


def _sample_lesions(rng: np.random.Generator, p: Prevalence) -> tuple[Lesion, ...]:
    def happens(rate: float) -> bool:
        return bool(rng.random() < rate)

    def side() -> str:
        return str(rng.choice(SIDES))

    lesions: list[Lesion] = []
    healthy = happens(p.normal)
    if not healthy:
        edema = happens(p.edema)
        failure = p.failure if edema else 1.0
        if happens(p.cardiomegaly * failure):
            lesions.append(Cardiomegaly(severity=str(rng.choice(("mild", "moderate", "severe")))))
        if edema:
            lesions.append(Edema(severity=_uniform(rng, 0.25, 1.0)))
        if happens(p.effusion * failure):
            both = happens(0.5 if edema else 0.25)
            sides = SIDES if both else (side(),)
            lesions.extend(Effusion(side=s, level=_uniform(rng, 0.14, 0.62 if not both else 0.45)) for s in sides)
        wet = {lesion.side for lesion in lesions if isinstance(lesion, Effusion) and lesion.level > 0.3}
        dry = [s for s in SIDES if s not in wet]
        if happens(p.pneumothorax) and dry:
            lesions.append(Pneumothorax(side=str(rng.choice(dry)), collapse=_uniform(rng, 0.15, 0.6)))
        taken = wet | {lesion.side for lesion in lesions if isinstance(lesion, Pneumothorax)}
        free = [lobe for lobe in LOBES if lobe.split()[0] not in taken]
        if happens(p.consolidation) and free:
            for lobe in rng.choice(free, size=2 if len(free) > 1 and happens(0.15) else 1, replace=False):
                lesions.append(
                    Consolidation(
                        lobe=str(lobe),
                        centre=_place(rng, 0.3),
                        radius_mm=_uniform(rng, 26, 60),
                        density=_uniform(rng, 0.65, 1.0),
                    )
                )
        if happens(p.nodule) and free:
            size = _uniform(rng, 14, 30) if happens(0.6) else _uniform(rng, 31, 60)
            lesions.append(Nodule(lobe=str(rng.choice(free)), centre=_place(rng, 0.3), diameter_mm=size))
        bases = [s for s in SIDES if s not in taken]
        if happens(p.atelectasis) and bases:
            both = len(bases) == 2 and happens(0.3)
            for s in bases if both else (str(rng.choice(bases)),):
                lesions.append(
                    Atelectasis(side=s, plates=int(rng.integers(1, 4)), thickness_mm=_uniform(rng, 3.0, 5.5))
                )
        if happens(p.wide_mediastinum):
            lesions.append(WideMediastinum())
        if happens(p.fracture):
            lesions.append(RibFracture(side=side(), first_rib=int(rng.integers(4, 7)), count=int(rng.integers(2, 4))))
    sick = 1.5 if not healthy else 0.5
    if happens(p.devices * sick):
        kinds = rng.choice(DEVICE_KINDS[:4], size=int(rng.integers(1, 3)), replace=False, p=(0.35, 0.35, 0.15, 0.15))
        for kind in sorted(map(str, kinds), key=DEVICE_KINDS.index):
            lesions.append(Device(kind=kind, side="right" if kind == "central line" or happens(0.25) else "left"))
    for lesion in tuple(lesions):
        if isinstance(lesion, Pneumothorax) and happens(0.3):
            lesions.append(Device(kind="chest tube", side=lesion.side))
    return tuple(lesions)


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
