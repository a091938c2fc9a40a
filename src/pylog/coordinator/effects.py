"""The contract of every coordinator: a pure step gives effects, a runtime carries them out.

A coordinator's state is one *shard*: what one partition of its internal topic holds
(``__consumer_offsets``, ``__transaction_state``, ...). Its methods are plain functions of
``(state, request, now_ms)``; they read no clock, open no file and send nothing. They return
:class:`Effects`, or raise ``ApiError`` before they have changed anything. The runtime

1. calls ``shard.replay(record, producer_id)`` for each record at once: the only place where durable
   state changes, and the same code that loads a shard from its log. The next step therefore sees
   it, although it is not committed yet;
2. appends the records to the shard's partition; steps that come meanwhile share the next append;
3. sets and cancels ``timers``; when one is due it runs ``shard.on_timer(name, now_ms)``;
4. releases ``replies`` and passes on ``orders`` when these records, and those of every earlier
   step, are committed. Neither tells of a state that a crash could take back.

When an append fails, the shard is thrown away and loaded again from its log, and every promise
that is still open is refused with a retriable error.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

TimerName = tuple[str, ...]  # what it is for, then whose it is: ("session", group, member)
Promise = Hashable  # who waits for an answer; only the runtime looks inside


@dataclass(frozen=True, slots=True)
class Record:
    """One record for the shard's partition: messages of its record schema. None: a tombstone."""

    key: Any
    value: Any | None
    version: int = 0  # of the value


@dataclass(frozen=True, slots=True)
class Reply:
    """``answer`` is a response message, or an ``ApiError`` that the handler will raise."""

    promise: Promise
    answer: Any


@dataclass(frozen=True, slots=True)
class Timer:
    """Set (``delay_ms`` from now) or cancel (None) the timer of this name; a name has one."""

    name: TimerName
    delay_ms: int | None


@dataclass(frozen=True, slots=True)
class Producer:
    """Whose open transaction the records of a step belong to."""

    producer_id: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Marker:
    """The end of a producer's transaction on this partition: a control batch."""

    producer_id: int
    epoch: int
    coordinator_epoch: int
    commit: bool


@dataclass(slots=True)
class Effects:
    """What one step asks the runtime to do."""

    records: list[Record] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    timers: list[Timer] = field(default_factory=list)
    producer: Producer | None = None  # of the records; None: outside any transaction
    marker: Marker | None = None
    orders: list[Any] = field(default_factory=list)  # work elsewhere, begun when all is committed

    def write(self, key: Any, value: Any | None, version: int = 0) -> None:
        self.records.append(Record(key, value, version))

    def reply(self, promise: Promise, answer: Any) -> None:
        self.replies.append(Reply(promise, answer))

    def set_timer(self, name: TimerName, delay_ms: int) -> None:
        self.timers.append(Timer(name, delay_ms))

    def cancel_timer(self, name: TimerName) -> None:
        self.timers.append(Timer(name, None))


@runtime_checkable
class OffsetKeeper(Protocol):
    """A shard that wants to know where its records are, to say which of them are still needed."""

    def on_stored(self, record: Record, offset: int) -> None:
        """The record has been replayed, and is in the log at this offset."""


class Shard(Protocol):
    """What the runtime needs of a coordinator's state, besides its steps."""

    def replay(self, record: Record, producer_id: int) -> None:
        """Apply a durable record; ``producer_id`` is -1 outside a transaction."""

    def replay_marker(self, producer: Producer, commit: bool) -> None:
        """Apply the end of a transaction; the epoch is the marker's."""

    def on_loaded(self, now_ms: int) -> Effects:
        """The first step after the whole log was replayed: arms the timers."""

    def on_timer(self, name: TimerName, now_ms: int) -> Effects: ...
