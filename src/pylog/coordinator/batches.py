"""Steps of a shard as record batches, and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pylog import codec
from pylog.coordinator.effects import Marker, Producer

NO_PRODUCER = Producer(-1, -1)
_BATCH_MAX_BYTES = 512 * 1024  # steps share a batch up to this size; one step is never split


@dataclass(slots=True)
class Write:
    """What one step appends: records (in a producer's transaction or not), or a marker."""

    records: list[tuple[bytes, bytes | None]] = field(default_factory=list)
    producer: Producer | None = None
    marker: Marker | None = None

    def size(self) -> int:
        return sum(len(key) + len(value or b"") for key, value in self.records)


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of a partition; ``commit`` tells of a marker how its transaction ended."""

    offset: int
    key: bytes | None
    value: bytes | None
    producer: Producer
    commit: bool | None = None


def encode(writes: Iterable[Write], now_ms: int) -> bytes:
    """Batches, one behind the other, in the order of the writes."""
    return b"".join(_batches(writes, now_ms))


def _batches(writes: Iterable[Write], now_ms: int) -> Iterator[bytes]:
    shared: list[Write] = []  # plain records of several steps
    size = 0
    for write in writes:
        plain = write.producer is None and write.marker is None
        if shared and (not plain or size > _BATCH_MAX_BYTES):
            yield _encode_records(shared, now_ms)
            shared, size = [], 0
        if plain:
            shared.append(write)
            size += write.size()
        elif write.marker is not None:
            yield encode_marker(write.marker, now_ms)
        else:
            yield _encode_records([write], now_ms)
    if shared:
        yield _encode_records(shared, now_ms)


def _encode_records(writes: list[Write], now_ms: int) -> bytes:
    records = [
        codec.Record(key, value, timestamp_ms=now_ms)
        for write in writes
        for key, value in write.records
    ]
    producer = writes[0].producer
    if producer is None:
        return codec.encode_batch(records)
    return codec.encode_batch(
        records,
        producer_id=producer.producer_id,
        producer_epoch=producer.epoch,
        transactional=True,
    )


def encode_marker(marker: Marker, now_ms: int) -> bytes:
    ending = codec.TransactionMarker(marker.commit, marker.coordinator_epoch)
    return codec.encode_marker(ending, marker.producer_id, marker.epoch, now_ms)


def decode(data: bytes) -> Iterator[Entry]:
    """Records and markers of whole batches. CodecError."""
    for batch in codec.decode_batches(data):
        if not batch.is_transactional:
            for record in batch:
                yield Entry(record.offset, record.key, record.value, NO_PRODUCER)
            continue
        producer = Producer(batch.producer_id, batch.producer_epoch)
        marker = batch.transaction_marker
        if marker is not None:
            yield Entry(batch.base_offset, None, None, producer, marker.commit)
            continue
        for record in batch:
            yield Entry(record.offset, record.key, record.value, producer)
