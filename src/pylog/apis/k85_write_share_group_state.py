"""WriteShareGroupState: what has changed in share partitions (KIP-932).

Version notes
    1  tells how many offsets above the start offset are done (KIP-1226)
"""

from __future__ import annotations

from pylog.apis.context import RequestContext
from pylog.apis.share_state_requests import for_each_partition, run
from pylog.coordinator.share_partition import StateBatch
from pylog.coordinator.share_state import SharePartitionKey, StateWrite
from pylog.protocol.errors import ApiError
from pylog.protocol.messages.write_share_group_state import (
    PartitionData,
    PartitionResult,
    WriteShareGroupStateRequest,
    WriteShareGroupStateResponse,
    WriteStateResult,
)


async def handle(
    request: WriteShareGroupStateRequest, context: RequestContext
) -> WriteShareGroupStateResponse:
    async def answer(key: SharePartitionKey, asked: PartitionData) -> PartitionResult:
        result = PartitionResult(partition=key.partition)
        try:
            await run(
                context,
                key,
                lambda shard, of, promise, now: shard.write(of, _write_of(asked), promise, now),
            )
        except ApiError as error:
            result.error_code, result.error_message = error.code, error.message
        return result

    found = await for_each_partition(request.group_id, request.topics, answer)
    return WriteShareGroupStateResponse(
        results=[WriteStateResult(topic_id=topic, partitions=p) for topic, p in found]
    )


def refuse(request: WriteShareGroupStateRequest, error: ApiError) -> WriteShareGroupStateResponse:
    return WriteShareGroupStateResponse(
        results=[
            WriteStateResult(
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


def _write_of(asked: PartitionData) -> StateWrite:
    return StateWrite(
        asked.leader_epoch,
        asked.state_epoch,
        asked.start_offset,
        asked.delivery_complete_count,
        [
            StateBatch(b.first_offset, b.last_offset, b.delivery_state, b.delivery_count)
            for b in asked.state_batches
        ],
    )
