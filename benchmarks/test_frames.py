"""Frames and what is in them: requests cut from a stream and read, by the engine and in Python."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.conftest import NoteRate
from pylog import codec
from pylog.bench import pieces
from pylog.protocol.api_keys import decode_request_header, encode_request
from pylog.protocol.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)
from pylog.protocol.wire import decode

PRODUCE, VERSION = 0, 9
REQUESTS = 1000


def stream_of(partitions: int) -> bytearray:
    """So many Produce requests of one record for each of the partitions."""
    builder = codec.BatchBuilder()
    builder.append(None, b"x" * 100, 1_700_000_000_000)
    records = builder.build()
    data = [PartitionProduceData(index=i, records=records) for i in range(partitions)]
    topics = [TopicProduceData(name="a-topic-of-some-length", partition_data=data)]
    request = ProduceRequest(acks=-1, timeout_ms=30_000, topic_data=topics)
    payload = encode_request(PRODUCE, VERSION, 7, "benchmark", request)
    return bytearray((struct.pack(">i", len(payload)) + payload) * REQUESTS)


def frames(stream: bytearray) -> Iterator[memoryview]:
    """Each with its length prefix."""
    view, at = memoryview(stream), 0
    while at < len(stream):
        (length,) = struct.unpack_from(">i", stream, at)
        yield view[at : at + 4 + length]
        at += 4 + length


def in_pylogs_python(stream: bytearray) -> int:
    """As the control plane reads its requests."""
    found = 0
    for frame in frames(stream):
        header = decode_request_header(bytes(frame[4:]))
        request = decode(ProduceRequest, frame[4 + header.size :], header.api_version)
        found += sum(len(topic.partition_data) for topic in request.topic_data)
    return found


def in_kafka_python(stream: bytearray) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of its import
        producer = pytest.importorskip("kafka.protocol.producer")
    found = 0
    for frame in frames(stream):
        request = producer.ProduceRequest.decode(frame, VERSION, header=True, framed=True)
        found += sum(len(topic.partition_data) for topic in request.topic_data)
    return found


WAYS = {
    "pylog": pieces.produce_frames,
    "pylog-python": in_pylogs_python,
    "kafka-python": in_kafka_python,
    "memcpy": lambda stream: len(bytes(stream)),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("partitions", [1, 16])
@pytest.mark.benchmark(group="cut and read 1,000 Produce requests, by partitions of a request")
def test_requests(
    benchmark: BenchmarkFixture, note_rate: NoteRate, way: str, partitions: int
) -> None:
    stream = stream_of(partitions)
    found = benchmark(WAYS[way], stream)
    assert found == (len(stream) if way == "memcpy" else REQUESTS * partitions)
    note_rate(len(stream))
