"""What lies ahead in a partition, read once for all members that look for records.

Members that come together would all look at one place, and all but one in vain. What was read is
good for a while: a log does not change below its end, but it may be compacted or cut.
"""

from __future__ import annotations

from bisect import bisect_left
from operator import attrgetter
from typing import Final, NamedTuple

from pylog.engine.values import Survey

_GOOD_FOR_MS: Final = 1_000
_LAST = attrgetter("last_offset")


class Pick(NamedTuple):
    """A part of a window; ``whole``: there is no room for what would follow."""

    survey: Survey
    whole: bool


class Window:
    """What was read at an offset."""

    def __init__(self, start: int, survey: Survey, read_ms: int) -> None:
        self._start = start
        self._survey = survey
        self._until_ms = read_ms + _GOOD_FOR_MS

    @property
    def end(self) -> int:
        return self._survey.next_offset

    def pick(self, offset: int, max_records: int, max_bytes: int, now_ms: int) -> Pick | None:
        """Batches from an offset on, at least one; None when they were not read, or long ago."""
        batches = self._survey.batches
        if not self._start <= offset < self.end or now_ms >= self._until_ms:
            return None
        first = end = bisect_left(batches, offset, key=_LAST)
        records, size = 0, 0
        while end < len(batches) and records < max_records:
            batch = batches[end]
            if end > first and size + batch.size_bytes > max_bytes:
                return Pick(Survey(batches[first:end], batches[end - 1].last_offset + 1), True)
            if batch.deliverable:
                records += batch.last_offset - max(batch.first_offset, offset) + 1
            size += batch.size_bytes
            end += 1
        if end == first:
            return None
        survey = Survey(batches[first:end], batches[end - 1].last_offset + 1)
        return Pick(survey, records >= max_records or size >= max_bytes)
