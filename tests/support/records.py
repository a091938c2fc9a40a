"""Single records in and out over the wire, and what a broker says of its partitions."""

from __future__ import annotations

from tests.support.wire import Wire

from pylog.codec import Record, decode_batches, encode_batch
from pylog.protocol.errors import ErrorCode
from pylog.protocol.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
)
from pylog.protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicState
from pylog.protocol.messages.fetch import FetchPartition, FetchRequest, FetchTopic
from pylog.protocol.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsTopic,
)
from pylog.protocol.messages.metadata import MetadataRequest
from pylog.protocol.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)

MIB = 1024 * 1024
NAMED_TOPICS = 12  # the last version of Fetch and Produce that names topics


def produce(wire: Wire, topic: str, value: bytes, index: int = 0) -> int:
    """The error code for one record."""
    batch = bytes(encode_batch([Record(None, value)]))
    part = PartitionProduceData(index=index, records=batch)
    request = ProduceRequest(
        acks=-1,
        timeout_ms=10_000,
        topic_data=[TopicProduceData(name=topic, partition_data=[part])],
    )
    return int(wire.ask(request, NAMED_TOPICS).responses[0].partition_responses[0].error_code)


def fetch(wire: Wire, topic: str, index: int = 0, offset: int = 0) -> bytes | int | None:
    """The value of the first record from an offset on, or the error code."""
    part = FetchPartition(partition=index, fetch_offset=offset, partition_max_bytes=MIB)
    request = FetchRequest(
        max_wait_ms=0,
        min_bytes=0,
        max_bytes=MIB,
        topics=[FetchTopic(topic=topic, partitions=[part])],
    )
    (answer,) = wire.ask(request, NAMED_TOPICS).responses[0].partitions
    if answer.error_code:
        return int(answer.error_code)
    return next(iter(next(iter(decode_batches(answer.records))))).value


def delete_topic(wire: Wire, name: str) -> None:
    request = DeleteTopicsRequest(topics=[DeleteTopicState(name=name)], timeout_ms=30_000)
    assert wire.ask(request).responses[0].error_code == ErrorCode.NONE


def delete_records(wire: Wire, topic: str, before: int) -> None:
    part = DeleteRecordsPartition(partition_index=0, offset=before)
    request = DeleteRecordsRequest(topics=[DeleteRecordsTopic(name=topic, partitions=[part])])
    assert wire.ask(request).topics[0].partitions[0].error_code == ErrorCode.NONE


def start_of(wire: Wire, topic: str) -> tuple[int, int]:
    """Error code and first offset of partition 0."""
    part = ListOffsetsPartition(partition_index=0, timestamp=-2)
    request = ListOffsetsRequest(topics=[ListOffsetsTopic(name=topic, partitions=[part])])
    (answer,) = wire.ask(request).topics[0].partitions
    return answer.error_code, answer.offset


def offline_partitions(wire: Wire) -> set[tuple[str, int]]:
    """Those that the broker itself names as not to be used."""
    topics = wire.ask(MetadataRequest(topics=None)).topics
    return {
        (topic.name, part.partition_index)
        for topic in topics
        for part in topic.partitions
        if part.error_code == ErrorCode.LEADER_NOT_AVAILABLE or part.offline_replicas
    }
