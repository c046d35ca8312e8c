"""One scheme for everything random: a seed and a path of whole numbers (study, step, process, ...) => another seed."""

from __future__ import annotations

import numpy as np


def derived_seed(seed: int, *path: int) -> int:
    """The seed of what lies at `path`, 0..2^63 - 1: NumPy's SeedSequence of all the numbers.

    Different paths give independent streams, but for zeros at their end, which count for nothing (paths of one kind are
    of one length); the same path gives the same seed on every machine.
    """
    return int(np.random.SeedSequence([seed, *path]).generate_state(1, np.uint64)[0] >> 1)
