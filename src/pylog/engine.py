"""The Python face of the native engine: the only importer of ``pylog._engine``.

The engine runs on a thread of its own, without the GIL. What it tells (requests of the control
lane, ends of calls) waits in a queue whose file descriptor the running asyncio loop watches, so
every callback and every awaited result happens in that loop. Offsets, times and sizes are
integers; batches are whole record batches in Kafka's format, as bytes.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from pylog._engine import ffi, lib
from pylog.engine_values import (
    AbortedTransaction,
    AccessBit,
    AppendResult,
    BatchView,
    CleanerSettings,
    Durability,
    EngineCounters,
    EngineError,
    EngineOptions,
    Guard,
    LogConfig,
    Opened,
    PartitionOffsets,
    PartitionSpec,
    ProducerView,
    QuotaMatch,
    QuotaRule,
    ReadResult,
    RecordsPart,
    Request,
    Survey,
    TimeOffset,
    TimestampType,
    Unverified,
    Verification,
)

__all__ = [
    "AbortedTransaction",
    "AccessBit",
    "AppendResult",
    "BatchView",
    "CleanerSettings",
    "Durability",
    "Engine",
    "EngineCounters",
    "EngineError",
    "EngineOptions",
    "Guard",
    "LogConfig",
    "Opened",
    "OpenedLog",
    "Partition",
    "PartitionOffsets",
    "PartitionSpec",
    "ProducerTracker",
    "ProducerView",
    "QuotaMatch",
    "QuotaRule",
    "ReadResult",
    "RecordsPart",
    "Request",
    "Survey",
    "TimeOffset",
    "TimestampType",
    "Unverified",
    "Verification",
]

_log = logging.getLogger(__name__)

_EVENTS_PER_POLL: Final = 256
_PRODUCERS_ROOM: Final = 256
_UNKNOWN_SERVER_ERROR: Final = -1
_TIME_OF_LATEST_TIMESTAMP: Final = -3


def _unverified_of(event: Any) -> Unverified:
    data = bytes(ffi.buffer(event.data, event.length))
    return Unverified(
        event.handle,
        event.api_version,
        _text_or_none(event.client_id, event.client_id_length) or "",
        [
            Verification(item.partition, item.producer_id, item.producer_epoch)
            for item in ffi.from_buffer("struct pl_verification[]", data)
        ],
    )


def _text_or_none(pointer: Any, length: int) -> str | None:
    if length < 0:
        return None
    return bytes(ffi.buffer(pointer, length)).decode("utf-8", "replace")


def _data_of(event: Any) -> bytes:
    return bytes(ffi.buffer(event.data, event.length)) if event.length else b""


def _request_of(event: Any) -> Request:
    return Request(
        event.api_key,
        event.api_version,
        event.correlation_id,
        _text_or_none(event.client_id, event.client_id_length),
        event.listener,
        event.handle,
        _data_of(event),
        ffi.string(event.peer).decode("ascii"),
        ffi.string(event.local).decode("ascii"),
        event.received_ns,
    )


class _Done(NamedTuple):
    """The end of a call with a token, copied out of its event."""

    error: int
    value: int
    value2: int
    data: bytes


def _mirror(source: Any, target: Any) -> None:
    """Copy a tuple into the C struct whose fields have the same names."""
    for name, value in zip(source._fields, source, strict=True):
        setattr(target, name, value)


def _values_of(kind: Any, struct: Any) -> list[Any]:
    return [getattr(struct, name) for name in kind._fields]


class Partition:
    """An open partition. Failures of the awaited calls are :class:`EngineError`."""

    __slots__ = ("_engine", "handle", "partition", "topic", "topic_id")

    def __init__(self, engine: Engine, spec: PartitionSpec, handle: int) -> None:
        self._engine = engine
        self.topic = spec.topic
        self.partition = spec.partition
        self.topic_id = spec.topic_id
        self.handle = handle

    def __repr__(self) -> str:
        return f"<Partition {self.topic}-{self.partition}>"

    def offsets(self) -> PartitionOffsets:
        """Offsets of this moment; does not wait for the reactor."""
        native = self._engine._pointer()
        out = ffi.new("struct pl_partition_offsets *")
        code = lib.pl_engine_partition_offsets(native, self.handle, out)
        self._check(code, "read the offsets of")
        return PartitionOffsets(*_values_of(PartitionOffsets, out))

    def configure(self, config: LogConfig) -> None:
        """Replace the settings of the log; holds for what is appended afterwards."""
        native = self._engine._pointer()
        settings = ffi.new("struct pl_log_config *")
        _mirror(config, settings)
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
        native = self._engine._pointer()
        found, end = ffi.new("int32_t *"), ffi.new("int64_t *")
        code = lib.pl_engine_epoch_end(native, self.handle, epoch, found, end)
        self._check(code, "look up an epoch of")
        return found[0], end[0]

    def producers(self) -> list[ProducerView]:
        """The producers that the partition knows, in no order."""
        native = self._engine._pointer()
        count = ffi.new("size_t *", _PRODUCERS_ROOM)
        while True:
            room = count[0]
            views = ffi.new("struct pl_producer_view[]", room)
            code = lib.pl_engine_producers(native, self.handle, views, count)
            self._check(code, "list the producers of")
            if count[0] <= room:
                return [
                    ProducerView(*_values_of(ProducerView, view)) for view in views[0 : count[0]]
                ]

    def _call(self, function: Any, *arguments: Any) -> asyncio.Future[_Done]:
        return self._engine._call(function, *arguments)

    def _check(self, code: int, action: str) -> None:
        if code:
            raise EngineError(code, f"{action} {self.topic}-{self.partition}")


class ProducerTracker:
    """Producer state of a log whose files are looked at without opening it.

    ValueError for a snapshot or a batch that is no such thing.
    """

    def __init__(self) -> None:
        native = lib.pl_tracker_create()
        if native == ffi.NULL:
            raise MemoryError("no producer state")
        self._native = ffi.gc(native, lib.pl_tracker_destroy)

    def load(self, snapshot: bytes) -> None:
        """Begin with what a snapshot file holds."""
        if lib.pl_tracker_load(self._native, snapshot, len(snapshot)):
            raise ValueError("malformed producer snapshot")

    def add(self, batch: bytes) -> AbortedTransaction | None:
        """Count the next batch in; the transaction that it aborts."""
        abort = ffi.new("struct pl_tracked_abort *")
        if lib.pl_tracker_add(self._native, batch, len(batch), abort):
            raise ValueError("malformed batch or transaction marker")
        if abort.producer_id < 0:
            return None
        return AbortedTransaction(*_values_of(AbortedTransaction, abort))

    def producers(self) -> dict[int, ProducerView]:
        """The producers by their ids."""
        count = lib.pl_tracker_producers(self._native, ffi.NULL, 0)
        views = ffi.new("struct pl_producer_view[]", count)
        lib.pl_tracker_producers(self._native, views, count)
        found = [ProducerView(*_values_of(ProducerView, view)) for view in views]
        return {view.producer_id: view for view in found}


def _check_errno(number: int) -> None:
    if number:
        raise OSError(number, os.strerror(number))


class OpenedLog(NamedTuple):
    """How the opening of a log has ended."""

    spec: PartitionSpec
    partition: Partition | None  # also of a log that did not open: it keeps its place till closed
    error: EngineError | None
    passing: bool  # of an error: there was no room, or the like
    bytes_scanned: int  # 0 after a clean shutdown


def _result_of(opened: OpenedLog) -> Partition | EngineError:
    if opened.error is not None:
        return opened.error
    assert opened.partition is not None
    return opened.partition


def _ignore(_: Any) -> None:
    """What happens to events that nobody asked for."""


def _ignore_opened(_: int, __: Any) -> None:
    """An opening whose caller was cancelled."""


class Engine:
    """Sockets, fast lane and logs of one broker.

    The reactor thread begins with the first awaited call or :meth:`start`, in the running loop;
    all later calls are made from the thread of that loop. Connections are served between
    :meth:`start` and :meth:`stop`; partitions can be used before and after.
    """

    def __init__(self, options: EngineOptions) -> None:
        settings = ffi.new("struct pl_engine_options *")
        _mirror(options, settings)
        self._native: Any = lib.pl_engine_create(settings)
        if self._native == ffi.NULL:
            raise MemoryError("the engine could not be created")
        self._events = ffi.new("struct pl_event[]", _EVENTS_PER_POLL)
        self._tokens = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[_Done]] = {}
        self._openings: dict[int, Callable[[int, Any], None]] = {}  # by token
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._on_request: Callable[[Request], None] = _ignore
        self._on_closed: Callable[[int], None] = _ignore
        self._on_offline: Callable[[int], None] = _ignore
        self._on_verify: Callable[[Unverified], None] = _ignore
        self._on_opened: Callable[[Opened], None] = _ignore
        self._on_uncleanable: Callable[[int], None] = _ignore

    def listen(self, listener: int, host: str, port: int) -> int:
        """Bind a listener; returns its port. Clients wait until :meth:`start`. OSError."""
        bound = ffi.new("uint16_t *")
        native = self._pointer()
        number = lib.pl_engine_listen(native, listener, host.encode(), port, bound)
        if number:
            raise OSError(number, os.strerror(number), f"{host}:{port}")
        return int(bound[0])

    def start(
        self,
        on_request: Callable[[Request], None],
        on_closed: Callable[[int], None] | None = None,
        on_offline: Callable[[int], None] | None = None,
        on_verify: Callable[[Unverified], None] | None = None,
        on_opened: Callable[[Opened], None] | None = None,
        on_uncleanable: Callable[[int], None] | None = None,
    ) -> None:
        """Serve. ``on_closed`` is told the connections that had sent a control request,
        ``on_offline`` the handle of a partition whose log has failed, ``on_uncleanable`` one that
        compaction gives up, ``on_verify`` the transactions that begin, each to be answered by
        :meth:`verified`."""
        self._on_request = on_request
        self._on_closed = on_closed or _ignore
        self._on_offline = on_offline or _ignore
        self._on_verify = on_verify or _ignore
        self._on_opened = on_opened or _ignore
        self._on_uncleanable = on_uncleanable or _ignore
        self._attach()
        _check_errno(lib.pl_engine_serve(self._pointer()))

    async def stop(self, drain_ms: int = 5000) -> None:
        """End serving: no new requests, those in flight are answered within ``drain_ms``."""
        await self._call(lib.pl_engine_drain, drain_ms)

    def close(self) -> None:
        """End the reactor, close the logs that are open and free everything. Idempotent."""
        if self._native is None:
            return
        native, self._native = self._native, None
        lib.pl_engine_stop(native)
        if self._thread is not None:
            self._thread.join()
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(lib.pl_engine_event_fd(native))
        self._fail_waiting("the engine is closed")
        lib.pl_engine_destroy(native)

    def reply(self, connection: int, payload: bytes) -> None:
        """Answer a request: header and body without the length. b"" sends no answer."""
        _check_errno(lib.pl_engine_reply(self._pointer(), connection, payload, len(payload)))

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` has been called."""
        return self._native is None

    def guard(self, listener: int, guards: Guard) -> None:
        """Set what connections have to pass; holds for those accepted afterwards.

        ASK: ``on_opened`` first, and they wait for :meth:`admit`. SASL: they may only authenticate
        before :meth:`identify`.
        """
        _check_errno(lib.pl_engine_guard(self._pointer(), listener, guards))

    def admit(self, connection: int) -> None:
        """Begin to read a connection that was asked about."""
        _check_errno(lib.pl_engine_admit(self._pointer(), connection))

    def identify(self, connection: int, user: str, subject: int, lifetime_ms: int) -> None:
        """Tell whose connection it is, and for how long (-1: for ever)."""
        native = self._pointer()
        _check_errno(
            lib.pl_engine_identify(native, connection, user.encode(), subject, lifetime_ms)
        )

    def expect_tokens(self, connection: int) -> None:
        """Take frames as bare tokens, as requests of key 36 and version -1, until identified."""
        _check_errno(lib.pl_engine_expect_tokens(self._pointer(), connection))

    def send_token(self, connection: int, token: bytes) -> None:
        """Answer a bare token; unlike :meth:`reply` also with nothing."""
        _check_errno(lib.pl_engine_send_token(self._pointer(), connection, token, len(token)))

    def reply_parts(self, connection: int, parts: Sequence[bytes | RecordsPart]) -> None:
        """Like :meth:`reply`; records come from their files, behind their compact length."""
        array = ffi.new("struct pl_reply_part[]", len(parts))
        keep = []
        for item, part in zip(array, parts, strict=True):
            if isinstance(part, RecordsPart):
                item.partition, item.offset = part.partition, part.offset
                item.max_bytes = part.max_bytes
            else:
                item.bytes = piece = ffi.from_buffer("uint8_t[]", part)
                item.length = len(part)
                keep.append(piece)
        native = self._pointer()
        _check_errno(lib.pl_engine_reply_parts(native, connection, array, len(parts)))
        del keep

    def set_grants(
        self, subject: int, otherwise: int, replace: bool, grants: Sequence[tuple[str, int]]
    ) -> None:
        """What a subject may do to topics by name, and to those that are not named: bits."""
        array = ffi.new("struct pl_grant[]", len(grants))
        keep = []
        for item, (topic, bits) in zip(array, grants, strict=True):
            text = ffi.new("char[]", topic.encode())
            keep.append(text)
            item.topic, item.bits = text, bits
        native = self._pointer()
        _check_errno(
            lib.pl_engine_set_grants(native, subject, otherwise, replace, array, len(grants))
        )
        del keep

    def set_quotas(self, rules: Sequence[QuotaRule]) -> None:
        """Replace all quotas of bytes and request time."""
        array = ffi.new("struct pl_quota_rule[]", len(rules))
        keep = []
        for item, rule in zip(array, rules, strict=True):
            for part in ("user", "client_id"):
                match, name = getattr(rule, part)
                text = ffi.new("char[]", name.encode())
                keep.append(text)
                setattr(item, f"{part}_match", match)
                setattr(item, part, text)
            item.limits = [math.nan if limit is None else limit for limit in rule.limits]
        _check_errno(lib.pl_engine_set_quotas(self._pointer(), array, len(rules)))
        del keep

    def configure_cleaner(self, settings: CleanerSettings) -> None:
        """Compact in another way from the next log on; a new rate holds at once."""
        native_settings = ffi.new("struct pl_cleaner_settings *")
        _mirror(settings, native_settings)
        _check_errno(lib.pl_engine_configure_cleaner(self._pointer(), native_settings))

    def charge_time(self, user: str, client_id: str, busy_ns: int) -> int:
        """Charge time to a client's request quota; returns for how many ms to mute it."""
        native = self._pointer()
        return int(lib.pl_engine_charge_time(native, user.encode(), client_id.encode(), busy_ns))

    def charge_fetch(self, user: str, client_id: str, size_bytes: int) -> int:
        """Charge bytes to a client's fetch quota; returns for how many ms to mute it."""
        native = self._pointer()
        name = user.encode(), client_id.encode()
        return int(lib.pl_engine_charge_fetch(native, *name, size_bytes))

    def most_fetched(self, user: str, client_id: str) -> int:
        """How many bytes a client may fetch at once, by its quota."""
        native = self._pointer()
        return int(lib.pl_engine_most_fetched(native, user.encode(), client_id.encode()))

    def mute(self, connection: int, throttle_ms: int) -> None:
        """Read nothing more from a connection for a while (KIP-219)."""
        _check_errno(lib.pl_engine_mute(self._pointer(), connection, throttle_ms))

    def verified(self, request: Unverified, errors: Sequence[int]) -> None:
        """Let a Produce go on; an error code (0: takes part) for each of its items, in order."""
        answers = ffi.new("struct pl_verification[]", len(request.items))
        for answer, item, error in zip(answers, request.items, errors, strict=True):
            answer.partition = item.partition
            answer.producer_id = item.producer_id
            answer.producer_epoch = item.producer_epoch
            answer.error = error
        native = self._pointer()
        _check_errno(
            lib.pl_engine_verified(native, request.connection, answers, len(request.items))
        )

    def close_connection(self, connection: int) -> None:
        """Close a connection; no error when it is gone."""
        _check_errno(lib.pl_engine_close_connection(self._pointer(), connection))

    async def open_partitions(
        self,
        specs: Sequence[PartitionSpec],
        *,
        parallel: int = 0,
        on_opened: Callable[[OpenedLog], None] | None = None,
    ) -> list[Partition | EngineError]:
        """Open logs (made when absent) and serve each when it is open; one result a spec, in order.

        ``parallel``: at most so many at a time, in their order. ``on_opened`` is told each, with
        ``parallel`` as soon as it is open, else when all are.
        """
        if not specs:
            return []
        array, keep = _partition_array(specs)
        results: dict[int, OpenedLog] = {}

        def take(number: int, item: Any) -> None:
            if number not in results:
                results[number] = opened = self._opened_log(specs[number], item)
                if on_opened is not None:
                    on_opened(opened)

        token = next(self._tokens)
        self._openings[token] = take
        try:
            call = lib.pl_engine_open_partitions
            done = await self._call_as(token, call, array, len(specs), parallel)
        finally:
            del self._openings[token]
        del keep
        if done.error:
            raise EngineError(done.error, "open partitions")
        for number, item in enumerate(ffi.from_buffer("struct pl_partition_opened[]", done.data)):
            take(number, item)
        return [_result_of(results[number]) for number in range(len(specs))]

    def _opened_log(self, spec: PartitionSpec, item: Any) -> OpenedLog:
        _tell_what_was_cut(spec, item)
        partition = Partition(self, spec, item.handle) if item.handle else None
        action = f"open {spec.topic}-{spec.partition}"
        error = EngineError(item.error, action) if item.error else None
        return OpenedLog(spec, partition, error, item.passing, item.bytes_scanned)

    def withdraw_partition(self, topic_id: bytes, index: int) -> None:
        """Have a partition not served that is being opened: its topic has been deleted. It is to be
        closed when it is told to be open."""
        native = self._pointer()
        _check_errno(lib.pl_engine_withdraw_partition(native, topic_id, index))

    def cancel_openings(self) -> None:
        """Leave what has not begun to open closed: its result is NOT_LEADER_OR_FOLLOWER."""
        _check_errno(lib.pl_engine_cancel_openings(self._pointer()))

    def fail_partitions(self, partitions: Sequence[Partition]) -> None:
        """Take logs offline, as a failed write does: the disk below them has failed."""
        handles = ffi.new("uint64_t[]", [partition.handle for partition in partitions])
        _check_errno(lib.pl_engine_fail_partitions(self._pointer(), handles, len(partitions)))

    async def close_partitions(self, partitions: Sequence[Partition], *, delete: bool) -> None:
        """Stop serving partitions and flush and close their logs, or delete them."""
        if not partitions:
            return
        handles = ffi.new("uint64_t[]", [partition.handle for partition in partitions])
        done = await self._call(lib.pl_engine_close_partitions, handles, len(partitions), delete)
        if done.error:
            raise EngineError(done.error, "close partitions")

    def counters(self) -> EngineCounters:
        """A snapshot for metrics."""
        out = ffi.new("struct pl_engine_counters *")
        lib.pl_engine_read_counters(self._pointer(), out)
        return EngineCounters(*_values_of(EngineCounters, out))

    def _pointer(self) -> Any:
        if self._native is None:
            raise RuntimeError("the engine is closed")
        return self._native

    def _attach(self) -> asyncio.AbstractEventLoop:
        """Bind to the running loop and begin the reactor thread, once."""
        if self._loop is not None:
            return self._loop
        native = self._pointer()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(lib.pl_engine_event_fd(native), self._on_readable)
        self._thread = threading.Thread(target=self._run, name="pylog-reactor", daemon=True)
        self._thread.start()
        return self._loop

    def _run(self) -> None:
        number = lib.pl_engine_run(self._pointer())
        if number and self._loop is not None:
            reason = f"the reactor has failed: {os.strerror(number)}"
            _log.critical(reason)
            self._loop.call_soon_threadsafe(self._fail_waiting, reason)

    def _fail_waiting(self, reason: str) -> None:
        waiting, self._waiting = self._waiting, {}
        for future in waiting.values():
            if not future.done():
                future.set_exception(EngineError(_UNKNOWN_SERVER_ERROR, reason))

    def _call(self, function: Any, *arguments: Any) -> asyncio.Future[_Done]:
        """Make a call that ends in a DONE event; the future ends with it."""
        return self._call_as(next(self._tokens), function, *arguments)

    def _call_as(self, token: int, function: Any, *arguments: Any) -> asyncio.Future[_Done]:
        native = self._pointer()
        future: asyncio.Future[_Done] = self._attach().create_future()
        self._waiting[token] = future
        function(native, token, *arguments)
        return future

    def _on_readable(self) -> None:
        count = lib.pl_engine_poll(self._native, self._events, _EVENTS_PER_POLL)
        for index in range(count):
            event = self._events[index]
            try:
                self._dispatch(event)
            except Exception:
                _log.exception("an event of the engine was not handled")
                owed = event.kind in (lib.PL_EVENT_REQUEST, lib.PL_EVENT_VERIFY)
                if owed and self._native is not None:
                    self.close_connection(event.handle)
            finally:
                lib.pl_event_free(ffi.addressof(event))

    def _dispatch(self, event: Any) -> None:
        kind = event.kind
        if kind == lib.PL_EVENT_OPENED:
            peer = ffi.string(event.peer).decode("ascii")
            self._on_opened(Opened(event.handle, event.listener, peer))
        elif kind == lib.PL_EVENT_REQUEST:
            self._on_request(_request_of(event))
        elif kind == lib.PL_EVENT_DONE:
            self._finish(event)
        elif kind == lib.PL_EVENT_CLOSED:
            self._on_closed(event.handle)
        elif kind == lib.PL_EVENT_VERIFY:
            self._on_verify(_unverified_of(event))
        elif kind == lib.PL_EVENT_OFFLINE:
            self._on_offline(event.handle)
        elif kind == lib.PL_EVENT_UNCLEANABLE:
            self._on_uncleanable(event.handle)
        elif kind == lib.PL_EVENT_LOG_OPENED:
            items = ffi.from_buffer("struct pl_partition_opened[]", _data_of(event))
            # An item does not keep alive what it lies in: `items` has to stay until it was read.
            self._openings.get(event.token, _ignore_opened)(event.value, items[0])
        elif kind == lib.PL_EVENT_WARNING:
            _log.warning("%s", bytes(ffi.buffer(event.data, event.length)).decode())

    def _finish(self, event: Any) -> None:
        future = self._waiting.pop(event.token, None)
        if future is None or future.done():
            return  # the caller was cancelled
        future.set_result(_Done(event.error, event.value, event.value2, _data_of(event)))


