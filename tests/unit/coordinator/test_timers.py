"""Timers by name, on a loop whose time is a number."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from pylog.coordinator.effects import Timer, TimerName
from pylog.coordinator.timers import Timers


class Handle:
    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self._when = when
        self.callback = callback
        self.cancelled = False

    def when(self) -> float:
        return self._when

    def cancel(self) -> None:
        self.cancelled = True


class FakeLoop:
    """The two methods of an event loop that timers use."""

    def __init__(self) -> None:
        self.now = 0.0
        self.handles: list[Handle] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> Handle:
        self.handles.append(Handle(when, callback))
        return self.handles[-1]

    def run_to(self, when: float) -> None:
        while True:
            due = [h for h in self.handles if not h.cancelled and h.when() <= when]
            if not due:
                break
            handle = min(due, key=Handle.when)
            self.handles.remove(handle)
            self.now = max(self.now, handle.when())
            handle.callback()
        self.now = when


@pytest.fixture
def loop() -> FakeLoop:
    return FakeLoop()


@pytest.fixture
def fired(loop: FakeLoop) -> list[tuple[float, TimerName]]:
    return []


@pytest.fixture
def timers(loop: Any, fired: list[tuple[float, TimerName]]) -> Timers:
    assert isinstance(loop, FakeLoop)
    return Timers(
        loop,  # type: ignore[arg-type]
        lambda name: fired.append((loop.now, name)),
    )


def test_fire_in_order_of_their_time(
    loop: FakeLoop, timers: Timers, fired: list[tuple[float, TimerName]]
) -> None:
    timers.apply(Timer(("b",), 2_000))
    timers.apply(Timer(("a",), 1_000))
    loop.run_to(3)
    assert fired == [(1.0, ("a",)), (2.0, ("b",))]


def test_one_that_is_set_again_fires_once_at_its_new_time(
    loop: FakeLoop, timers: Timers, fired: list[tuple[float, TimerName]]
) -> None:
    timers.apply(Timer(("session",), 10_000))
    for second in range(1, 50):
        loop.run_to(second)
        timers.apply(Timer(("session",), 10_000))
    assert fired == []
    loop.run_to(100)
    assert fired == [(59.0, ("session",))]


def test_one_that_is_set_to_an_earlier_time_fires_then(
    loop: FakeLoop, timers: Timers, fired: list[tuple[float, TimerName]]
) -> None:
    timers.apply(Timer(("x",), 10_000))
    timers.apply(Timer(("x",), 1_000))
    loop.run_to(20)
    assert fired == [(1.0, ("x",))]


def test_cancelled_and_closed_ones_stay_silent(
    loop: FakeLoop, timers: Timers, fired: list[tuple[float, TimerName]]
) -> None:
    timers.apply(Timer(("x",), 1_000))
    timers.apply(Timer(("x",), None))
    timers.apply(Timer(("y",), 5_000))
    loop.run_to(2)
    timers.close()
    loop.run_to(10)
    assert fired == []


def test_heartbeats_of_many_members_keep_the_heap_small(loop: FakeLoop, timers: Timers) -> None:
    for _ in range(100):
        for member in range(100):
            timers.apply(Timer(("session", str(member)), 10_000))
    assert len(timers._heap) == 100


async def test_fire_on_a_real_loop() -> None:
    fired = asyncio.Event()
    timers = Timers(asyncio.get_running_loop(), lambda name: fired.set())
    timers.apply(Timer(("x",), 1))
    await asyncio.wait_for(fired.wait(), 10)


def test_one_that_is_put_off_does_not_put_off_the_next(
    loop: FakeLoop, timers: Timers, fired: list[tuple[float, TimerName]]
) -> None:
    timers.apply(Timer(("lives",), 1_000))
    timers.apply(Timer(("dies",), 2_000))
    timers.apply(Timer(("lives",), 60_000))
    loop.run_to(100)
    assert fired == [(2.0, ("dies",)), (60.0, ("lives",))]
