"""IncrementalAlterConfigs: set, delete, append to and subtract from single settings (KIP-339).

Behaviour
    Each resource has its own result, and all its changes are made or none. APPEND and SUBTRACT
    start from the value in force and want a list. A broker's settings are altered by its number,
    or with an empty name for all brokers; those that can't change while a broker runs are refused
    with INVALID_REQUEST. A resource that is named twice is refused with INVALID_REQUEST.
    Levels of a broker's loggers are set and deleted at once, and not kept (KIP-412).
Version notes
    0 and 1 differ in their encoding only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pylog.apis.context import RequestContext
from pylog.cluster.configs import ConfigChange, ResourceType, check_node_name
from pylog.cluster.loggers import alter_levels
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.incremental_alter_configs import (
    AlterConfigsResourceResponse,
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
)


async def handle(
    request: IncrementalAlterConfigsRequest, context: RequestContext
) -> IncrementalAlterConfigsResponse:
    counts = Counter((item.resource_type, item.resource_name) for item in request.resources)
    responses = []
    for item in request.resources:
        resource = item.resource_type, item.resource_name
        response = AlterConfigsResourceResponse(
            error_message=None, resource_type=resource[0], resource_name=resource[1]
        )
        try:
            if counts[resource] > 1:
                raise ApiError(ErrorCode.INVALID_REQUEST, "The resource is named more than once.")
            changes = [
                ConfigChange(entry.name, entry.config_operation, entry.value)
                for entry in item.configs
            ]
            await _change(context, *resource, changes, request.validate_only)
        except ApiError as error:
            response.error_code, response.error_message = error.code, error.message
        responses.append(response)
    return IncrementalAlterConfigsResponse(responses=responses)


async def _change(
    context: RequestContext,
    kind: int,
    name: str,
    changes: Sequence[ConfigChange],
    validate_only: bool,
) -> None:
    if kind == ResourceType.BROKER_LOGGER:
        check_node_name(name, context.broker.node_id)
        alter_levels(changes, validate_only=validate_only)
    else:
        await context.broker.configs.change(kind, name, changes, validate_only=validate_only)
