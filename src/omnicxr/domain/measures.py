"""What can be measured in a study beside its findings, and where: known exactly for simulated studies."""

from __future__ import annotations

SIDES = ("left", "right")
LOBES = ("left upper lobe", "left lower lobe", "right upper lobe", "right middle lobe", "right lower lobe")
PLACES: dict[str, tuple[str, ...]] = {"effusion": SIDES, "pneumothorax": SIDES, "consolidation": LOBES, "nodule": LOBES}
"""Kinds of lesion whose extent is measured, and the places where each is measured."""
CARDIOTHORACIC_RATIO = "cardiothoracic_ratio"


def extent(kind: str, place: str) -> str:
    """The name of the extent of a kind of lesion in one place, for instance nodule_left_upper_lobe."""
    return f"{kind}_{place.replace(' ', '_')}"


MEASURES = (CARDIOTHORACIC_RATIO, *(extent(kind, place) for kind, places in PLACES.items() for place in places))
"""Every measure: the cardiothoracic ratio, then extents of 0..1, 0 where there is no such lesion.

Effusion: height of the fluid over height of the lung. Pneumothorax: collapsed share of the width of the lung.
Consolidation: radius, and nodule: diameter, of the largest in the lobe, in units of 60 mm.
"""
EXTENT_MM = 60.0
"""The unit of consolidations and nodules."""
