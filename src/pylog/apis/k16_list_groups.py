"""ListGroups: the groups that this broker coordinates.

Version notes
    4 by state (KIP-518); 5 by type (KIP-848); names are compared without regard to case
"""

from __future__ import annotations

from pylog.apis.context import RequestContext
from pylog.protocol.errors import ApiError
from pylog.protocol.messages.list_groups import (
    ListedGroup,
    ListGroupsRequest,
    ListGroupsResponse,
)


async def handle(request: ListGroupsRequest, context: RequestContext) -> ListGroupsResponse:
    states = {state.strip().lower() for state in request.states_filter}
    types = {kind.strip().lower() for kind in request.types_filter}
    groups: list[ListedGroup] = []
    for host in context.broker.coordinators.groups.hosts():
        try:
            groups += host.look(lambda shard: shard.list_groups(states, types))
        except ApiError as error:
            return ListGroupsResponse(error_code=error.code)
    return ListGroupsResponse(groups=groups)
