"""The clients that push metrics: whom is answered what, and the newest number of each metric.

A client asks for its subscription, then pushes at its interval (KIP-714). Who comes too early is
told THROTTLING_QUOTA_EXCEEDED; who pushes for a subscription that has changed is told
UNKNOWN_SUBSCRIPTION_ID, and asks again. Time is given, so that all of it can be tested.
"""

from __future__ import annotations

import math
import uuid
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pylog.codec import CodecError, Compression, crc32c, decompress
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.uuids import ZERO_UUID, uuid_to_text
from pylog.telemetry.otlp import PayloadError, Point, read_metrics
from pylog.telemetry.subscriptions import (
    DEFAULT_INTERVAL_MS,
    EVERYTHING,
    ClientIdentity,
    Subscription,
    subscription_of,
)

MAX_CLIENTS: Final = 16_384
MAX_SERIES: Final = 4_096  # of one client
ACCEPTED_COMPRESSION: Final = (
    Compression.ZSTD,
    Compression.LZ4,
    Compression.GZIP,
    Compression.SNAPPY,
)
_ONE_UUID: Final = (1).to_bytes(16, "big")  # reserved, like that of zeros
_FORGOTTEN_AFTER_MS: Final = 60_000
_UNPACKED_TIMES: Final = 16  # how much larger a payload may become

Series = tuple[str, tuple[tuple[str, str], ...]]  # name and attributes


class Asked(NamedTuple):
    """The answer to a client that asks what to push."""

    instance_id: bytes
    subscription_id: int
    interval_ms: int
    metrics: Sequence[str]


@dataclass(slots=True)
class _Instance:
    """One client. Times in ms; minus infinity: never."""

    identity: ClientIdentity
    version: int  # of the subscriptions that the rest was made of
    subscription_id: int
    interval_ms: int
    metrics: Sequence[str]
    heard_ms: float = -math.inf
    asked_ms: float = -math.inf
    may_ask_now: bool = False
    has_asked: bool = False  # since it has pushed
    pushed_ms: float = -math.inf
    terminating: bool = False
    values: dict[Series, Point] = field(default_factory=dict)

    def may_ask(self, now_ms: float) -> bool:
        if not self.may_ask_now and now_ms - max(self.asked_ms, self.pushed_ms) < self.interval_ms:
            return False
        self.may_ask_now, self.has_asked = False, True
        self.asked_ms = now_ms
        return True

    def may_push(self, now_ms: float) -> bool:
        """The first push after it has asked may come at once: clients spread theirs."""
        if not self.has_asked and now_ms - self.pushed_ms < self.interval_ms:
            return False
        self.has_asked = False
        self.pushed_ms = now_ms
        return True

    def is_over(self, now_ms: float) -> bool:
        return now_ms - self.heard_ms > max(_FORGOTTEN_AFTER_MS, 3 * self.interval_ms)


