"""LeaveGroup: members go, or an admin removes static members by their instance ids.

Behaviour
    A group that does not exist is no error of the request, but of each member in it.
Version notes
    Up to 2 one member by its id; 3 several, each with its own answer (KIP-345); 5 reasons
"""

from __future__ import annotations

from pylog.apis.context import RequestContext
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.leave_group import (
    LeaveGroupRequest,
    LeaveGroupResponse,
    MemberIdentity,
    MemberResponse,
)

_SEVERAL_FROM = 3


async def handle(request: LeaveGroupRequest, context: RequestContext) -> LeaveGroupResponse:
    if context.version < _SEVERAL_FROM:
        request.members = [MemberIdentity(member_id=request.member_id)]
    try:
        response: LeaveGroupResponse = await context.broker.coordinators.groups.run(
            request.group_id, lambda shard, promise, now: shard.leave(request, promise, now)
        )
    except ApiError as error:
        response = _refusal(request, error.code)
    if context.version < _SEVERAL_FROM:
        [member] = response.members or [MemberResponse()]
        return LeaveGroupResponse(error_code=response.error_code or member.error_code)
    return response


def _refusal(request: LeaveGroupRequest, code: ErrorCode) -> LeaveGroupResponse:
    """A group that is unknown is no error of the request, but of each member."""
    if code != ErrorCode.UNKNOWN_MEMBER_ID:
        return LeaveGroupResponse(error_code=code)
    members = [
        MemberResponse(
            member_id=m.member_id, group_instance_id=m.group_instance_id, error_code=code
        )
        for m in request.members
    ]
    return LeaveGroupResponse(members=members)
