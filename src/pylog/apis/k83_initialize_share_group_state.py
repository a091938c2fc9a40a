"""InitializeShareGroupState: a share partition begins anew (KIP-932)."""

from __future__ import annotations

from pylog.apis.context import RequestContext
from pylog.apis.share_state_requests import Answers, run
from pylog.coordinator.share_state import SharePartitionKey
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.initialize_share_group_state import (
    InitializeShareGroupStateRequest,
    InitializeShareGroupStateResponse,
    InitializeStateResult,
    PartitionData,
    PartitionResult,
)

_ANSWERS = Answers(InitializeShareGroupStateResponse, InitializeStateResult, PartitionResult)


async def handle(
    request: InitializeShareGroupStateRequest, context: RequestContext
) -> InitializeShareGroupStateResponse:
    async def tell(key: SharePartitionKey, asked: PartitionData, answer: PartitionResult) -> None:
        if context.broker.metadata.image.topic_by_id(key.topic_id) is None:
            raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        await run(
            context,
            key,
            lambda shard, of, promise, now: shard.initialize(
                of, asked.state_epoch, asked.start_offset, promise, now
            ),
        )

    return await _ANSWERS.of(request, tell)


def refuse(
    request: InitializeShareGroupStateRequest, error: ApiError
) -> InitializeShareGroupStateResponse:
    return _ANSWERS.refusing(request, error)
