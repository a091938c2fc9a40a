"""ReadShareGroupStateSummary: how far share partitions are (KIP-932).

Behaviour
    A partition that has no state is told with start offset -1, as one that nobody has read.
Version notes
    1  tells how many offsets above the start offset are done (KIP-1226)
"""

from __future__ import annotations

from pylog.apis.context import RequestContext
from pylog.apis.share_state_requests import for_each_partition
from pylog.coordinator.share_state import UNSET, SharePartitionKey, ShareState, done_count
from pylog.protocol.errors import ApiError
from pylog.protocol.messages.read_share_group_state_summary import (
    PartitionData,
    PartitionResult,
    ReadShareGroupStateSummaryRequest,
    ReadShareGroupStateSummaryResponse,
    ReadStateSummaryResult,
)


async def handle(
    request: ReadShareGroupStateSummaryRequest, context: RequestContext
) -> ReadShareGroupStateSummaryResponse:
    async def answer(key: SharePartitionKey, asked: PartitionData) -> PartitionResult:
        result = PartitionResult(partition=key.partition)
        try:
            await _summarize(context, key, result)
        except ApiError as error:
            result.error_code, result.error_message = error.code, error.message
        return result

    found = await for_each_partition(request.group_id, request.topics, answer)
    return ReadShareGroupStateSummaryResponse(
        results=[ReadStateSummaryResult(topic_id=topic, partitions=p) for topic, p in found]
    )


def refuse(
    request: ReadShareGroupStateSummaryRequest, error: ApiError
) -> ReadShareGroupStateSummaryResponse:
    return ReadShareGroupStateSummaryResponse(
        results=[
            ReadStateSummaryResult(
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


async def _summarize(
    context: RequestContext, key: SharePartitionKey, result: PartitionResult
) -> None:
    host = context.broker.coordinators.share_states.host_of(key.text())
    state: ShareState | None = host.look(lambda shard: shard.states.get(key))
    result.start_offset = UNSET
    if state is not None:
        result.state_epoch, result.leader_epoch = state.state_epoch, state.leader_epoch
        result.start_offset = state.start_offset
        result.delivery_complete_count = done_count(state)
