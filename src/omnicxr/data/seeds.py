"""One scheme for everything random: a seed and a path of whole numbers (study, step, process, ...) and names of what it
is for => another seed."""

from __future__ import annotations

import numpy as np


def derived_seed(seed: int, *path: int | str) -> int:
    """The seed of what lies at `path`, 0..2^63 - 1: NumPy's SeedSequence of all the numbers.

    Different paths give independent streams, but for zeros at their end, which count for nothing (paths of one kind are
    of one length); the same path gives the same seed on every machine. A name stands for the number that its bytes
    make.
    """
    numbers = [p if isinstance(p, int) else int.from_bytes(p.encode()) for p in path]
    return int(np.random.SeedSequence([seed, *numbers]).generate_state(1, np.uint64)[0] >> 1)
