"""DeleteShareGroupState: forget share partitions (KIP-932)."""

from __future__ import annotations

from pylog.apis.context import RequestContext
from pylog.apis.share_state_requests import for_each_partition, run
from pylog.coordinator.share_state import SharePartitionKey
from pylog.protocol.errors import ApiError
from pylog.protocol.messages.delete_share_group_state import (
    DeleteShareGroupStateRequest,
    DeleteShareGroupStateResponse,
    DeleteStateResult,
    PartitionData,
    PartitionResult,
)


async def handle(
    request: DeleteShareGroupStateRequest, context: RequestContext
) -> DeleteShareGroupStateResponse:
    async def answer(key: SharePartitionKey, asked: PartitionData) -> PartitionResult:
        result = PartitionResult(partition=key.partition)
        try:
            await run(context, key, lambda shard, of, promise, _: shard.delete(of, promise))
        except ApiError as error:
            result.error_code, result.error_message = error.code, error.message
        return result

    found = await for_each_partition(request.group_id, request.topics, answer)
    return DeleteShareGroupStateResponse(
        results=[DeleteStateResult(topic_id=topic, partitions=p) for topic, p in found]
    )


def refuse(request: DeleteShareGroupStateRequest, error: ApiError) -> DeleteShareGroupStateResponse:
    return DeleteShareGroupStateResponse(
        results=[
            DeleteStateResult(
                topic_id=topic.topic_id,
                partitions=[
                    PartitionResult(
                        partition=item.partition,
                        error_code=error.code,
                        error_message=error.message,
                    )
                    for item in topic.partitions
                ],
            )
            for topic in request.topics
        ]
    )
