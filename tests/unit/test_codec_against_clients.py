"""Batches exchanged with the record code of kafka-python and aiokafka."""

from __future__ import annotations

import warnings
from typing import Any

import aiokafka.record.default_records as aiokafka_records
import aiokafka.record.memory_records as aiokafka_memory
import pytest

from pylog import codec
from pylog.codec import Compression, Record

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of kafka-python's import
    import kafka.record.default_records as kafka_python_records
    import kafka.record.legacy_records as kafka_python_legacy
    import kafka.record.memory_records as kafka_python_memory

RECORDS = [
    Record(b"key", b"value", 1_700_000_000_000, [("trace", b"\x00\xff"), ("empty", b"")]),
    Record(None, b"x" * 70_000, 1_700_000_000_005),
    Record(b"", None, 1_699_999_999_000, [("é", b"1")]),
    *(Record(b"%d" % i, b"same value " * 20, 1_700_000_000_100 + i) for i in range(500)),
]
EVERY_COMPRESSION = pytest.mark.parametrize("compression", Compression)


def fields(record: Any) -> tuple[object, ...]:
    key = None if record.key is None else bytes(record.key)
    value = None if record.value is None else bytes(record.value)
    return record.offset, record.timestamp, key, value, list(record.headers)


EXPECTED = [(i, r.timestamp_ms, r.key, r.value, list(r.headers)) for i, r in enumerate(RECORDS)]


@EVERY_COMPRESSION
@pytest.mark.parametrize("client", [kafka_python_memory, aiokafka_memory])
def test_a_client_reads_what_the_codec_builds(client: Any, compression: Compression) -> None:
    data = codec.encode_batch(
        RECORDS, compression=compression, producer_id=9, producer_epoch=2, base_sequence=70
    )
    memory = client.MemoryRecords(data + data)
    seen = 0
    while (batch := memory.next_batch()) is not None:
        assert batch.validate_crc()
        assert [fields(record) for record in batch] == EXPECTED
        assert batch.producer_id == 9
        seen += 1
    assert seen == 2


def kafka_python_batch(compression: Compression) -> bytes:
    builder = kafka_python_records.DefaultRecordBatchBuilder(2, compression, False, 9, 2, 70, 10**9)
    for i, r in enumerate(RECORDS):
        builder.append(i, r.timestamp_ms, r.key, r.value, list(r.headers))
    return bytes(builder.build())


def aiokafka_batch(compression: Compression) -> bytes:
    builder = aiokafka_records.DefaultRecordBatchBuilder(2, compression, False, 9, 2, 70, 10**9)
    for i, r in enumerate(RECORDS):
        builder.append(i, r.timestamp_ms, r.key, r.value, list(r.headers))
    return bytes(builder.build())


@EVERY_COMPRESSION
@pytest.mark.parametrize("build", [kafka_python_batch, aiokafka_batch])
def test_the_codec_reads_what_a_client_builds(build: Any, compression: Compression) -> None:
    (batch,) = codec.decode_batches(build(compression))
    assert batch.compression == compression
    assert (batch.producer_id, batch.producer_epoch, batch.base_sequence) == (9, 2, 70)
    got = [(r.offset, r.timestamp_ms, r.key, r.value, list(r.headers)) for r in batch]
    assert got == EXPECTED


@pytest.mark.parametrize("magic", [0, 1])
@pytest.mark.parametrize("compression", [Compression.NONE, Compression.GZIP, Compression.SNAPPY])
def test_the_codec_reads_message_sets_of_old_clients(magic: int, compression: Compression) -> None:
    builder = kafka_python_legacy.LegacyRecordBatchBuilder(magic, compression, 10**9)
    for i, r in enumerate(RECORDS[1:]):
        builder.append(i, r.timestamp_ms, r.key, r.value)
    (batch,) = codec.decode_batches(bytes(builder.build()))
    assert batch.compression == compression
    got = [(r.offset, r.timestamp_ms, r.key, r.value) for r in batch]
    times = [-1 if magic == 0 else r.timestamp_ms for r in RECORDS[1:]]
    assert got == [
        (i, time, r.key, r.value)
        for i, (r, time) in enumerate(zip(RECORDS[1:], times, strict=True))
    ]
