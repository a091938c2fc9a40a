"""Heartbeat: a member of a classic group lives, and asks whether the group rebalances.

Behaviour
    While the group is being loaded the answer is "all well", so that a restart of the broker makes
    no member join again.
Version notes
    3 static members (KIP-345)
"""

from __future__ import annotations

from pylog.apis.context import RequestContext
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.heartbeat import HeartbeatRequest, HeartbeatResponse


async def handle(request: HeartbeatRequest, context: RequestContext) -> HeartbeatResponse:
    try:
        response: HeartbeatResponse = await context.broker.coordinators.groups.run(
            request.group_id, lambda shard, promise, _: shard.heartbeat(request, promise)
        )
    except ApiError as error:
        loads = error.code == ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
        return HeartbeatResponse(error_code=ErrorCode.NONE if loads else error.code)
    return response
