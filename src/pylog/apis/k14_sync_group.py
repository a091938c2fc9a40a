"""SyncGroup: the leader gives the assignments of a generation, every member gets its own.

Behaviour
    The others wait until what the leader has given is stored.
Version notes
    3 static members (KIP-345); 5 protocol type and name are told and checked (KIP-559)
"""

from __future__ import annotations

from pylog.apis.context import RequestContext
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.sync_group import SyncGroupRequest, SyncGroupResponse

_PROTOCOL_REQUIRED_FROM = 5


async def handle(request: SyncGroupRequest, context: RequestContext) -> SyncGroupResponse:
    unnamed = request.protocol_type is None or request.protocol_name is None
    if context.version >= _PROTOCOL_REQUIRED_FROM and unnamed:
        return SyncGroupResponse(error_code=ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    try:
        response: SyncGroupResponse = await context.broker.coordinators.groups.run(
            request.group_id, lambda shard, promise, now: shard.sync(request, promise, now)
        )
    except ApiError as error:
        return SyncGroupResponse(error_code=error.code)
    return response
