"""Who is woken for records of a share partition, and when."""

from __future__ import annotations

import asyncio

import pytest

from pylog.coordinator.share_waiters import Waiters


@pytest.fixture
def waiters() -> Waiters:
    return Waiters()


def add(waiters: Waiters, count: int) -> list[asyncio.Event]:
    events = [asyncio.Event() for _ in range(count)]
    for event in events:
        waiters.add(event)
    return events


def woken(events: list[asyncio.Event]) -> list[int]:
    """Their numbers; they sleep again."""
    found = [number for number, event in enumerate(events) if event.is_set()]
    for event in events:
        event.clear()
    return found


def test_one_is_woken_at_a_time_in_order(waiters: Waiters) -> None:
    events = add(waiters, 3)
    waiters.wake()
    assert woken(events) == [0]
    waiters.wake_next()
    assert woken(events) == [1]
    waiters.wake_next()
    waiters.wake_next()
    assert woken(events) == [2]


def test_nobody_is_woken_twice_for_the_same_news(waiters: Waiters) -> None:
    events = add(waiters, 2)
    waiters.wake()
    waiters.wake_next()
    woken(events)
    waiters.wake_next()
    assert woken(events) == []
    waiters.wake()
    assert woken(events) == [0]


def test_news_that_come_meanwhile_go_to_those_that_have_not_heard_of_any(waiters: Waiters) -> None:
    events = add(waiters, 2)
    waiters.wake()
    waiters.remove(events[0])
    waiters.wake()
    assert woken(events) == [0, 1]


def test_who_comes_later_has_looked_already(waiters: Waiters) -> None:
    waiters.wake()
    events = add(waiters, 1)
    waiters.wake_next()
    assert woken(events) == []


def test_all_are_woken_at_the_end(waiters: Waiters) -> None:
    events = add(waiters, 3)
    waiters.wake_all()
    assert woken(events) == [0, 1, 2]
