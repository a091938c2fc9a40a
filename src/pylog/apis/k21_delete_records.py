"""DeleteRecords: forget what lies before an offset.

Behaviour
    -1 stands for the high watermark; an offset above it is OFFSET_OUT_OF_RANGE. The new start is
    written down before the answer, so that a crash does not bring records back. A topic that is
    only compacted gives POLICY_VIOLATION, as in Kafka.
Version notes
    0 to 2 differ in their encoding only (KIP-107).
Not done
    timeout_ms: nothing is waited for but the disk.
"""

from __future__ import annotations

from typing import Final

from pylog.apis._partitions import code_of, last_of_each, led_here
from pylog.apis.context import RequestContext
from pylog.engine.values import EngineError
from pylog.options import TOPIC
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsPartitionResult,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopicResult,
)

_HIGH_WATERMARK: Final = -1
_NONE: Final = -1


async def handle(request: DeleteRecordsRequest, context: RequestContext) -> DeleteRecordsResponse:
    wanted = last_of_each((topic.name, topic.partitions) for topic in request.topics)
    topics = []
    for name, partitions in wanted.items():
        results = []
        for item in partitions.values():
            result = DeleteRecordsPartitionResult(
                partition_index=item.partition_index, low_watermark=_NONE
            )
            try:
                result.low_watermark = await _delete(name, item, context)
            except (ApiError, EngineError) as error:
                result.error_code = code_of(error)
            results.append(result)
        topics.append(DeleteRecordsTopicResult(name=name, partitions=results))
    await context.broker.partitions.checkpoint()
    return DeleteRecordsResponse(topics=topics)


async def _delete(topic: str, item: DeleteRecordsPartition, context: RequestContext) -> int:
    broker = context.broker
    partition, _ = led_here(broker, topic, item.partition_index)
    overrides = broker.metadata.image.config("topic", topic)
    policy = broker.config.resource_value(TOPIC["cleanup.policy"], overrides)
    if policy == ["compact"]:
        raise ApiError(ErrorCode.POLICY_VIOLATION)
    high_watermark = partition.offsets().high_watermark
    offset = high_watermark if item.offset == _HIGH_WATERMARK else item.offset
    if not 0 <= offset <= high_watermark:
        raise ApiError(ErrorCode.OFFSET_OUT_OF_RANGE)
    return await partition.delete_records(offset)
