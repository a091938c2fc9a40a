"""A share partition at work on the leader of its partition: its state machine, log and store.

Loads its state when it is first used, stores each change before who asked is answered, takes back
records when their locks are over, and wakes the fetches that wait when there is more to have. When
a change could not be stored it gives up, and the next use loads what was stored.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass

from pylog.coordinator.dead_letters import DeadLetterQueue, DeadLetterWriter, Origin
from pylog.coordinator.shards import Shards
from pylog.coordinator.share_partition import (
    AcknowledgedBatch,
    Acquired,
    Change,
    DeadLetter,
    Limits,
    LogBatch,
    SharePartition,
    Wish,
)
from pylog.coordinator.share_state import (
    UNSET,
    SharePartitionKey,
    ShareState,
    ShareStateShard,
    StateWrite,
)
from pylog.coordinator.share_waiters import Waiters
from pylog.coordinator.share_window import Window
from pylog.engine.partition import Partition
from pylog.engine.values import EngineError, RecordsPart, Survey
from pylog.options import reset_age_ms
from pylog.protocol.errors import ApiError, ErrorCode

_log = logging.getLogger(__name__)

_AHEAD_BYTES = 1 << 20  # are looked at, at least, for members that come next
_ROUNDS = 64  # reads in one look, when nothing of what was read can be delivered


@dataclass(frozen=True, slots=True)
class ShareConfig:
    """Settings of a group that its partitions' leaders obey."""

    limits: Limits
    offset_reset: str
    read_committed: bool
    renew_enabled: bool
    queue: DeadLetterQueue | None


@dataclass(frozen=True, slots=True)
class Taken:
    """What a member got of a partition: offsets, and the batches that hold them."""

    acquired: list[Acquired]
    records: RecordsPart


@dataclass(frozen=True, slots=True)
class Found:
    """What was read for a member and not given to it yet."""

    offset: int
    survey: Survey

    @property
    def size_bytes(self) -> int:
        return sum(batch.size_bytes for batch in self.survey.batches if batch.deliverable)


def _clock_ms() -> int:
    return time.monotonic_ns() // 1_000_000


