"""The engine of one broker: its sockets, what its clients may do, and its logs."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Sequence
from typing import Any

from pylog._engine import ffi, lib
from pylog.engine.partition import OpenedLog, Partition
from pylog.engine.reactor import Reactor
from pylog.engine.structs import check_errno, mirror, partition_array, values_of
from pylog.engine.values import (
    CleanerSettings,
    EngineCounters,
    EngineError,
    Guard,
    PartitionSpec,
    QuotaRule,
    RecordsPart,
    Unverified,
)

_log = logging.getLogger(__name__)


class Engine(Reactor):
    """Sockets, fast lane and logs of one broker.

    Connections are served between :meth:`start` and :meth:`stop`; partitions can be used before
    and after.
    """

    def listen(self, listener: int, host: str, port: int) -> int:
        """Bind a listener; returns its port. Clients wait until :meth:`start`. OSError."""
        bound = ffi.new("uint16_t *")
        native = self.native()
        number = lib.pl_engine_listen(native, listener, host.encode(), port, bound)
        if number:
            raise OSError(number, os.strerror(number), f"{host}:{port}")
        return int(bound[0])

    def reply(self, connection: int, payload: bytes) -> None:
        """Answer a request: header and body without the length. b"" sends no answer."""
        check_errno(lib.pl_engine_reply(self.native(), connection, payload, len(payload)))

    def guard(self, listener: int, guards: Guard) -> None:
        """Set what connections have to pass; holds for those accepted afterwards.

        ASK: ``on_opened`` first, and they wait for :meth:`admit`. SASL: they may only authenticate
        before :meth:`identify`.
        """
        check_errno(lib.pl_engine_guard(self.native(), listener, guards))

    def admit(self, connection: int) -> None:
        """Begin to read a connection that was asked about."""
        check_errno(lib.pl_engine_admit(self.native(), connection))

    def identify(self, connection: int, user: str, subject: int, lifetime_ms: int) -> None:
        """Tell whose connection it is, and for how long (-1: for ever)."""
        native = self.native()
        check_errno(lib.pl_engine_identify(native, connection, user.encode(), subject, lifetime_ms))

    def expect_tokens(self, connection: int) -> None:
        """Take frames as bare tokens, as requests of key 36 and version -1, until identified."""
        check_errno(lib.pl_engine_expect_tokens(self.native(), connection))

    def send_token(self, connection: int, token: bytes) -> None:
        """Answer a bare token; unlike :meth:`reply` also with nothing."""
        check_errno(lib.pl_engine_send_token(self.native(), connection, token, len(token)))

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
        native = self.native()
        check_errno(lib.pl_engine_reply_parts(native, connection, array, len(parts)))
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
        native = self.native()
        check_errno(
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
        check_errno(lib.pl_engine_set_quotas(self.native(), array, len(rules)))
        del keep

    def configure_cleaner(self, settings: CleanerSettings) -> None:
        """Compact in another way from the next log on; a new rate holds at once."""
        native_settings = ffi.new("struct pl_cleaner_settings *")
        mirror(settings, native_settings)
        check_errno(lib.pl_engine_configure_cleaner(self.native(), native_settings))

    def charge_time(self, user: str, client_id: str, busy_ns: int) -> int:
        """Charge time to a client's request quota; returns for how many ms to mute it."""
        native = self.native()
        return int(lib.pl_engine_charge_time(native, user.encode(), client_id.encode(), busy_ns))

    def charge_fetch(self, user: str, client_id: str, size_bytes: int) -> int:
        """Charge bytes to a client's fetch quota; returns for how many ms to mute it."""
        native = self.native()
        name = user.encode(), client_id.encode()
        return int(lib.pl_engine_charge_fetch(native, *name, size_bytes))

    def most_fetched(self, user: str, client_id: str) -> int:
        """How many bytes a client may fetch at once, by its quota."""
        native = self.native()
        return int(lib.pl_engine_most_fetched(native, user.encode(), client_id.encode()))

    def mute(self, connection: int, throttle_ms: int) -> None:
        """Read nothing more from a connection for a while (KIP-219)."""
        check_errno(lib.pl_engine_mute(self.native(), connection, throttle_ms))

    def verified(self, request: Unverified, errors: Sequence[int]) -> None:
        """Let a Produce go on; an error code (0: takes part) for each of its items, in order."""
        answers = ffi.new("struct pl_verification[]", len(request.items))
        for answer, item, error in zip(answers, request.items, errors, strict=True):
            answer.partition = item.partition
            answer.producer_id = item.producer_id
            answer.producer_epoch = item.producer_epoch
            answer.error = error
        native = self.native()
        check_errno(lib.pl_engine_verified(native, request.connection, answers, len(request.items)))

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
        array, keep = partition_array(specs)
        results: dict[int, OpenedLog] = {}

        def take(number: int, item: Any) -> None:
            if number not in results:
                results[number] = opened = self._opened_log(specs[number], item)
                if on_opened is not None:
                    on_opened(opened)

        done = await self.call(
            lib.pl_engine_open_partitions, array, len(specs), parallel, on_part=take
        )
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
        native = self.native()
        check_errno(lib.pl_engine_withdraw_partition(native, topic_id, index))

    def cancel_openings(self) -> None:
        """Leave what has not begun to open closed: its result is NOT_LEADER_OR_FOLLOWER."""
        check_errno(lib.pl_engine_cancel_openings(self.native()))

    def fail_partitions(self, partitions: Sequence[Partition]) -> None:
        """Take logs offline, as a failed write does: the disk below them has failed."""
        handles = ffi.new("uint64_t[]", [partition.handle for partition in partitions])
        check_errno(lib.pl_engine_fail_partitions(self.native(), handles, len(partitions)))

    async def close_partitions(self, partitions: Sequence[Partition], *, delete: bool) -> None:
        """Stop serving partitions and flush and close their logs, or delete them."""
        if not partitions:
            return
        handles = ffi.new("uint64_t[]", [partition.handle for partition in partitions])
        done = await self.call(lib.pl_engine_close_partitions, handles, len(partitions), delete)
        if done.error:
            raise EngineError(done.error, "close partitions")

    def counters(self) -> EngineCounters:
        """A snapshot for metrics."""
        out = ffi.new("struct pl_engine_counters *")
        lib.pl_engine_read_counters(self.native(), out)
        return EngineCounters(*values_of(EngineCounters, out))


def _result_of(opened: OpenedLog) -> Partition | EngineError:
    if opened.error is not None:
        return opened.error
    assert opened.partition is not None
    return opened.partition


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
