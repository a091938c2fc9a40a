"""ReadShareGroupState: all that is stored of share partitions (KIP-932)."""

from __future__ import annotations

from pylog.apis.context import RequestContext
from pylog.apis.share_state_requests import Answers, run
from pylog.coordinator.share_state import SharePartitionKey, ShareState, told
from pylog.protocol.errors import ApiError
from pylog.protocol.messages.read_share_group_state import (
    PartitionData,
    PartitionResult,
    ReadShareGroupStateRequest,
    ReadShareGroupStateResponse,
    ReadStateResult,
    StateBatch,
)

_ANSWERS = Answers(ReadShareGroupStateResponse, ReadStateResult, PartitionResult)


async def handle(
    request: ReadShareGroupStateRequest, context: RequestContext
) -> ReadShareGroupStateResponse:
    async def tell(key: SharePartitionKey, asked: PartitionData, answer: PartitionResult) -> None:
        state: ShareState = await run(
            context,
            key,
            lambda shard, of, promise, now: shard.read(of, asked.leader_epoch, promise, now),
        )
        answer.state_epoch, answer.start_offset = state.state_epoch, state.start_offset
        answer.state_batches = told(state.batches, StateBatch)

    return await _ANSWERS.of(request, tell)


def refuse(request: ReadShareGroupStateRequest, error: ApiError) -> ReadShareGroupStateResponse:
    return _ANSWERS.refusing(request, error)
