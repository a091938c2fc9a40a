"""One open log: what the control plane appends to it and asks of it."""

from __future__ import annotations

import asyncio
import sys
from typing import Any, Final, NamedTuple

from pylog._engine import ffi, lib
from pylog.engine.events import Done
from pylog.engine.reactor import Reactor
from pylog.engine.structs import mirror, values_of
from pylog.engine.values import (
    AppendResult,
    BatchView,
    EngineError,
    LogConfig,
    PartitionOffsets,
    PartitionSpec,
    ProducerView,
    ReadResult,
    Survey,
    TimeOffset,
)

_PRODUCERS_ROOM: Final = 256
_TIME_OF_LATEST_TIMESTAMP: Final = -3


class Partition:
    """An open partition. Failures of the awaited calls are :class:`EngineError`."""

    __slots__ = ("_reactor", "handle", "partition", "topic", "topic_id")

    def __init__(self, reactor: Reactor, spec: PartitionSpec, handle: int) -> None:
        self._reactor = reactor
        self.topic = spec.topic
        self.partition = spec.partition
        self.topic_id = spec.topic_id
        self.handle = handle

    def __repr__(self) -> str:
        return f"<Partition {self.topic}-{self.partition}>"

    def offsets(self) -> PartitionOffsets:
        """Offsets of this moment; does not wait for the reactor."""
        native = self._reactor.native()
        out = ffi.new("struct pl_partition_offsets *")
        code = lib.pl_engine_partition_offsets(native, self.handle, out)
        self._check(code, "read the offsets of")
        return PartitionOffsets(*values_of(PartitionOffsets, out))

    def configure(self, config: LogConfig) -> None:
        """Replace the settings of the log; holds for what is appended afterwards."""
        native = self._reactor.native()
        settings = ffi.new("struct pl_log_config *")
        mirror(config, settings)
        lib.pl_engine_configure_partition(native, self.handle, settings)

    async def append(
        self, batch: bytes, *, coordinator: bool = True, committed: bool = True
    ) -> AppendResult:
        """Append one record batch (several, from a coordinator); offsets are assigned.

        Returns when the batch is below the high watermark, or with ``committed=False`` when it
        is in the log of this broker.
        """
        wait = lib.PL_WAIT_COMMITTED if committed else lib.PL_WAIT_WRITTEN
        done = await self._call(
            lib.pl_engine_append, self.handle, batch, len(batch), coordinator, wait
        )
        self._check(done.error, "append to")
        return AppendResult(done.value, done.value2)

    async def read(self, offset: int, max_bytes: int, *, to_log_end: bool = False) -> ReadResult:
        """Batches from ``offset`` up to the high watermark, or to the end of the log.

        The first batch is returned whole whatever its size.
        """
        done = await self._call(lib.pl_engine_read, self.handle, offset, max_bytes, to_log_end)
        self._check(done.error, "read from")
        return ReadResult(done.data, done.value)

    async def survey(
        self, offset: int, until_offset: int, max_bytes: int, *, read_committed: bool = False
    ) -> Survey:
        """Where batches lie, from the one that holds ``offset`` to the one that reaches
        ``until_offset``; whole, at least one unless nothing is there, of one segment."""
        done = await self._call(
            lib.pl_engine_survey, self.handle, offset, until_offset, max_bytes, read_committed
        )
        self._check(done.error, "look into")
        views = ffi.from_buffer("struct pl_batch_view[]", done.data)
        batches = [
            BatchView(view.first_offset, view.last_offset, view.size_bytes, view.deliverable)
            for view in views
        ]
        return Survey(batches, done.value)

    async def await_readable(self, offset: int, *, read_committed: bool = False) -> None:
        """Return when something can be read at an offset. EngineError when it never will."""
        done = await self._call(lib.pl_engine_await_readable, self.handle, offset, read_committed)
        self._check(done.error, "wait for records of")

    async def find_time(
        self, timestamp_ms: int, *, read_committed: bool = False
    ) -> TimeOffset | None:
        """The first record at or after a time; -3 asks for the one with the highest (KIP-734)."""
        if timestamp_ms < 0 and timestamp_ms != _TIME_OF_LATEST_TIMESTAMP:
            raise ValueError(f"no time to look up: {timestamp_ms}")
        done = await self._call(lib.pl_engine_find_time, self.handle, timestamp_ms, read_committed)
        self._check(done.error, "find a time in")
        if done.value < 0:
            return None
        leader_epoch = int.from_bytes(done.data, sys.byteorder, signed=True)
        return TimeOffset(done.value, done.value2, leader_epoch)

    async def delete_records(self, before_offset: int) -> int:
        """Forget what lies before an offset; returns the new start of the log."""
        done = await self._call(lib.pl_engine_delete_records, self.handle, before_offset)
        self._check(done.error, "delete records of")
        return done.value

    def epoch_end(self, epoch: int) -> tuple[int, int]:
        """The largest leader epoch <= ``epoch`` and its end offset, as in OffsetForLeaderEpoch.

        An epoch before the first known one ends where that began; one after the last is unknown:
        (-1, -1).
        """
        native = self._reactor.native()
        found, end = ffi.new("int32_t *"), ffi.new("int64_t *")
        code = lib.pl_engine_epoch_end(native, self.handle, epoch, found, end)
        self._check(code, "look up an epoch of")
        return found[0], end[0]

    def producers(self) -> list[ProducerView]:
        """The producers that the partition knows, in no order."""
        native = self._reactor.native()
        count = ffi.new("size_t *", _PRODUCERS_ROOM)
        while True:
            room = count[0]
            views = ffi.new("struct pl_producer_view[]", room)
            code = lib.pl_engine_producers(native, self.handle, views, count)
            self._check(code, "list the producers of")
            if count[0] <= room:
                return [
                    ProducerView(*values_of(ProducerView, view)) for view in views[0 : count[0]]
                ]

    def _call(self, function: Any, *arguments: Any) -> asyncio.Future[Done]:
        return self._reactor.call(function, *arguments)

    def _check(self, code: int, action: str) -> None:
        if code:
            raise EngineError(code, f"{action} {self.topic}-{self.partition}")


class OpenedLog(NamedTuple):
    """How the opening of a log has ended."""

    spec: PartitionSpec
    partition: Partition | None  # also of a log that did not open: it keeps its place till closed
    error: EngineError | None
    passing: bool  # of an error: there was no room, or the like
    bytes_scanned: int  # 0 after a clean shutdown
