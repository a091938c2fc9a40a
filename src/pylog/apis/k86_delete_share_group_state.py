"""DeleteShareGroupState: forget share partitions (KIP-932)."""

from __future__ import annotations

from pylog.apis.context import RequestContext
from pylog.apis.share_state_requests import Answers, run
from pylog.coordinator.share_state import SharePartitionKey
from pylog.protocol.errors import ApiError
from pylog.protocol.messages.delete_share_group_state import (
    DeleteShareGroupStateRequest,
    DeleteShareGroupStateResponse,
    DeleteStateResult,
    PartitionData,
    PartitionResult,
)

_ANSWERS = Answers(DeleteShareGroupStateResponse, DeleteStateResult, PartitionResult)


async def handle(
    request: DeleteShareGroupStateRequest, context: RequestContext
) -> DeleteShareGroupStateResponse:
    async def tell(key: SharePartitionKey, asked: PartitionData, answer: PartitionResult) -> None:
        await run(context, key, lambda shard, of, promise, _: shard.delete(of, promise))

    return await _ANSWERS.of(request, tell)


def refuse(request: DeleteShareGroupStateRequest, error: ApiError) -> DeleteShareGroupStateResponse:
    return _ANSWERS.refusing(request, error)
