"""ShareGroupHeartbeat: join a share group, stay in it, hear of an assignment, leave (KIP-932).

Behaviour
    Epoch 0 joins, -1 leaves. Where a partition is read for the first time its share state is
    initialized before the answer, so that the first heartbeat brings an assignment.
Version notes
    1  the first that is served; member ids are made by the clients
"""

from __future__ import annotations

from pylog.apis._groups import client_of
from pylog.apis.context import RequestContext
from pylog.coordinator.group_share import JOIN_EPOCH, LEAVE_EPOCH
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.share_group_heartbeat import (
    ShareGroupHeartbeatRequest,
    ShareGroupHeartbeatResponse,
)

_MEMBER_ID_LENGTH = 36  # of a UUID


async def handle(
    request: ShareGroupHeartbeatRequest, context: RequestContext
) -> ShareGroupHeartbeatResponse:
    _check(request)
    service = context.broker.coordinators.share_groups
    beat = await service.heartbeat(request, client_of(context))
    return beat.response


def _check(request: ShareGroupHeartbeatRequest) -> None:
    def refuse(reason: str) -> ApiError:
        return ApiError(ErrorCode.INVALID_REQUEST, reason)

    if not request.group_id.strip():
        raise refuse("GroupId can't be empty.")
    if not request.member_id.strip():
        raise refuse("MemberId can't be empty.")
    if len(request.member_id) > _MEMBER_ID_LENGTH:
        raise refuse(f"MemberId is longer than {_MEMBER_ID_LENGTH} letters.")
    if request.rack_id is not None and not request.rack_id.strip():
        raise refuse("RackId can't be empty.")
    if request.member_epoch == JOIN_EPOCH and not request.subscribed_topic_names:
        raise refuse("SubscribedTopicNames must be set in first request.")
    if request.member_epoch < LEAVE_EPOCH:
        raise refuse("MemberEpoch is invalid.")
