"""Runs a coordinator's shard without a broker: its log is a list, its clock is a number.

A test says what is asked and what time passes, and reads the answers. ``restart`` throws the shard
away and loads another from the log, as a broker that was killed does: who waits waits for ever.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from pylog.coordinator.effects import Effects, Producer, Record, TimerName
from pylog.protocol.errors import ApiError

WAITS = "waits"


class Waiting:
    """A promise: what a client has asked and not heard."""

    def __init__(self) -> None:
        self.answer: Any = WAITS
        self.error: ApiError | None = None

    @property
    def waits(self) -> bool:
        return self.answer is WAITS and self.error is None

    def heard(self) -> Any:
        """The answer, or the refusal raised."""
        if self.error is not None:
            raise self.error
        assert self.answer is not WAITS, "no answer yet"
        return self.answer


S = TypeVar("S")
Entry = tuple[Any, Any]  # a Record and its producer id, or a Producer and whether it committed


class World(Generic[S]):
    """One shard, its log, its timers."""

    def __init__(self, new_shard: Callable[[], S], now_ms: int = 1_000_000) -> None:
        self._new_shard = new_shard
        self.now_ms = now_ms
        self.log: list[Entry] = []
        self.timers: dict[TimerName, int] = {}
        self.orders: list[Any] = []  # given and not carried out: the test does that
        self.shard: Any = new_shard()
        self._apply(self.shard.on_loaded(now_ms))

    def ask(self, step: Callable[[Any, Waiting, int], Effects]) -> Waiting:
        """One step; everything it wrote is committed at once."""
        promise = Waiting()
        try:
            self._apply(step(self.shard, promise, self.now_ms))
        except ApiError as error:
            promise.error = error
        return promise

    def dies_during(self, step: Callable[[Any, Waiting, int], Effects]) -> None:
        """The broker is killed before the step's records are written; nobody hears of it."""
        with contextlib.suppress(ApiError):
            step(self.shard, Waiting(), self.now_ms)
        self.restart()

    def after(self, ms: int) -> None:
        """Let time pass; timers that come due run at their time."""
        end = self.now_ms + ms
        while True:
            due = min(self.timers.values(), default=end + 1)
            if due > end:
                break
            name = next(n for n, deadline in self.timers.items() if deadline == due)
            del self.timers[name]
            self.now_ms = max(self.now_ms, due)
            self._apply(self.shard.on_timer(name, self.now_ms))
        self.now_ms = end

    def restart(self) -> None:
        self.shard = self._new_shard()
        self.timers.clear()
        self.orders.clear()
        for what, detail in self.log:
            if isinstance(what, Record):
                self.shard.replay(what, detail)
            else:
                self.shard.replay_marker(what, detail)
        self._apply(self.shard.on_loaded(self.now_ms))

    def _apply(self, effects: Effects) -> None:
        producer_id = -1 if effects.producer is None else effects.producer.producer_id
        for record in effects.records:
            assert isinstance(record, Record)
            self.log.append((record, producer_id))
            self.shard.replay(record, producer_id)
        if effects.marker is not None:
            producer = Producer(effects.marker.producer_id, effects.marker.epoch)
            self.log.append((producer, effects.marker.commit))
            self.shard.replay_marker(producer, effects.marker.commit)
        for timer in effects.timers:
            if timer.delay_ms is None:
                self.timers.pop(timer.name, None)
            else:
                self.timers[timer.name] = self.now_ms + timer.delay_ms
        self.orders += effects.orders
        for reply in effects.replies:
            assert isinstance(reply.promise, Waiting)
            assert reply.promise.waits, "a promise was answered twice"
            if isinstance(reply.answer, ApiError):
                reply.promise.error = reply.answer
            else:
                reply.promise.answer = reply.answer
