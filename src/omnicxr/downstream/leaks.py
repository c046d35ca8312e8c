"""Are the prompts of a synthetic data set the studies that classifiers are to be tested on?"""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import numpy as np

from omnicxr.data.dataset import PreparedDataset
from omnicxr.domain import Modality, UserError

LEAST, SHARE = 3, 0.02
"""Synthetic studies that may have what only a test study has, by chance: of composed sentences one in two hundred."""


def check_prompts(synthetic: PreparedDataset, real: Mapping[str, PreparedDataset]) -> None:
    """Raises UserError where synthetic studies were generated from test studies of `real` (split => studies): by the
    record of their synthesis, or because they have word for word what a test study has and no training study."""
    test, settings = real["test"], synthetic.manifest.synthetic.get("settings", {})
    given = str(settings.get("task", "")).partition("->")[0].split("+")
    if not set(given) & set(Modality):
        return
    remedy = "synthesize from training studies (--split train), or from other prompts."
    if settings.get("prompts") == test.manifest_hash and settings.get("split") == "test":
        raise UserError(f"{synthetic.root} was generated from the test studies of {test.root}: {remedy}")
    told = Modality.REPORT in given
    own = set(_marks(test, told, synthetic=False)) - set(_marks(real["train"], told, synthetic=False))
    count = sum(mark in own for mark in _marks(synthetic, told, synthetic=True))
    if count >= LEAST and count > SHARE * len(synthetic):
        what = "report" if told else "study_id, labels, age and sex"
        raise UserError(
            f"{count} of {len(synthetic)} studies of {synthetic.root} have the {what} of a test study of {test.root}"
            f" that no training study has, so its test studies were their prompts: {remedy}"
        )


def _marks(data: PreparedDataset, told: bool, *, synthetic: bool) -> list[Hashable]:
    """What a synthetic study shares with the study that it was generated from: its report, if that was given; else the
    name, which is the patient of the synthetic one, and what is known of it."""
    if told:
        return list(data.reports)
    columns = [data.table.column(c).to_pylist() for c in ("subject_id" if synthetic else "study_id", "age", "sex")]
    names = [name if synthetic else f"syn-{name}" for name in columns[0]]
    labels = [row.tobytes() for row in np.nan_to_num(data.labels, nan=2)]
    return list(zip(names, *columns[1:], labels, strict=True))
