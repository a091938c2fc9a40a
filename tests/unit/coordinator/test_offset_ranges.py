"""Ranges of offsets against a dictionary of single offsets."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from pylog.coordinator.offset_ranges import OffsetRanges

OFFSETS = st.integers(0, 30)
PUTS = st.lists(st.tuples(OFFSETS, st.integers(0, 8), st.sampled_from("abc")))


@given(PUTS, OFFSETS, st.tuples(OFFSETS, st.integers(0, 8)))
def test_ranges_hold_what_single_offsets_would(
    puts: list[tuple[int, int, str]], floor: int, look: tuple[int, int]
) -> None:
    ranges: OffsetRanges[str] = OffsetRanges()
    single: dict[int, str] = {}
    for first, length, value in puts:
        ranges.put(first, first + length, value)
        single.update(dict.fromkeys(range(first, first + length + 1), value))
    ranges.drop_below(floor)
    single = {offset: value for offset, value in single.items() if offset >= floor}
    assert {o: r.value for r in ranges for o in range(r.first, r.last + 1)} == single
    assert ranges.last == max(single, default=-1)
    first, last = look[0], look[0] + look[1]
    seen = {o: r.value for r in ranges.over(first, last) for o in range(r.first, r.last + 1)}
    assert seen == {offset: single.get(offset) for offset in range(first, last + 1)}


@given(PUTS)
def test_neighbours_of_one_value_are_one_range(puts: list[tuple[int, int, str]]) -> None:
    ranges: OffsetRanges[str] = OffsetRanges()
    for first, length, value in puts:
        ranges.put(first, first + length, value)
    listed = list(ranges)
    for left, right in itertools.pairwise(listed):
        assert left.last < right.first
        assert left.last + 1 < right.first or left.value != right.value
