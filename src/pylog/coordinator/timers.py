"""Timers by name on an event loop; setting one anew, as heartbeats do, costs no heap move."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable

from pylog.coordinator.effects import Timer, TimerName


class Timers:
    """Calls ``fire(name)`` in the loop when a timer is due; deadlines are monotonic."""

    def __init__(self, loop: asyncio.AbstractEventLoop, fire: Callable[[TimerName], None]) -> None:
        self._loop = loop
        self._fire = fire
        self._deadlines: dict[TimerName, float] = {}
        self._heap: list[tuple[float, TimerName]] = []  # at least one entry a name, none too late
        self._queued: dict[TimerName, float] = {}  # the earliest entry of a name
        self._wake: asyncio.TimerHandle | None = None

    def apply(self, timer: Timer) -> None:
        if timer.delay_ms is None:
            self._deadlines.pop(timer.name, None)
            return
        deadline = self._loop.time() + max(timer.delay_ms, 0) / 1000
        self._deadlines[timer.name] = deadline
        queued = self._queued.get(timer.name)
        if queued is None or deadline < queued:
            self._push(timer.name, deadline)
            self._arm()

    def close(self) -> None:
        self._deadlines.clear()
        self._heap.clear()
        self._queued.clear()
        if self._wake is not None:
            self._wake.cancel()

    def _push(self, name: TimerName, deadline: float) -> None:
        self._queued[name] = deadline
        heapq.heappush(self._heap, (deadline, name))

    def _arm(self) -> None:
        """Wakes at the earliest entry, if there is any."""
        if not self._heap:
            return
        first = self._heap[0][0]
        if self._wake is None or first < self._wake.when():
            if self._wake is not None:
                self._wake.cancel()
            self._wake = self._loop.call_at(first, self._run)

    def _run(self) -> None:
        self._wake = None
        now = self._loop.time()
        while self._heap and self._heap[0][0] <= now:
            queued, name = heapq.heappop(self._heap)
            if self._queued.get(name) != queued:
                continue  # an earlier entry has taken its place
            del self._queued[name]
            deadline = self._deadlines.get(name)
            if deadline is None:
                continue
            if deadline > now:
                self._push(name, deadline)
            else:
                del self._deadlines[name]
                self._fire(name)
        self._arm()
