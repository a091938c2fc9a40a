"""AlterConfigs: give topics and brokers exactly the settings of the request.

Behaviour
    What is not named goes back to its default; that is why IncrementalAlterConfigs is the better
    choice. Each resource has its own result. A resource that is named twice is refused with
    INVALID_REQUEST.
Version notes
    0 to 2 differ in their encoding only (KIP-133).
"""

from __future__ import annotations

from collections import Counter

from pylog.apis.context import RequestContext
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.alter_configs import (
    AlterConfigsRequest,
    AlterConfigsResourceResponse,
    AlterConfigsResponse,
)


async def handle(request: AlterConfigsRequest, context: RequestContext) -> AlterConfigsResponse:
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
            if len({entry.name for entry in item.configs}) != len(item.configs):
                raise ApiError(ErrorCode.INVALID_REQUEST, "A setting is named more than once.")
            texts = {entry.name: entry.value for entry in item.configs}
            await context.broker.configs.replace(
                *resource, texts, validate_only=request.validate_only
            )
        except ApiError as error:
            response.error_code, response.error_message = error.code, error.message
        responses.append(response)
    return AlterConfigsResponse(responses=responses)
