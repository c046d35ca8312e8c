"""Model folders of earlier versions: settings that are gone must have had the value that is built in by now."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omnicxr.domain import UserError


def without_retired(values: Mapping[str, Any], retired: Mapping[str, Any], where: Path) -> dict[str, Any]:
    """Settings without those of `retired`, name => the value that is built in by now (None: any will do).

    Raises UserError for another value: such a model needs the version that wrote it.
    """
    for name, kept in retired.items():
        if name in values and kept is not None and values[name] != kept:
            raise UserError(
                f"{where} was made with {name}={values[name]}, which this version no longer has (it is always {kept}):"
                " use OmniCXR 0.1 for this model."
            )
    return {name: value for name, value in values.items() if name not in retired}
