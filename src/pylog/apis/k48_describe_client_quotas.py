"""DescribeClientQuotas: the quotas that match a filter (KIP-546).

Behaviour
    A component asks for an entity by name, for the default of its type, or for any of its type.
    A filter without components matches all. With ``strict``, entities with further components
    don't match.
Version notes
    0 and 1 differ in their encoding only.
"""

from __future__ import annotations

import enum

from pylog.apis.context import RequestContext
from pylog.cluster.quotas import Match
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.describe_client_quotas import (
    ComponentData,
    DescribeClientQuotasRequest,
    DescribeClientQuotasResponse,
    EntityData,
    EntryData,
    ValueData,
)


class _MatchType(enum.IntEnum):
    EXACT = 0
    DEFAULT = 1
    SPECIFIED = 2


async def handle(
    request: DescribeClientQuotasRequest, context: RequestContext
) -> DescribeClientQuotasResponse:
    matches = [_match_of(component) for component in request.components]
    found = context.broker.quotas.describe(matches, strict=request.strict)
    return DescribeClientQuotasResponse(
        error_message=None,
        entries=[
            EntryData(
                entity=[EntityData(entity_type=of, entity_name=name) for of, name in entity],
                values=[ValueData(key=key, value=value) for key, value in values.items()],
            )
            for entity, values in found.items()
        ],
    )


def _match_of(component: ComponentData) -> Match:
    kind, name = component.match_type, component.match
    if kind not in _MatchType.__members__.values():
        raise ApiError(ErrorCode.INVALID_REQUEST, f"Unknown match type {kind}.")
    if (kind == _MatchType.EXACT) != (name is not None):
        raise ApiError(
            ErrorCode.INVALID_REQUEST, "An exact match needs a name; no other may have one."
        )
    return Match(component.entity_type, name, kind == _MatchType.SPECIFIED)


def refuse(request: DescribeClientQuotasRequest, error: ApiError) -> DescribeClientQuotasResponse:
    return DescribeClientQuotasResponse(
        error_code=error.code, error_message=error.message, entries=None
    )
