"""DescribeCluster: the cluster's id, controller and brokers.

Behaviour
    Brokers are given at the address of the listener that the request came in by (KIP-700).
    Controllers have no endpoints of their own: their description is refused with
    MISMATCHED_ENDPOINT_TYPE, any other kind with UNSUPPORTED_ENDPOINT_TYPE (KIP-919).
Version notes
    1  endpoint_type; 2 fenced brokers may be asked for (KIP-1073): brokers that are registered
       are never fenced here
"""

from __future__ import annotations

from typing import Final

from pylog.apis.context import RequestContext
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.describe_cluster import (
    DescribeClusterBroker,
    DescribeClusterRequest,
    DescribeClusterResponse,
)
from pylog.security.operations import CLUSTER_OPERATIONS

_BROKERS: Final = 1
_CONTROLLERS: Final = 2


async def handle(
    request: DescribeClusterRequest, context: RequestContext
) -> DescribeClusterResponse:
    broker = context.broker
    if request.endpoint_type == _CONTROLLERS:
        raise ApiError(ErrorCode.MISMATCHED_ENDPOINT_TYPE, "This is the endpoint of a broker.")
    if request.endpoint_type != _BROKERS:
        raise ApiError(ErrorCode.UNSUPPORTED_ENDPOINT_TYPE, "Unknown endpoint type.")
    response = DescribeClusterResponse(cluster_id=broker.cluster_id, controller_id=broker.node_id)
    for item in broker.metadata.image.brokers.values():
        address = broker.address_of(item, context.listener, context.local_host)
        if address is not None:
            host, port = address
            response.brokers.append(
                DescribeClusterBroker(
                    broker_id=item.broker_id, host=host, port=port, rack=item.rack
                )
            )
    if request.include_cluster_authorized_operations:
        response.cluster_authorized_operations = CLUSTER_OPERATIONS
    return response
