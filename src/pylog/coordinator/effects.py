"""The contract of every coordinator: a pure step gives effects, a runtime carries them out.

A coordinator's state is one *shard*: what one partition of its internal topic holds
(``__consumer_offsets``, ``__transaction_state``, ...). Its methods are plain functions of
``(state, request, now_ms)``; they read no clock, open no file and send nothing. They return
:class:`Effects`. The runtime

1. appends ``records`` to the shard's partition as one batch,
2. calls ``shard.replay(key, value)`` for each (the only place where durable state changes; the
   same code runs when a shard is loaded from its log),
3. sets and cancels ``timers``; when one is due it calls ``shard.on_timer(name, now_ms)``,
4. releases ``replies`` once the records are committed (at once when there are none).

When the append fails, the shard is thrown away, loaded again from its log, and the replies carry
the error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Record:
    """One record for the shard's partition; ``value`` None is a tombstone."""

    key: bytes
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Timer:
    """Set (``deadline_ms``) or cancel (None) the timer of this name; a name has one deadline."""

    name: str
    deadline_ms: int | None


@dataclass(slots=True)
class Effects:
    """What one step asks the runtime to do. ``replies`` are called in order with no argument."""

    records: list[Record] = field(default_factory=list)
    replies: list[Callable[[], Any]] = field(default_factory=list)
    timers: list[Timer] = field(default_factory=list)
