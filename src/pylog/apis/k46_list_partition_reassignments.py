"""ListPartitionReassignments: the moves that are under way (KIP-455).

Behaviour
    One broker moves nothing: the list is empty.
"""

from __future__ import annotations

from pylog.apis.context import RequestContext
from pylog.protocol.messages.list_partition_reassignments import (
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse,
)


async def handle(
    request: ListPartitionReassignmentsRequest, context: RequestContext
) -> ListPartitionReassignmentsResponse:
    return ListPartitionReassignmentsResponse(error_message=None)
