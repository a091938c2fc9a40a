"""WriteShareGroupState: what has changed in share partitions (KIP-932).

Version notes
    1  tells how many offsets above the start offset are done (KIP-1226)
"""

from __future__ import annotations

from pylog.apis.context import RequestContext
from pylog.apis.share_state_requests import Answers, run
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

_ANSWERS = Answers(WriteShareGroupStateResponse, WriteStateResult, PartitionResult)


async def handle(
    request: WriteShareGroupStateRequest, context: RequestContext
) -> WriteShareGroupStateResponse:
    async def tell(key: SharePartitionKey, asked: PartitionData, answer: PartitionResult) -> None:
        await run(
            context,
            key,
            lambda shard, of, promise, now: shard.write(of, _write_of(asked), promise, now),
        )

    return await _ANSWERS.of(request, tell)


def refuse(request: WriteShareGroupStateRequest, error: ApiError) -> WriteShareGroupStateResponse:
    return _ANSWERS.refusing(request, error)


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