def _tell_what_was_cut(spec: PartitionSpec, opened: Any) -> None:
    if opened.cut_below_recovery_point:
        _log.error(
            "%s-%d: the disk has changed what was flushed; %d bytes are lost, offset %d is next",
            *(spec.topic, spec.partition, opened.bytes_cut, opened.end_offset),
        )
    elif opened.bytes_cut:
        _log.warning(
            "%s-%d: %d torn bytes are cut, offset %d is next",
            *(spec.topic, spec.partition, opened.bytes_cut, opened.end_offset),
        )


def _partition_array(specs: Sequence[PartitionSpec]) -> tuple[Any, list[Any]]:
    """The C array of specs, and what must stay alive as long as it is used."""
    array = ffi.new("struct pl_partition_open[]", len(specs))
    keep: list[Any] = []
    for item, spec in zip(array, specs, strict=True):
        item.topic = topic = ffi.new("char[]", spec.topic.encode())
        item.folder = folder = ffi.new("char[]", os.fsencode(spec.folder))
        item.config = config = ffi.new("struct pl_log_config *")
        _mirror(spec.config, config)
        ffi.memmove(item.topic_id, spec.topic_id, 16)
        item.partition = spec.partition
        item.clean_shutdown = spec.clean_shutdown
        item.recovery_point = spec.recovery_point
        item.log_start_offset = spec.log_start_offset
        item.cleaned_end = spec.cleaned_end
        item.leader_epoch = spec.leader_epoch
        keep += [topic, folder, config]
    return array, keep
