"""OffsetDelete: forget offsets of topics that the group is not subscribed to (KIP-496)."""

from __future__ import annotations

from pylog.apis._groups import partition_exists
from pylog.apis.context import RequestContext
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteResponse,
    OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
)


async def handle(request: OffsetDeleteRequest, context: RequestContext) -> OffsetDeleteResponse:
    response = OffsetDeleteResponse()
    wanted: list[tuple[str, int]] = []
    answers: list[OffsetDeleteResponsePartition] = []
    for topic in request.topics:
        answer = OffsetDeleteResponseTopic(name=topic.name)
        if topic.partitions:
            response.topics.append(answer)
        for partition in topic.partitions:
            index = partition.partition_index
            of_partition = OffsetDeleteResponsePartition(partition_index=index)
            answer.partitions.append(of_partition)
            if partition_exists(context, topic.name, index):
                wanted.append((topic.name, index))
                answers.append(of_partition)
            else:
                of_partition.error_code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    try:
        codes = await context.broker.coordinators.groups.run(
            request.group_id,
            lambda shard, promise, _: shard.delete_offsets(request.group_id, wanted, promise),
        )
    except ApiError as error:
        return OffsetDeleteResponse(error_code=error.code)
    for of_partition, code in zip(answers, codes, strict=True):
        of_partition.error_code = code
    return response
