"""Counts of what was left out or noticed, by reason."""

from __future__ import annotations

from collections import Counter

FILE_MISSING = "file missing"
"""The reason of a picture that a data set names and that is not there."""
VALUES_NAMED, VALUE_LENGTH = 20, 40


class Reasons(Counter[str]):
    """Reason => count; a reason may quote the value that it is about."""

    def add(self, reason: str, value: str) -> None:
        """Count once `reason`, with `value` in the place of its {}: cut where it is long, and only so many different
        values of one reason are named, so that a column of anything at all makes a short table."""
        shown = " ".join(value.split())
        shown = f"{shown[:VALUE_LENGTH]}..." if len(shown) > VALUE_LENGTH else shown
        begin = reason.partition("{}")[0]
        named = reason.format(shown)
        if named not in self and sum(r.startswith(begin) for r in self) >= VALUES_NAMED:
            named = reason.format("(others)")
        self[named] += 1
