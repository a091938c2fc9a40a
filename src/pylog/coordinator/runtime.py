"""Carries out the effects of coordinators: one :class:`ShardHost` a partition of an internal topic.

A host loads its shard by reading the partition to its end, then runs one step at a time. Steps do
not wait for each other's appends: what gathers while one append is under way is the next one.
Replies leave in the order of their steps, each when everything before it is committed.
"""

from __future__ import annotations

import asyncio
import logging
import struct
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from pylog.coordinator.batches import Write, decode, encode
from pylog.coordinator.effects import (
    Effects,
    OffsetKeeper,
    Producer,
    Promise,
    Reply,
    Shard,
    TimerName,
)
from pylog.coordinator.records import RecordSchema
from pylog.coordinator.timers import Timers
from pylog.protocol.errors import ApiError, ErrorCode

_log = logging.getLogger(__name__)

_READ_MAX_BYTES = 4 * 1024 * 1024
_LOAD_PATIENCE = 5.0  # seconds that who looks for a coordinator waits for its load
_OPEN_DELAY = 0.05  # seconds between two looks for a partition that is being opened
_RELOAD_DELAY = 1.0  # seconds, after a partition could not be read, and while it is offline

S = TypeVar("S", bound=Shard)
Step = Callable[[S, Promise, int], Effects]


class Appended(Protocol):
    """Where an append has its records."""

    @property
    def first_offset(self) -> int: ...


class Partition(Protocol):
    """What a host needs of ``pylog.engine.partition.Partition``."""

    def offsets(self) -> Any: ...
    async def append(self, batch: bytes) -> Appended:
        """Returns when the batches are committed; raises an error with a Kafka ``code``."""

    async def read(self, offset: int, max_bytes: int, *, to_log_end: bool = ...) -> Any: ...
    async def delete_records(self, before_offset: int) -> int: ...


@dataclass(slots=True)
class _Performed:
    """A step whose replies wait for its write, or for an earlier one."""

    effects: Effects
    write: Write | None


