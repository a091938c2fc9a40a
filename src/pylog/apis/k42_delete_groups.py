"""DeleteGroups: remove groups without members, and their offsets or share state.

Version notes
    3 says what went wrong
"""

from __future__ import annotations

import asyncio

from pylog.apis.context import RequestContext
from pylog.protocol.errors import ApiError
from pylog.protocol.messages.delete_groups import (
    DeletableGroupResult,
    DeleteGroupsRequest,
    DeleteGroupsResponse,
)


async def handle(request: DeleteGroupsRequest, context: RequestContext) -> DeleteGroupsResponse:
    names = dict.fromkeys(request.groups_names)
    results = await asyncio.gather(*(_delete(name, context) for name in names))
    return DeleteGroupsResponse(results=list(results))


async def _delete(group_id: str, context: RequestContext) -> DeletableGroupResult:
    try:
        await context.broker.coordinators.share_groups.forget_states(group_id)
        [result] = await context.broker.coordinators.groups.run(
            group_id, lambda shard, promise, _: shard.delete_groups([group_id], promise)
        )
    except ApiError as error:
        return DeletableGroupResult(
            group_id=group_id, error_code=error.code, error_message=error.message
        )
    assert isinstance(result, DeletableGroupResult)
    return result
