"""JoinGroup: become a member of a classic group; the answer comes when the rebalance is done.

Behaviour
    A consumer group (KIP-848) takes classic members too, and answers at once. The client's reason
    is logged, shortened.
Version notes
    0 has no rebalance timeout: the session timeout stands for it; 4 a new member is given its id
    first (KIP-394); 5 static members (KIP-345); 8 reasons (KIP-800); 9 a returning static leader
    may skip the assignment (KIP-814)
"""

from __future__ import annotations

import logging

from pylog.apis._groups import client_of
from pylog.apis.context import RequestContext
from pylog.protocol.errors import ApiError
from pylog.protocol.messages.join_group import JoinGroupRequest, JoinGroupResponse

_log = logging.getLogger(__name__)

_NULL_PROTOCOL_FROM = 7
_REASON_MAX_LENGTH = 255


async def handle(request: JoinGroupRequest, context: RequestContext) -> JoinGroupResponse:
    if context.version == 0:
        request.rebalance_timeout_ms = request.session_timeout_ms
    if request.reason:
        _log.info(
            "%r joins group %r: %s",
            request.member_id,
            request.group_id,
            request.reason[:_REASON_MAX_LENGTH],
        )
    client = client_of(context)
    try:
        response: JoinGroupResponse = await context.broker.coordinators.groups.run(
            request.group_id, lambda shard, promise, now: shard.join(request, client, promise, now)
        )
    except ApiError as error:
        response = JoinGroupResponse(error_code=error.code, member_id=request.member_id)
    if response.error_code:
        response.protocol_name = None
    if context.version < _NULL_PROTOCOL_FROM and response.protocol_name is None:
        response.protocol_name = ""
    return response
