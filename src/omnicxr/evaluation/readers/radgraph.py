"""RadGraph F1 (Delbrouck et al., 2022 and ACL 2024): entities and relations of a report in common with its reference,
by the authors' library.

Its model is loaded by that library from a folder, on the CPU, where it unpickles tensors only; nothing is fetched.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from omnicxr.domain import UserError
from omnicxr.evaluation.readers.weights import library, weights_at

VARIABLE = "OMNICXR_RADGRAPH"
MODEL = "radgraph-xl"
GET = (
    f'run `python -c \'from radgraph import RadGraph; RadGraph(model_type="{MODEL}", model_cache_dir="radgraph",'
    " cuda=-1)'` once online (its language model goes to the Hugging Face cache)"
)
LEVELS = ("simple", "partial", "complete")
"""What must be equal: the entity; also whether it has a relation; also the relations. "partial" is what papers call
RadGraph F1."""


class RadGraphScorer:
    """Generated reports and their references => F1 of each report at the three levels, [n, 3] in 0..1; 0 where one of
    the two is empty."""

    def __init__(self) -> None:
        """Raises UserError where the library or its files are missing or broken."""
        folder = weights_at(VARIABLE, GET)
        if not (folder / MODEL / "config.json").is_file():
            raise UserError(f"{folder / MODEL / 'config.json'} is missing: {GET}.")
        os.environ["HF_HUB_OFFLINE"] = "1"
        library("huggingface_hub.constants", "radgraph").HF_HUB_OFFLINE = True  # for those that were imported before
        try:
            self.score: Any = library("radgraph", "radgraph").F1RadGraph(
                reward_level="all", model_type=MODEL, model_cache_dir=str(folder), cuda=-1
            )
        except (
            Exception
        ) as error:  # whatever a broken file, or a transformers that the library does not know, makes of it
            said = f"{type(error).__name__}: {str(error)[:120]}"
            raise UserError(
                f"RadGraph cannot be set up from {folder} ({said}). It needs transformers below 5; for its files {GET}."
            ) from error

    def __call__(self, generated: Sequence[str], references: Sequence[str]) -> np.ndarray:
        """F1 of each pair of reports at every level, [n, 3] in 0..1."""
        kept = [i for i, (g, r) in enumerate(zip(generated, references, strict=True)) if g.strip() and r.strip()]
        out = np.zeros((len(generated), len(LEVELS)))
        if kept:
            _, by_level, _, _ = self.score(hyps=[generated[i] for i in kept], refs=[references[i] for i in kept])
            out[kept] = np.array(by_level).T
        return out
