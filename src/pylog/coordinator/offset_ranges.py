"""A map from ranges of offsets to values: sorted, disjoint, equal neighbours joined."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Generic, NamedTuple, TypeVar

V = TypeVar("V")


class Range(NamedTuple, Generic[V]):
    """Offsets from ``first`` to ``last``, both included; the value None means: not in the map."""

    first: int
    last: int
    value: V

    def __len__(self) -> int:
        return self.last - self.first + 1


_LAST = attrgetter("last")


class OffsetRanges(Generic[V]):
    """Ranges by offset. Iterates over them from the lowest."""

    def __init__(self, ranges: Iterable[Range[V]] = ()) -> None:
        self._ranges: list[Range[V]] = list(ranges)

    def __iter__(self) -> Iterator[Range[V]]:
        return iter(self._ranges)

    def __bool__(self) -> bool:
        return bool(self._ranges)

    @property
    def last(self) -> int:
        """The highest offset in the map; -1 when it is empty."""
        return self._ranges[-1].last if self._ranges else -1

    def from_offset(self, offset: int) -> Iterator[Range[V]]:
        """The ranges that reach to an offset or lie above it."""
        for index in range(bisect_left(self._ranges, offset, key=_LAST), len(self._ranges)):
            yield self._ranges[index]

    def put(self, first: int, last: int, value: V) -> None:
        """Give every offset of a range this value."""
        low, high = self._touched(first, last)
        around: list[Range[V]] = []
        if low < high and self._ranges[low].first < first:
            around.append(Range(self._ranges[low].first, first - 1, self._ranges[low].value))
        around.append(Range(first, last, value))
        if low < high and self._ranges[high - 1].last > last:
            end = self._ranges[high - 1]
            around.append(Range(last + 1, end.last, end.value))
        if low > 0:
            low -= 1
            around.insert(0, self._ranges[low])
        if high < len(self._ranges):
            around.append(self._ranges[high])
            high += 1
        self._ranges[low:high] = _joined(around)

    def over(self, first: int, last: int) -> list[Range[V | None]]:
        """What lies in a range, without a hole: offsets that are not in the map have None."""
        found: list[Range[V | None]] = []
        low, high = self._touched(first, last)
        for item in self._ranges[low:high]:
            if item.first > first:
                found.append(Range(first, item.first - 1, None))
            found.append(Range(max(item.first, first), min(item.last, last), item.value))
            first = item.last + 1
        if first <= last:
            found.append(Range(first, last, None))
        return found

    def drop_below(self, offset: int) -> None:
        """Forget everything below an offset."""
        count = bisect_left(self._ranges, offset, key=_LAST)
        del self._ranges[:count]
        if self._ranges and self._ranges[0].first < offset:
            first = self._ranges[0]
            self._ranges[0] = Range(offset, first.last, first.value)

    def _touched(self, first: int, last: int) -> tuple[int, int]:
        """The slice of the list that overlaps a range."""
        low = high = bisect_left(self._ranges, first, key=_LAST)
        while high < len(self._ranges) and self._ranges[high].first <= last:
            high += 1
        return low, high


def _joined(ranges: list[Range[V]]) -> list[Range[V]]:
    joined: list[Range[V]] = []
    for item in ranges:
        if joined and joined[-1].last + 1 == item.first and joined[-1].value == item.value:
            joined[-1] = Range(joined[-1].first, item.last, item.value)
        else:
            joined.append(item)
    return joined
