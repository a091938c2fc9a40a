"""Fetches that wait for records, woken one after the other: none sleeps while there is one."""

from __future__ import annotations

import asyncio

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pylog.coordinator.share_waiters import Waiters


class WaitersMachine(RuleBasedStateMachine):
    """``wants`` are the fetches that wait, with the records that each needs to be answered."""

    def __init__(self) -> None:
        super().__init__()
        self.waiters = Waiters()
        self.records = 0
        self.wants: dict[asyncio.Event, int] = {}

    @rule(count=st.integers(1, 3))
    def records_come(self, count: int) -> None:
        self.records += count
        self.waiters.wake()

    @rule(wants=st.integers(1, 3))
    def fetch_comes(self, wants: int) -> None:
        """It looks before it waits."""
        event = asyncio.Event()
        self.waiters.add(event)
        self.wants[event] = wants
        self.look(event)

    @rule(number=st.integers(0, 5))
    def fetch_runs(self, number: int) -> None:
        woken = [event for event in self.wants if event.is_set()]
        if number < len(woken):
            self.look(woken[number])

    def look(self, event: asyncio.Event) -> None:
        event.clear()
        found = self.records
        if found >= self.wants[event]:
            self.records -= self.wants[event]
            self.ends(event)
        elif found:
            self.waiters.wake_next()

    @rule(number=st.integers(0, 5))
    def fetch_is_given_up(self, number: int) -> None:
        if number < len(self.wants):
            self.ends(list(self.wants)[number])

    def ends(self, event: asyncio.Event) -> None:
        del self.wants[event]
        self.waiters.remove(event)
        self.waiters.wake_next()

    @invariant()
    def nobody_sleeps_while_there_is_what_it_wants(self) -> None:
        under_way = any(event.is_set() for event in self.wants)
        assert under_way or all(wants > self.records for wants in self.wants.values())


WaitersMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=40)
TestWaiters = WaitersMachine.TestCase