class ClientMetrics:
    """All clients of this broker that have asked or pushed."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._subscriptions: dict[str, Subscription] = {}
        self._version = 0
        self._instances: OrderedDict[bytes, _Instance] = OrderedDict()  # heard of last: at the end

    def configure(self, texts_by_name: Mapping[str, Mapping[str, str]]) -> None:
        """Replace the subscriptions by those of these settings."""
        self._subscriptions = {
            name: subscription_of(texts) for name, texts in texts_by_name.items()
        }
        self._version += 1

    def ask(self, instance_id: bytes, client: ClientIdentity, now_ms: float) -> Asked:
        """Tell a client what to push; an id of zeros is replaced by a new one."""
        if instance_id == ZERO_UUID:
            instance_id = uuid.uuid4().bytes
        instance = self._instance(instance_id, client, now_ms)
        if not instance.may_ask(now_ms):
            raise ApiError(ErrorCode.THROTTLING_QUOTA_EXCEEDED)
        return Asked(instance_id, instance.subscription_id, instance.interval_ms, instance.metrics)

    def push(
        self,
        instance_id: bytes,
        subscription_id: int,
        client: ClientIdentity,
        payload: bytes,
        compression: int,
        *,
        terminating: bool,
        now_ms: float,
    ) -> None:
        """Take metrics. ApiError says why not."""
        if instance_id in (ZERO_UUID, _ONE_UUID):
            raise ApiError(ErrorCode.INVALID_REQUEST)
        instance = self._instance(instance_id, client, now_ms)
        was_terminating, instance.terminating = instance.terminating, terminating
        if was_terminating:
            raise ApiError(ErrorCode.INVALID_REQUEST)
        if not instance.may_push(now_ms) and not terminating:
            raise ApiError(ErrorCode.THROTTLING_QUOTA_EXCEEDED)
        if subscription_id != instance.subscription_id:
            instance.may_ask_now = True  # that error sends the client back to asking
            raise ApiError(ErrorCode.UNKNOWN_SUBSCRIPTION_ID)
        if compression not in Compression.__members__.values():
            instance.may_ask_now = True  # that error sends the client back to asking
            raise ApiError(ErrorCode.UNSUPPORTED_COMPRESSION_TYPE)
        for point in self._unpack(payload, compression):
            _record(instance.values, point)

    def series(self, now_ms: float) -> Iterator[tuple[ClientIdentity, Point]]:
        """The newest numbers of the clients that still push."""
        self._forget(now_ms)
        for instance in self._instances.values():
            for point in instance.values.values():
                yield instance.identity, point

    def count(self, now_ms: float) -> int:
        """Clients that still push, or have just asked."""
        self._forget(now_ms)
        return len(self._instances)

    def _unpack(self, payload: bytes, compression: int) -> list[Point]:
        if len(payload) > self.max_bytes:
            raise ApiError(ErrorCode.TELEMETRY_TOO_LARGE)
        try:
            if compression != Compression.NONE and payload:
                most = self.max_bytes * _UNPACKED_TIMES
                payload = decompress(payload, compression, max_bytes=most)
            return read_metrics(payload)
        except (CodecError, PayloadError) as error:
            raise ApiError(ErrorCode.INVALID_RECORD, str(error)) from None

    # ---- instances ----

    def _instance(self, instance_id: bytes, client: ClientIdentity, now_ms: float) -> _Instance:
        """The client, made new when it is not known or its subscription may have changed."""
        self._forget(now_ms)
        instance = self._instances.get(instance_id)
        if instance is None or instance.version != self._version:
            named = client._replace(client_instance_id=uuid_to_text(instance_id))
            fresh = self._subscribe(instance_id, named)
            if instance is not None:
                fresh.values = instance.values
            instance = self._instances[instance_id] = fresh
        instance.heard_ms = now_ms
        self._instances.move_to_end(instance_id)
        while len(self._instances) > MAX_CLIENTS:
            self._instances.popitem(last=False)
        return instance

    def _subscribe(self, instance_id: bytes, client: ClientIdentity) -> _Instance:
        applying = [item for item in self._subscriptions.values() if item.applies_to(client)]
        names = sorted({name for item in applying for name in item.metrics})
        if EVERYTHING in names:
            names = [EVERYTHING]
        interval_ms = min([DEFAULT_INTERVAL_MS, *(item.interval_ms for item in applying)])
        return _Instance(
            client,
            self._version,
            _subscription_id(names, interval_ms, instance_id),
            interval_ms,
            names,
        )

    def _forget(self, now_ms: float) -> None:
        while self._instances:
            instance_id, oldest = next(iter(self._instances.items()))
            if not oldest.is_over(now_ms):
                return
            del self._instances[instance_id]


def _subscription_id(names: Sequence[str], interval_ms: int, instance_id: bytes) -> int:
    """A number that changes with what is asked for."""
    unsigned = crc32c(f"{names}{interval_ms}".encode() + instance_id)
    return unsigned - (1 << 32) if unsigned >= 1 << 31 else unsigned


def _record(values: dict[Series, Point], point: Point) -> None:
    series = (point.name, point.attributes)
    before = values.get(series)
    if before is not None and point.delta:
        point = point._replace(value=before.value + point.value)
    if before is not None or len(values) < MAX_SERIES:
        values[series] = point
