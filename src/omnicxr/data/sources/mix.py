"""Several data sets as one: each study keeps the name of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from omnicxr.data.counts import Reasons
from omnicxr.data.sources.base import StudySource
from omnicxr.domain import Study


class Mix:
    """The studies of several sources, one source after the other."""

    def __init__(self, sources: Sequence[StudySource]) -> None:
        self.sources = sources
        self.dropped, self.images_left_out, self.noticed = Reasons(), Reasons(), Reasons()

    def studies(self) -> Iterator[Study]:
        """In the order of the sources."""
        for source in self.sources:
            yield from source.studies()
            self.dropped.update(source.dropped)
            self.images_left_out.update(source.images_left_out)
            self.noticed.update(source.noticed)
