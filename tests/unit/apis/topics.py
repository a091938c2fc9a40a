"""Topics and records for tests of the handlers."""

from __future__ import annotations

from collections.abc import Sequence

from tests.support.wire import Wire

from pylog.codec import BatchBuilder
from pylog.protocol.errors import ErrorCode
from pylog.protocol.messages.create_topics import (
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
)
from pylog.protocol.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)


def make_topic(wire: Wire, name: str, partitions: int = 1, **configs: str) -> bytes:
    """Make a topic; returns its id. Settings are given with _ for the dots."""
    topic = CreatableTopic(
        name=name,
        num_partitions=partitions,
        replication_factor=1,
        configs=[
            CreatableTopicConfig(name=key.replace("_", "."), value=value)
            for key, value in configs.items()
        ],
    )
    (result,) = wire.ask(CreateTopicsRequest(topics=[topic])).topics
    assert result.error_code == ErrorCode.NONE, result.error_message
    topic_id: bytes = result.topic_id
    return topic_id


def produce(wire: Wire, name: str, times_ms: Sequence[int], index: int = 0) -> int:
    """Append one batch with a record of each time; returns the first offset."""
    builder = BatchBuilder()
    for time_ms in times_ms:
        builder.append(b"key", b"value", time_ms)
    data = PartitionProduceData(index=index, records=builder.build())
    request = ProduceRequest(
        acks=-1, timeout_ms=10_000, topic_data=[TopicProduceData(name=name, partition_data=[data])]
    )
    answer = wire.ask(request, 12).responses[0].partition_responses[0]
    assert answer.error_code == ErrorCode.NONE
    offset: int = answer.base_offset
    return offset
