"""Dead letter queues of share groups: records that nobody could process go to a topic (KIP-1191).

A dead letter says in its headers where the record was and why it is here; where the group's
settings ask for it, it has the record's key and value too. It goes to the partition of
the same number, counted round. A letter is written at least once: after a crash it may be again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pylog.cluster.topics import NewTopic
from pylog.codec import Record, decode_batches, encode_batch
from pylog.coordinator.shards import wall_ms
from pylog.coordinator.share_partition import DeadLetter, Failure
from pylog.engine.partition import Partition
from pylog.engine.values import EngineError
from pylog.protocol.errors import ApiError, ErrorCode

if TYPE_CHECKING:
    from pylog.server.broker import Broker

_log = logging.getLogger(__name__)

_REASONS: Final = {
    Failure.REJECTED: "A member has rejected the record.",
    Failure.TOO_OFTEN: "The record was delivered as often as the group allows.",
    Failure.UNTOLD: "The record was given up, and the broker restarted before it was written here.",
}
_ENABLED: Final = "errors.deadletterqueue.group.enable"
_AT_A_TIME: Final = 500  # letters in a batch
_READ_BYTES: Final = 1 << 20
_TRIES: Final = 5
_DELAY: Final = 0.2  # seconds, before the second try; doubled for each more


@dataclass(frozen=True, slots=True)
class DeadLetterQueue:
    """Where the dead letters of a group go. ``copies``: with the record itself."""

    topic: str
    copies: bool


@dataclass(frozen=True, slots=True)
class Origin:
    """The partition that the records are in, and the group that gave them up."""

    group_id: str
    partition: Partition

    def __str__(self) -> str:
        return f"{self.partition.topic}-{self.partition.partition} of group {self.group_id}"


class DeadLetterWriter:
    """Writes dead letters to topics of this broker."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def write(
        self, origin: Origin, queue: DeadLetterQueue, letters: Sequence[DeadLetter]
    ) -> None:
        """Return when they are committed; ApiError when they can't be, after a few tries."""
        for attempt in range(_TRIES):
            try:
                await self._write(origin, queue, letters)
                return
            except EngineError as error:
                if attempt + 1 == _TRIES:
                    raise ApiError(ErrorCode(error.code), str(error)) from error
                await asyncio.sleep(_DELAY * 2**attempt)

    async def _write(
        self, origin: Origin, queue: DeadLetterQueue, letters: Sequence[DeadLetter]
    ) -> None:
        target = await self._target(queue.topic, origin.partition.partition)
        for letter in letters:
            for first in range(letter.first_offset, letter.last_offset + 1, _AT_A_TIME):
                last = min(first + _AT_A_TIME - 1, letter.last_offset)
                part = letter._replace(first_offset=first, last_offset=last)
                blank = _blank(origin, part)
                if queue.copies:
                    await _append_copies(target, blank, await _originals(origin.partition, part))
                else:
                    await target.append(encode_batch(blank), coordinator=False)

    async def _target(self, topic: str, index: int) -> Partition:
        """The partition for the dead letters of a partition; made, where that is allowed."""
        broker = self._broker
        prefix = broker.config.text("errors.deadletterqueue.topic.name.prefix")
        if not topic.startswith(prefix):
            raise ApiError(ErrorCode.INVALID_CONFIG, f"its name does not begin with {prefix!r}")
        image = broker.metadata.image.topics.get(topic)
        if image is None:
            if not broker.config.flag("errors.deadletterqueue.auto.create.topics.enable"):
                raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "there is no such topic")
            image = await broker.topics.ensure(NewTopic(topic, configs={_ENABLED: "true"}))
        if broker.metadata.image.config("topic", topic).get(_ENABLED) != "true":
            raise ApiError(ErrorCode.INVALID_CONFIG, f"its setting {_ENABLED} is not true")
        partition = broker.partitions.get(topic, index % len(image.partitions))
        if partition is None:
            raise EngineError(ErrorCode.NOT_LEADER_OR_FOLLOWER, f"{topic} is not open yet")
        return partition


# ---- records ----


def _blank(origin: Origin, letter: DeadLetter) -> list[Record]:
    """The letters without content, one for each offset, which is their own until they are sent."""
    return [
        Record(None, None, wall_ms(), _headers(origin, letter, offset), offset)
        for offset in range(letter.first_offset, letter.last_offset + 1)
    ]


def _headers(origin: Origin, letter: DeadLetter, offset: int) -> list[tuple[str, bytes]]:
    told = {
        "topic": origin.partition.topic,
        "partition": origin.partition.partition,
        "offset": offset,
        "group": origin.group_id,
        "delivery.count": letter.deliveries,
        "message": _REASONS[letter.failure],
    }
    return [(f"__dlq.errors.{name}", str(value).encode()) for name, value in told.items()]


async def _append_copies(
    target: Partition, blank: Sequence[Record], originals: Mapping[int, Record]
) -> None:
    """Each in a batch of its own: a record that is too large there goes without content."""
    for letter in blank:
        original = originals.get(letter.offset, letter)
        whole = Record(original.key, original.value, letter.timestamp_ms, letter.headers)
        try:
            await target.append(encode_batch([whole]), coordinator=False)
        except EngineError as error:
            if error.code != ErrorCode.MESSAGE_TOO_LARGE:
                raise
            await target.append(encode_batch([letter]), coordinator=False)


async def _originals(source: Partition, letter: DeadLetter) -> Mapping[int, Record]:
    """What the log still has of these offsets."""
    found: dict[int, Record] = {}
    at = letter.first_offset
    while at <= letter.last_offset:
        try:
            chunk = await source.read(at, _READ_BYTES)
        except EngineError as error:
            if error.code != ErrorCode.OFFSET_OUT_OF_RANGE:
                raise
            at = max(at + 1, source.offsets().log_start)
            continue
        if not chunk.data:
            break
        for batch in decode_batches(chunk.data):
            for record in batch:
                if letter.first_offset <= record.offset <= letter.last_offset:
                    found[record.offset] = record
        at = chunk.next_offset
    return found
