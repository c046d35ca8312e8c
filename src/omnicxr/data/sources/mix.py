"""Several data sets as one: each study keeps the name of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from omnicxr.data.sources.base import StudySource
from omnicxr.domain import Study


class Mix:
    """The studies of several sources, one source after the other."""

    def __init__(self, sources: Sequence[StudySource]) -> None:
        self.sources = sources
        self.dropped: Counter[str] = Counter()
        self.images_left_out: Counter[str] = Counter()

    def studies(self) -> Iterator[Study]:
        """In the order of the sources."""
        for source in self.sources:
            yield from source.studies()
            self.dropped += source.dropped
            self.images_left_out += source.images_left_out
