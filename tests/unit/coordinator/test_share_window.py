"""Picking batches from what was read ahead."""

from __future__ import annotations

import pytest

from pylog.coordinator.share_window import Pick, Window
from pylog.engine.values import BatchView, Survey

# Tens of records, 100 bytes each; the third holds a marker.
BATCHES = [BatchView(first, first + 9, 100, first != 20) for first in range(0, 50, 10)]
NOW_MS, ROOMY = 5_000, 1_000_000


@pytest.fixture
def window() -> Window:
    return Window(0, Survey(BATCHES, 50), NOW_MS)


def firsts(pick: Pick | None) -> list[int]:
    assert pick is not None
    assert pick.survey.next_offset == pick.survey.batches[-1].last_offset + 1
    return [batch.first_offset for batch in pick.survey.batches]


def test_as_many_batches_as_are_wanted(window: Window) -> None:
    assert firsts(window.pick(0, 1, ROOMY, NOW_MS)) == [0]
    assert firsts(window.pick(0, 11, ROOMY, NOW_MS)) == [0, 10]
    assert firsts(window.pick(15, 5, ROOMY, NOW_MS)) == [10], "from the middle of a batch"
    assert firsts(window.pick(15, 6, ROOMY, NOW_MS)) == [10, 20, 30], "a marker is no record"


def test_no_more_bytes_than_there_is_room_for_but_one_batch(window: Window) -> None:
    assert firsts(window.pick(0, 100, 250, NOW_MS)) == [0, 10]
    assert firsts(window.pick(0, 100, 1, NOW_MS)) == [0]


def test_it_tells_whether_more_would_fit(window: Window) -> None:
    for offset, records, size, whole in ((0, 20, ROOMY, True), (0, 99, 200, True)):
        pick = window.pick(offset, records, size, NOW_MS)
        assert pick is not None
        assert pick.whole is whole
    pick = window.pick(30, 99, ROOMY, NOW_MS)
    assert pick is not None
    assert not pick.whole


@pytest.mark.parametrize(("offset", "now_ms"), [(50, NOW_MS), (-1, NOW_MS), (0, NOW_MS + 1_000)])
def test_what_was_not_read_or_long_ago_is_nothing(window: Window, offset: int, now_ms: int) -> None:
    assert window.pick(offset, 10, ROOMY, now_ms) is None


def test_a_hole_in_front_belongs_to_what_was_read() -> None:
    window = Window(7, Survey(BATCHES[1:], 50), NOW_MS)
    assert firsts(window.pick(8, 10, ROOMY, NOW_MS)) == [10]
    assert window.pick(6, 10, ROOMY, NOW_MS) is None