class ShareLeader:
    """One share partition. ``on_failed`` is called once, when it has to be loaded anew."""

    def __init__(
        self,
        key: SharePartitionKey,
        partition: Partition,
        leader_epoch: int,
        states: Shards[ShareStateShard],
        dead_letters: DeadLetterWriter,
        config: Callable[[], ShareConfig],
        on_failed: Callable[[ShareLeader], None],
    ) -> None:
        self.key = key
        self.partition = partition
        self.leader_epoch = leader_epoch
        self._states = states
        self._dead_letters = dead_letters
        self._config = config
        self._on_failed = on_failed
        self._state_epoch = 0
        self._stored_start = UNSET
        self._machine: SharePartition | None = None
        self._loading: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._lock_timer: asyncio.TimerHandle | None = None
        self.waiters = Waiters()
        self._tasks: set[asyncio.Task[None]] = set()
        self._window = Window(0, Survey([], 0), _clock_ms())
        self._reading: asyncio.Task[None] | None = None
        self._closed = False

    # ---- life ----

    async def load(self) -> None:
        """Be ready, or raise ApiError."""
        if self._machine is not None:
            return
        if self._loading is None:
            self._loading = asyncio.create_task(self._load(), name=f"load {self.key.text()}")
        await asyncio.shield(self._loading)

    async def _load(self) -> None:
        try:
            text = self.key.text()
            await self._states.prepare(text)
            state: ShareState = await self._states.run(
                text,
                lambda shard, promise, now: shard.read(self.key, self.leader_epoch, promise, now),
            )
            self._state_epoch = state.state_epoch
            start = state.start_offset
            self._stored_start = start
            if start == UNSET:
                start = await self._first_offset()
                await self._store(Change(start))
            self._machine = SharePartition(start, state.batches)
            self._bury(self._machine.undelivered())
        except BaseException:
            self.close()
            raise

    async def _first_offset(self) -> int:
        config = self._config()
        offsets = self.partition.offsets()
        if config.offset_reset == "earliest":
            return offsets.log_start
        end = offsets.last_stable if config.read_committed else offsets.high_watermark
        age_ms = reset_age_ms(config.offset_reset)
        if age_ms is None:
            return end
        found = await self.partition.find_time(max(time.time_ns() // 1_000_000 - age_ms, 0))
        return end if found is None else found.offset

    def close(self) -> None:
        """Let go of everything; idempotent. What is being stored goes on."""
        if self._closed:
            return
        self._closed = True
        self._machine = None
        if self._lock_timer is not None:
            self._lock_timer.cancel()
        if self._watch is not None:
            self._watch.cancel()
        self.waiters.wake_all()
        self._on_failed(self)

    @property
    def _live(self) -> SharePartition:
        if self._machine is None:
            raise ApiError(ErrorCode.NOT_LEADER_OR_FOLLOWER)
        return self._machine

    # ---- what members ask ----

    async def acknowledge(self, member_id: str, batches: Sequence[AcknowledgedBatch]) -> None:
        """Returns when it is stored."""
        await self.load()
        limits = self._config().limits
        machine = self._live
        next_offset = machine.next_offset(limits)
        change = machine.acknowledge(member_id, batches, limits, _clock_ms())
        if change.gives_back or machine.next_offset(limits) != next_offset:
            self.waiters.wake()
        await self._store(change)

    async def release(self, member_id: str) -> None:
        """Take back what a member holds. Nothing, where nothing is loaded."""
        if self._machine is not None and self._machine.acquired_by(member_id):
            change = self._machine.release(member_id, self._config().limits)
            self.waiters.wake()
            await self._store(change)

    async def find(self, max_records: int, max_bytes: int) -> Found | None:
        """Look for records that nobody has; None: there are none now."""
        await self.load()
        config = self._config()
        read: Window | None = None
        for _ in range(_ROUNDS):
            offset = self._live.next_offset(config.limits)
            if offset is None:
                return None
            offsets = self.partition.offsets()
            if offset < offsets.log_start:
                await self._store(self._live.log_starts_at(offsets.log_start))
                continue
            end = offsets.last_stable if config.read_committed else offsets.high_watermark
            if offset >= end:
                self._watch_from(offset, config.read_committed)
                return None
            pick = self._window.pick(offset, max_records, max_bytes, _clock_ms())
            fresh = self._window is read or self._window.end >= end
            if pick is None or not (pick.whole or fresh):
                read = await self._read_ahead(offset, max_bytes, config)
            elif any(batch.deliverable for batch in pick.survey.batches):
                return Found(offset, pick.survey)
            else:
                self._acquire(Wish("", 0, 0), Found(offset, pick.survey), config)
        return None

    async def _read_ahead(self, offset: int, max_bytes: int, config: ShareConfig) -> Window:
        """Who comes while this is under way waits for it too."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read_window(offset, max_bytes, config))
        await asyncio.shield(self._reading)
        return self._window

    async def _read_window(self, offset: int, max_bytes: int, config: ShareConfig) -> None:
        until = offset + config.limits.in_flight
        try:
            survey = await self.partition.survey(
                offset, until, max(max_bytes, _AHEAD_BYTES), read_committed=config.read_committed
            )
        except EngineError as error:
            if error.code != ErrorCode.OFFSET_OUT_OF_RANGE:  # else the log was cut meanwhile
                raise ApiError(ErrorCode(error.code)) from error
        else:
            self._window = Window(offset, survey, _clock_ms())

    def take(self, wish: Wish, found: Found) -> Taken | None:
        """Give a member what was found, or what is left of it; None: another one was faster."""
        acquired = self._acquire(wish, found, self._config())
        if not acquired:
            return None
        self._watch_locks(_clock_ms() + self._config().limits.lock_ms)
        first, last = acquired[0].first_offset, acquired[-1].last_offset
        batches = [
            batch
            for batch in found.survey.batches
            if batch.last_offset >= first and batch.first_offset <= last
        ]
        size = sum(batch.size_bytes for batch in batches)
        offset = max(batches[0].first_offset, found.offset)
        return Taken(acquired, RecordsPart(self.partition.handle, offset, size))

    def _acquire(self, wish: Wish, found: Found, config: ShareConfig) -> list[Acquired]:
        batches = [
            LogBatch(batch.first_offset, batch.last_offset, batch.deliverable)
            for batch in found.survey.batches
        ]
        return self._live.acquire(wish, found.offset, batches, config.limits, _clock_ms())

    # ---- waiting ----

    def watch_behind(self, found: Found) -> None:
        """Wake who waits when there is more than what was found."""
        self._watch_from(found.survey.next_offset, self._config().read_committed)

    def _watch_from(self, offset: int, read_committed: bool) -> None:
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._await_readable(offset, read_committed))

    async def _await_readable(self, offset: int, read_committed: bool) -> None:
        try:
            await self.partition.await_readable(offset, read_committed=read_committed)
        except EngineError:
            self.close()
        self._watch = None
        self.waiters.wake()

    # ---- locks ----

    def _watch_locks(self, end_ms: int) -> None:
        """Look at the locks then, or sooner; they may have been given back by that time."""
        loop = asyncio.get_running_loop()
        due = loop.time() + max(end_ms - _clock_ms(), 1) / 1000
        if self._lock_timer is not None:
            if self._lock_timer.when() <= due:
                return
            self._lock_timer.cancel()
        self._lock_timer = loop.call_at(due, self._on_lock_end)

    def _on_lock_end(self) -> None:
        self._lock_timer = None
        if self._machine is None:
            return
        change = self._machine.expire(self._config().limits, _clock_ms())
        end_ms = self._machine.next_lock_end_ms()
        if end_ms is not None:
            self._watch_locks(end_ms)
        self.waiters.wake()
        self._start(self._store_quietly(change))

    async def _store_quietly(self, change: Change) -> None:
        try:
            await self._store(change)
        except ApiError as error:
            _log.warning("what became of records of %s: %s", self.key.text(), error)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ---- dead letters ----

    def _bury(self, letters: Sequence[DeadLetter]) -> None:
        if letters:
            self._start(self._write_letters(letters))

    async def _write_letters(self, letters: Sequence[DeadLetter]) -> None:
        """What can't be written is let go of: it must not hold up the group for ever."""
        queue = self._config().queue
        if queue is not None:
            origin = Origin(self.key.group_id, self.partition)
            try:
                await self._dead_letters.write(origin, queue, letters)
            except ApiError as error:
                _log.warning("no dead letters from %s in %s: %s", origin, queue.topic, error)
        if self._machine is not None:
            change = self._machine.buried(letters)
            self.waiters.wake()
            await self._store_quietly(change)

    # ---- storing ----

    async def _store(self, change: Change) -> None:
        """Returns when it is safe; at once for what changes nothing that is stored."""
        if not change.batches and change.start_offset == self._stored_start:
            return
        write = StateWrite(
            self.leader_epoch,
            self._state_epoch,
            change.start_offset,
            change.done_count,
            change.batches,
        )
        try:
            await self._states.run(
                self.key.text(),
                lambda shard, promise, now: shard.write(self.key, write, promise, now),
            )
        except ApiError:
            self.close()
            raise
        self._stored_start = max(self._stored_start, change.start_offset)
        self._bury(change.letters)