class ShardHost(Generic[S]):
    """Owns the shard of one partition, from election to resignation.

    ``find_partition`` gives None while the log is being opened, and raises ApiError while it can't
    be used: meanwhile this is no coordinator, and when the log is back its shard is loaded anew.
    """

    def __init__(
        self,
        find_partition: Callable[[], Partition | None],
        schema: RecordSchema,
        new_shard: Callable[[], S],
        wall_ms: Callable[[], int],
        name: str,
        carry_out: Callable[[Any], None],
    ) -> None:
        self._find_partition = find_partition
        self._schema = schema
        self._new_shard = new_shard
        self._wall_ms = wall_ms
        self._name = name
        self._carry_out = carry_out
        self._shard: S | None = None
        self._open: set[asyncio.Future[Any]] = set()  # promises without an answer yet
        self._queue: list[_Performed] = []
        self._timers: Timers | None = None
        self._loader: asyncio.Task[None] | None = None
        self._writer: asyncio.Task[None] | None = None
        self._closed = False

    # ---- life ----

    def start(self) -> None:
        """Begin to load; until that has ended, steps are refused as loading."""
        self._loader = asyncio.create_task(self._load(), name=f"load {self._name}")

    async def loaded(self) -> None:
        """Wait for the load that is under way, if one is, but not for ever."""
        if self._loader is not None:
            await asyncio.wait([self._loader], timeout=_LOAD_PATIENCE)

    async def close(self) -> None:
        """Stop: what was appended is finished, what waits is refused."""
        self._closed = True
        if self._loader is not None:
            self._loader.cancel()
        if self._writer is not None:
            await asyncio.wait([self._writer])
        self._unload(ApiError(ErrorCode.NOT_COORDINATOR))

    @property
    def offline(self) -> bool:
        """Whether the log can't be used."""
        try:
            self._find_partition()
        except ApiError:
            return True
        return False

    # ---- steps ----

    def run(self, step: Step[S]) -> asyncio.Future[Any]:
        """Run one step; the future is its promise, done when its reply may be sent."""
        shard = self._loaded_shard()
        promise: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._open.add(promise)
        promise.add_done_callback(self._open.discard)
        try:
            self._perform(lambda now_ms: step(shard, promise, now_ms))
        except ApiError as error:
            promise.set_exception(error)
        return promise

    def look(self, view: Callable[[S], Any]) -> Any:
        """Read the shard as it is now; for what is no promise to anybody, as a listing."""
        return view(self._loaded_shard())

    def _loaded_shard(self) -> S:
        if self._closed or self.offline:
            self._resign()
            raise ApiError(ErrorCode.NOT_COORDINATOR)
        if self._shard is None:
            raise ApiError(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
        return self._shard

    def _perform(self, step: Callable[[int], Effects]) -> None:
        """A step that fails half way would leave a half-changed shard: it is loaded again."""
        try:
            effects = step(self._wall_ms())
            self._apply(effects)
        except ApiError:
            raise
        except Exception:
            _log.exception("a step of %s failed; its state is loaded again", self._name)
            self._reload(ApiError(ErrorCode.UNKNOWN_SERVER_ERROR))

    def _apply(self, effects: Effects) -> None:
        assert self._shard is not None
        assert self._timers is not None
        write = _write_of(effects, self._schema)
        producer_id = -1 if effects.producer is None else effects.producer.producer_id
        for record in effects.records:
            self._shard.replay(record, producer_id)
        if effects.marker is not None:
            marker = effects.marker
            self._shard.replay_marker(Producer(marker.producer_id, marker.epoch), marker.commit)
        for timer in effects.timers:
            self._timers.apply(timer)
        if write is None and self._writer is None:
            self._release(effects)
            return
        self._queue.append(_Performed(effects, write))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write(), name=f"append {self._name}")

    def _release(self, effects: Effects) -> None:
        for reply in effects.replies:
            _answer(reply)
        for order in effects.orders:
            self._carry_out(order)

    def _on_timer(self, name: TimerName) -> None:
        shard = self._shard
        if shard is not None:
            self._perform(lambda now_ms: shard.on_timer(name, now_ms))

    # ---- what is needed no longer ----

    def end_offset(self) -> int:
        """Everything below is committed; ApiError."""
        return int(self._partition().offsets().high_watermark)

    async def delete_below(self, offset: int) -> None:
        """Let go of records that the shard can be loaded without."""
        partition = self._partition()
        if offset > partition.offsets().log_start:
            await partition.delete_records(offset)

    # ---- appends ----

    async def _write(self) -> None:
        try:
            while self._queue:
                steps, self._queue = self._queue, []
                writes = [step.write for step in steps if step.write is not None]
                if writes:
                    appended = await self._partition().append(encode(writes, self._wall_ms()))
                    self._tell_offsets(steps, appended.first_offset)
                for step in steps:
                    self._release(step.effects)
        except Exception as error:
            _log.error("append to %s failed, its state is loaded again: %s", self._name, error)
            self._writer = None
            self._reload(ApiError(_refusal_of(error)))
        finally:
            self._writer = None

    def _tell_offsets(self, steps: Iterable[_Performed], offset: int) -> None:
        if isinstance(self._shard, OffsetKeeper):
            for step in steps:
                for record in step.effects.records:
                    self._shard.on_stored(record, offset)
                    offset += 1

    def _reload(self, refusal: ApiError) -> None:
        self._unload(refusal)
        if not self._closed:
            self.start()

    def _resign(self) -> None:
        """Let go of what the log, once it is back, may know better. An append that is under way
        fails, and sees to that itself."""
        if self._shard is not None and self._writer is None and not self._closed:
            _log.error("%s is offline, nobody coordinates what it holds", self._name)
            self._reload(ApiError(ErrorCode.NOT_COORDINATOR))

    def _unload(self, refusal: ApiError) -> None:
        self._shard = None
        self._queue.clear()
        if self._timers is not None:
            self._timers.close()
        for promise in list(self._open):
            if not promise.done():
                promise.set_exception(refusal)

    # ---- loading ----

    async def _load(self) -> None:
        while True:
            try:
                await self._load_once()
                return
            except ApiError as error:  # its log is not open yet, or offline
                _log.debug("%s can't be loaded yet: %s", self._name, error)
                await asyncio.sleep(_RELOAD_DELAY if self.offline else _OPEN_DELAY)
            except Exception:
                _log.exception("loading %s failed, it is tried again", self._name)
                await asyncio.sleep(_RELOAD_DELAY)

    async def _load_once(self) -> None:
        if self._writer is not None:
            await asyncio.wait([self._writer])
        partition = self._partition()
        shard, started = self._new_shard(), time.monotonic()
        offset = first = partition.offsets().log_start
        while True:
            chunk = await partition.read(offset, _READ_MAX_BYTES, to_log_end=True)
            if not chunk.data:
                break
            self._replay(shard, chunk.data)
            offset = chunk.next_offset
            await asyncio.sleep(0)
        self._shard = shard
        self._timers = Timers(asyncio.get_running_loop(), self._on_timer)
        self._perform(shard.on_loaded)
        if offset > first:
            elapsed_ms = (time.monotonic() - started) * 1000
            _log.info("loaded %s up to offset %d in %.0f ms", self._name, offset, elapsed_ms)

    def _partition(self) -> Partition:
        partition = self._find_partition()
        if partition is None:
            raise ApiError(ErrorCode.NOT_LEADER_OR_FOLLOWER)
        return partition

    def _replay(self, shard: S, data: bytes) -> None:
        keeper = shard if isinstance(shard, OffsetKeeper) else None
        for entry in decode(data):
            if entry.commit is not None:
                shard.replay_marker(entry.producer, entry.commit)
                continue
            record = self._schema.decode(entry.key, entry.value)
            if record is not None:
                shard.replay(record, entry.producer.producer_id)
                if keeper is not None:
                    keeper.on_stored(record, entry.offset)


def _write_of(effects: Effects, schema: RecordSchema) -> Write | None:
    if not effects.records and effects.marker is None:
        return None
    return Write([schema.encode(r) for r in effects.records], effects.producer, effects.marker)


def _answer(reply: Reply) -> None:
    promise = reply.promise
    assert isinstance(promise, asyncio.Future)
    if promise.done():
        return
    if isinstance(reply.answer, ApiError):
        promise.set_exception(reply.answer)
    else:
        promise.set_result(reply.answer)


def _refusal_of(error: Exception) -> ErrorCode:
    """What the clients of a failed append are told; all but the last make them try again."""
    code = getattr(error, "code", None)
    if code in (
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.NOT_ENOUGH_REPLICAS,
        ErrorCode.REQUEST_TIMED_OUT,
    ):
        return ErrorCode.COORDINATOR_NOT_AVAILABLE
    if code in (ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.KAFKA_STORAGE_ERROR):
        return ErrorCode.NOT_COORDINATOR
    return ErrorCode.UNKNOWN_SERVER_ERROR


def partition_of(key: str, count: int) -> int:
    """The partition of an internal topic that a group or transactional id belongs to.

    The absolute value of Java's ``String.hashCode``, as in Kafka, so that a data folder can move.
    """
    value = 0
    for (unit,) in struct.iter_unpack("<H", key.encode("utf-16-le", "surrogatepass")):
        value = (31 * value + unit) & 0xFFFFFFFF
    magnitude = min(value, 2**32 - value)
    return 0 if magnitude == 2**31 else magnitude % count
