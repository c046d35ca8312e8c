"""The random generators of studies: one each, so that results don't depend on what is generated beside them."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import numpy as np
import torch

from omnicxr.data.seeds import derived_seed
from omnicxr.domain import UserError


def random_generators(
    seed: int | None, generator: torch.Generator | Sequence[torch.Generator] | None, count: int
) -> list[torch.Generator]:
    """One for each of `count` studies: of study i from (seed, i), for None from a new seed; or `generator`, one from
    which a seed is drawn for each study, or a list with one per study.

    Raises TypeError for other types, UserError for a seed that is out of range and for another number of generators.
    """
    if isinstance(generator, torch.Generator):
        seeds = torch.randint(2**62, (count,), generator=generator, device=generator.device).tolist()
        return [torch.Generator().manual_seed(s) for s in seeds]
    if generator is not None:
        if not isinstance(generator, Sequence) or not all(isinstance(g, torch.Generator) for g in generator):
            raise TypeError(f"generator is {generator!r}: give a torch.Generator, or a list with one for each study.")
        if len(generator) != count:
            raise UserError(f"{len(generator)} random generators for {count} studies: give one for each.")
        return list(generator)
    if seed is None:
        seed = secrets.randbits(63)
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise TypeError(f"seed is {seed!r}: give a whole number.")
    if not 0 <= seed < 2**63:
        raise UserError(f"The seed {seed} is out of range: choose 0 to 2^63 - 1.")
    return [torch.Generator().manual_seed(derived_seed(int(seed), i)) for i in range(count)]
