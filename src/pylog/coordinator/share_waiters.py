"""Fetches that wait for a share partition, woken one after the other.

A record goes to one member, so one that looks for it is enough. Who has looked wakes the next,
unless it has seen that there is nothing to have: then nobody else would find anything either.
"""

from __future__ import annotations

import asyncio


class Waiters:
    """Events of the fetches that wait, in the order in which they came."""

    def __init__(self) -> None:
        self._seen: dict[asyncio.Event, int] = {}  # the news that each was woken for
        self._news = 0

    def add(self, event: asyncio.Event) -> None:
        self._seen[event] = self._news

    def remove(self, event: asyncio.Event) -> None:
        self._seen.pop(event, None)

    def wake(self) -> None:
        """There may be more to have than before."""
        self._news += 1
        self.wake_next()

    def wake_next(self) -> None:
        """Wake the first that has not been woken for the news."""
        for event, seen in self._seen.items():
            if seen < self._news:
                self._seen[event] = self._news
                event.set()
                return

    def wake_all(self) -> None:
        """There is an end to waiting."""
        self._news += 1
        for event in self._seen:
            self._seen[event] = self._news
            event.set()
