"""What every reader offers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from omnicxr.domain import Study


class StudySource(Protocol):
    """A data set on disk. Studies come in a fixed order, each exactly once."""

    dropped: Counter[str]
    """Reason => number of studies left out, filled while `studies` runs."""

    def __init__(self, root: Path) -> None: ...

    def studies(self) -> Iterator[Study]: ...
