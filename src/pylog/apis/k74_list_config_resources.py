"""ListConfigResources: the names of what has settings.

Behaviour
    Topics and brokers are listed whether or not anything is set for them; groups and
    subscriptions to client metrics when something is. No types at all stands for every type.
    A type without settings is refused with UNSUPPORTED_VERSION.
Version notes
    0  subscriptions to client metrics only (KIP-714)
    1  types can be asked for (KIP-1142)
"""

from __future__ import annotations

import enum
from collections.abc import Iterable

from pylog.apis.context import RequestContext
from pylog.cluster.image import Image
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.list_config_resources import (
    ConfigResource,
    ListConfigResourcesRequest,
    ListConfigResourcesResponse,
)


class _Type(enum.IntEnum):
    TOPIC = 2
    BROKER = 4
    BROKER_LOGGER = 8
    CLIENT_METRICS = 16
    GROUP = 32


async def handle(
    request: ListConfigResourcesRequest, context: RequestContext
) -> ListConfigResourcesResponse:
    wanted: Iterable[int] = request.resource_types or list(_Type)
    if context.version == 0:
        wanted = [_Type.CLIENT_METRICS]
    image = context.broker.metadata.image
    return ListConfigResourcesResponse(
        config_resources=[
            ConfigResource(resource_name=name, resource_type=kind)
            for kind in sorted(set(wanted))
            for name in _names(image, kind)
        ]
    )


def _names(image: Image, kind: int) -> list[str]:
    if kind == _Type.TOPIC:
        return sorted(image.topics)
    if kind in (_Type.BROKER, _Type.BROKER_LOGGER):
        return [str(number) for number in sorted(image.brokers)]
    if kind not in (_Type.CLIENT_METRICS, _Type.GROUP):
        raise ApiError(ErrorCode.UNSUPPORTED_VERSION)
    scope = "client-metrics" if kind == _Type.CLIENT_METRICS else "group"
    return sorted(name for of, name in image.configs if of == scope)
