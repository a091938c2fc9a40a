"""ConsumerGroupHeartbeat: join, live, move, leave (KIP-848).

Behaviour
    A member says what has changed, and everything after an error; the answer has its assignment
    when that has changed. Epoch 0 joins, -1 leaves, -2 leaves as a static member for a while.
Version notes
    1 topics by regular expression; the member chooses its own id
"""

from __future__ import annotations

from pylog.apis._groups import client_of
from pylog.apis.context import RequestContext
from pylog.protocol.errors import ApiError
from pylog.protocol.messages.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
)


async def handle(
    request: ConsumerGroupHeartbeatRequest, context: RequestContext
) -> ConsumerGroupHeartbeatResponse:
    client = client_of(context)
    try:
        response: ConsumerGroupHeartbeatResponse = await context.broker.coordinators.groups.run(
            request.group_id,
            lambda shard, promise, now: shard.consumer_heartbeat(request, client, promise, now),
        )
    except ApiError as error:
        return ConsumerGroupHeartbeatResponse(
            error_code=error.code, error_message=error.message or error.code.name
        )
    return response
