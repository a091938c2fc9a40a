"""DescribeProducers: what the leader of a partition knows of its producers (KIP-664).

Behaviour
    Tells idempotent and transactional producers alike; the first offset of an open transaction is
    what an admin needs to find one that nobody ends.
"""

from __future__ import annotations

from pylog.apis._partitions import code_of, led_here
from pylog.apis.context import RequestContext
from pylog.cluster.topics import check_name
from pylog.engine.values import EngineError
from pylog.protocol.errors import ApiError
from pylog.protocol.messages.describe_producers import (
    DescribeProducersRequest,
    DescribeProducersResponse,
    PartitionResponse,
    ProducerState,
    TopicResponse,
)


async def handle(
    request: DescribeProducersRequest, context: RequestContext
) -> DescribeProducersResponse:
    return DescribeProducersResponse(
        topics=[
            TopicResponse(
                name=topic.name,
                partitions=[_describe(topic.name, i, context) for i in topic.partition_indexes],
            )
            for topic in request.topics
        ]
    )


def _describe(topic: str, index: int, context: RequestContext) -> PartitionResponse:
    try:
        check_name(topic)
        partition, _ = led_here(context.broker, topic, index)
        producers = partition.producers()
    except (ApiError, EngineError) as error:
        code = code_of(error)
        return PartitionResponse(partition_index=index, error_code=code, error_message=code.name)
    return PartitionResponse(
        partition_index=index,
        active_producers=[
            ProducerState(
                producer_id=producer.producer_id,
                producer_epoch=producer.epoch,
                last_sequence=producer.last_sequence,
                last_timestamp=producer.last_timestamp_ms,
                coordinator_epoch=producer.coordinator_epoch,
                current_txn_start_offset=producer.transaction_start,
            )
            for producer in producers
        ],
    )
