"""DescribeGroups: state and members of classic groups.

Behaviour
    Metadata is shown while the group is stable; assignments as they were given last.
Version notes
    Up to 5 an unknown group is shown as Dead; 6 it is GROUP_ID_NOT_FOUND (KIP-1043)
"""

from __future__ import annotations

from pylog.apis.context import RequestContext
from pylog.coordinator.classic_state import ClassicState
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.describe_groups import (
    DescribedGroup,
    DescribeGroupsRequest,
    DescribeGroupsResponse,
)
from pylog.security.operations import GROUP_OPERATIONS

_NOT_FOUND_FROM = 6


async def handle(request: DescribeGroupsRequest, context: RequestContext) -> DescribeGroupsResponse:
    groups = [_describe(name, context) for name in request.groups]
    for group in groups:
        if request.include_authorized_operations and group.error_code == ErrorCode.NONE:
            group.authorized_operations = GROUP_OPERATIONS
    return DescribeGroupsResponse(groups=groups)


def _describe(group_id: str, context: RequestContext) -> DescribedGroup:
    groups = context.broker.coordinators.groups
    try:
        described: DescribedGroup | None = groups.host_of(group_id).look(
            lambda shard: shard.describe(group_id)
        )
    except ApiError as error:
        return DescribedGroup(group_id=group_id, error_code=error.code)
    if described is not None:
        return described
    unknown = DescribedGroup(group_id=group_id, group_state=ClassicState.DEAD.value)
    if context.version >= _NOT_FOUND_FROM:
        unknown.error_code = ErrorCode.GROUP_ID_NOT_FOUND
        unknown.error_message = f"Group {group_id} not found."
    return unknown
