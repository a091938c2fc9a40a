"""FindCoordinator: which broker coordinates a group, a transactional id, or a share partition.

Behaviour
    The internal topic is made when it is missing, and its shard is loaded before the answer is
    sent: a client that was told may go ahead.
Version notes
    1 types of keys; 4 several keys (KIP-699); 6 share partitions (KIP-932)
"""

from __future__ import annotations

import asyncio

from pylog.apis.context import RequestContext
from pylog.coordinator.share_state import SharePartitionKey
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.find_coordinator import (
    Coordinator,
    FindCoordinatorRequest,
    FindCoordinatorResponse,
)

_SEVERAL_FROM = 4
_SHARE_PARTITION = 2  # key type; such a key reads GROUP:TOPIC_ID:PARTITION


async def handle(
    request: FindCoordinatorRequest, context: RequestContext
) -> FindCoordinatorResponse:
    several = context.version >= _SEVERAL_FROM
    keys = request.coordinator_keys if several else [request.key]
    found = await asyncio.gather(*(_find(key, request.key_type, context) for key in keys))
    if several:
        return FindCoordinatorResponse(coordinators=list(found))
    [one] = found
    return FindCoordinatorResponse(
        error_code=one.error_code,
        error_message=one.error_message,
        node_id=one.node_id,
        host=one.host,
        port=one.port,
    )


def _check_share_key(key: str) -> None:
    try:
        SharePartitionKey.parse(key)
    except ValueError as error:
        raise ApiError(ErrorCode.INVALID_REQUEST, str(error)) from None


async def _find(key: str, key_type: int, context: RequestContext) -> Coordinator:
    try:
        shards = context.broker.coordinators.shards_of(key_type, context.version)
        if key_type == _SHARE_PARTITION:
            _check_share_key(key)
        leader = await shards.prepare(key)
        broker = context.broker.metadata.image.brokers.get(leader)
        address = None
        if broker is not None:
            address = context.broker.address_of(broker, context.listener, context.local_host)
        if address is None:
            raise ApiError(ErrorCode.COORDINATOR_NOT_AVAILABLE)
    except ApiError as error:
        return Coordinator(
            key=key,
            node_id=-1,
            host="",
            port=-1,
            error_code=error.code,
            error_message=error.message or error.code.name,
        )
    host, port = address
    return Coordinator(key=key, node_id=leader, host=host, port=port, error_message=None)
