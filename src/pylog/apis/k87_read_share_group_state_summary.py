"""ReadShareGroupStateSummary: how far share partitions are (KIP-932).

Behaviour
    A partition that has no state is told with start offset -1, as one that nobody has read.
Version notes
    1  tells how many offsets above the start offset are done (KIP-1226)
"""

from __future__ import annotations

from pylog.apis.context import RequestContext
from pylog.apis.share_state_requests import Answers
from pylog.coordinator.share_state import UNSET, SharePartitionKey, ShareState, done_count
from pylog.protocol.errors import ApiError
from pylog.protocol.messages.read_share_group_state_summary import (
    PartitionData,
    PartitionResult,
    ReadShareGroupStateSummaryRequest,
    ReadShareGroupStateSummaryResponse,
    ReadStateSummaryResult,
)

_ANSWERS = Answers(ReadShareGroupStateSummaryResponse, ReadStateSummaryResult, PartitionResult)


async def handle(
    request: ReadShareGroupStateSummaryRequest, context: RequestContext
) -> ReadShareGroupStateSummaryResponse:
    async def tell(key: SharePartitionKey, asked: PartitionData, answer: PartitionResult) -> None:
        host = context.broker.coordinators.share_states.host_of(key.text())
        state: ShareState | None = host.look(lambda shard: shard.states.get(key))
        answer.start_offset = UNSET
        if state is not None:
            answer.state_epoch, answer.leader_epoch = state.state_epoch, state.leader_epoch
            answer.start_offset = state.start_offset
            answer.delivery_complete_count = done_count(state)

    return await _ANSWERS.of(request, tell)


def refuse(
    request: ReadShareGroupStateSummaryRequest, error: ApiError
) -> ReadShareGroupStateSummaryResponse:
    return _ANSWERS.refusing(request, error)
