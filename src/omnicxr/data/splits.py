"""Splits by patient, from a hash: the same patient is always in the same split, whatever is added to the data set."""

from __future__ import annotations

import hashlib

TEST_SHARE, VALIDATE_SHARE = 0.1, 0.05
_KNOWN = {"train": ("train",), "validate": ("valid", "val", "validate", "validation"), "test": ("test",)}
SPLIT_NAMES = {name: split for split, names in _KNOWN.items() for name in names}
"""Names of partitions in data sets => names here. Others are not guessed: "dev" is either."""


def hashed_split(patient: str) -> str:
    """The first 32 bits of SHA-256 of the patient's name as a share of 1: below 0.1 is test, below 0.15 is validate,
    else train."""
    share = int(hashlib.sha256(patient.encode()).hexdigest()[:8], 16) / 2**32
    return "test" if share < TEST_SHARE else "validate" if share < TEST_SHARE + VALIDATE_SHARE else "train"


def named_split(name: str) -> str:
    """A partition's name as it is called here; the name itself where it is none that is known."""
    return SPLIT_NAMES.get(name.strip().lower(), name.strip())
