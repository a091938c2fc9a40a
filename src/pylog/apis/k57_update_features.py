"""UpdateFeatures: set the levels of the cluster's features (KIP-584).

Behaviour
    All updates are made in one commit, or none: the answer's error is that of the first that is
    not in order. Level 0 turns a feature off. INVALID_REQUEST for a feature given twice,
    INVALID_UPDATE_VERSION for an unknown kind of update, and for a level that is not supported or
    is below the present one without being called a downgrade. metadata.version and kraft.version
    never go down.
Version notes
    1  kinds of downgrade and validate_only (KIP-778); before it one flag allows a downgrade
    2  no results for single features (KIP-1022)
"""

from __future__ import annotations

from typing import Final

from pylog.apis.context import RequestContext
from pylog.cluster.features import FeatureUpdate, update_features
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.update_features import (
    FeatureUpdateKey,
    UpdatableFeatureResult,
    UpdateFeaturesRequest,
    UpdateFeaturesResponse,
)

_UPGRADE: Final = 1
_DOWNGRADES: Final = (2, 3)  # safe and unsafe: there is nothing that one could lose


async def handle(request: UpdateFeaturesRequest, context: RequestContext) -> UpdateFeaturesResponse:
    updates = [_update(item, context.version) for item in request.feature_updates]
    broker = context.broker
    await update_features(
        broker.metadata, broker.config, updates, validate_only=request.validate_only
    )
    response = UpdateFeaturesResponse(error_message=None)
    if context.version < 2:
        response.results = [
            UpdatableFeatureResult(feature=update.name, error_message=None) for update in updates
        ]
    return response


def _update(item: FeatureUpdateKey, version: int) -> FeatureUpdate:
    kind = item.upgrade_type
    downgrade = item.allow_downgrade if version == 0 else kind in _DOWNGRADES
    if version > 0 and not downgrade and kind != _UPGRADE:
        raise ApiError(ErrorCode.INVALID_UPDATE_VERSION, f"Unknown kind of update: {kind}.")
    return FeatureUpdate(item.feature, item.max_version_level, downgrade)
