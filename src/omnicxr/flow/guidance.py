"""Classifier-free guidance (Ho and Salimans 2022), applied in an interval of time (Kynkaanniemi et al. 2024)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TypeVar

from torch import Tensor

Key = TypeVar("Key", bound=Hashable)


def guide(conditional: Mapping[Key, Tensor], unconditional: Mapping[Key, Tensor], scale: float) -> dict[Key, Tensor]:
    """v = v_u + scale (v_c - v_u): scale 1 is no guidance."""
    return {m: unconditional[m] + scale * (conditional[m] - unconditional[m]) for m in conditional}


def is_guided(t: float, scale: float, interval: tuple[float, float]) -> bool:
    """Whether guidance acts at time t: scale differs from 1 and t lies in the closed interval."""
    return scale != 1 and interval[0] <= t <= interval[1]
