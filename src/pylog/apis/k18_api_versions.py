"""ApiVersions: which keys and versions are served, and the features of the cluster.

Behaviour
    Every key that has a handler is listed with the versions of the pinned protocol. A request in
    a version that is not served is answered with version 0 and UNSUPPORTED_VERSION by the
    dispatcher, so that a newer client can try again (KIP-511).
Version notes
    3  the client tells its name and version (KIP-511), features are listed (KIP-584)
    4  features whose lowest level is 0 are listed too (KIP-1022)
    5  a client that reached another cluster or node than it meant gets REBOOTSTRAP_REQUIRED
       (KIP-1242)
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pylog.apis.context import RequestContext
from pylog.cluster.features import FEATURES
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.api_versions import (
    ApiVersion,
    ApiVersionsRequest,
    ApiVersionsResponse,
    FinalizedFeatureKey,
    SupportedFeatureKey,
)

if TYPE_CHECKING:
    from pylog.server.broker import Broker

_SOFTWARE: Final = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?")


async def handle(request: ApiVersionsRequest, context: RequestContext) -> ApiVersionsResponse:
    if context.version >= 3:
        names = (request.client_software_name, request.client_software_version)
        if not all(_SOFTWARE.fullmatch(name) for name in names):
            raise ApiError(ErrorCode.INVALID_REQUEST)
        context.session.software_name, context.session.software_version = names
    if request.cluster_id is not None and request.node_id >= 0:
        _check_destination(request, context.broker)
    return describe_versions(context.broker, ErrorCode.NONE, context.version)


def _check_destination(request: ApiVersionsRequest, broker: Broker) -> None:
    if (request.cluster_id, request.node_id) != (broker.cluster_id, broker.node_id):
        raise ApiError(ErrorCode.REBOOTSTRAP_REQUIRED)


def describe_versions(broker: Broker, code: ErrorCode, version: int = 0) -> ApiVersionsResponse:
    """The answer; ``code`` goes with it as it is."""
    image = broker.metadata.image
    return ApiVersionsResponse(
        error_code=code,
        api_keys=[
            ApiVersion(api_key=api.key, min_version=api.min_version, max_version=api.max_version)
            for api in broker.handlers.served
        ],
        supported_features=[
            SupportedFeatureKey(
                name=feature.name, min_version=feature.minimum, max_version=feature.maximum
            )
            for feature in FEATURES.values()
            if feature.minimum > 0 or version >= 4
        ],
        finalized_features_epoch=image.revision,
        finalized_features=[
            FinalizedFeatureKey(name=name, max_version_level=level, min_version_level=level)
            for name, level in image.features.items()
        ],
    )
