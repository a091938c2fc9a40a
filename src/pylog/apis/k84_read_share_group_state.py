"""ReadShareGroupState: all that is stored of share partitions (KIP-932)."""

from __future__ import annotations

from pylog.apis.context import RequestContext
from pylog.apis.share_state_requests import for_each_partition, run
from pylog.coordinator.share_state import SharePartitionKey, ShareState
from pylog.protocol.errors import ApiError
from pylog.protocol.messages.read_share_group_state import (
    PartitionData,
    PartitionResult,
    ReadShareGroupStateRequest,
    ReadShareGroupStateResponse,
    ReadStateResult,
    StateBatch,
)


async def handle(
    request: ReadShareGroupStateRequest, context: RequestContext
) -> ReadShareGroupStateResponse:
    async def answer(key: SharePartitionKey, asked: PartitionData) -> PartitionResult:
        result = PartitionResult(partition=key.partition)
        try:
            state: ShareState = await run(
                context,
                key,
                lambda shard, of, promise, now: shard.read(of, asked.leader_epoch, promise, now),
            )
            result.state_epoch, result.start_offset = state.state_epoch, state.start_offset
            result.state_batches = [
                StateBatch(
                    first_offset=batch.first_offset,
                    last_offset=batch.last_offset,
                    delivery_state=batch.state,
                    delivery_count=batch.deliveries,
                )
                for batch in state.batches
            ]
        except ApiError as error:
            result.error_code, result.error_message = error.code, error.message
        return result

    found = await for_each_partition(request.group_id, request.topics, answer)
    return ReadShareGroupStateResponse(
        results=[ReadStateResult(topic_id=topic, partitions=p) for topic, p in found]
    )


def refuse(request: ReadShareGroupStateRequest, error: ApiError) -> ReadShareGroupStateResponse:
    return ReadShareGroupStateResponse(
        results=[
            ReadStateResult(
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
