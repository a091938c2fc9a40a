"""AlterClientQuotas: set and remove quotas of users, client ids, pairs of them, and addresses.

Behaviour
    All entries that are in order are altered in one commit; the others get their own error, an
    entity that is named twice one for both. The answer comes when the quotas are in force.
    A connection of an address above its connection_creation_rate is let wait, at most a second,
    and closed (KIP-612).
Version notes
    0 and 1 differ in their encoding only.
Not done
    The windows of rates are Kafka's defaults, eleven of a second.
"""

from __future__ import annotations

from pylog.apis.context import RequestContext
from pylog.cluster.quotas import Alteration
from pylog.protocol.errors import ApiError
from pylog.protocol.messages.alter_client_quotas import (
    AlterClientQuotasRequest,
    AlterClientQuotasResponse,
    RequestEntryData,
    ResponseEntityData,
    ResponseEntryData,
)


async def handle(
    request: AlterClientQuotasRequest, context: RequestContext
) -> AlterClientQuotasResponse:
    results = await context.broker.quotas.alter(
        [_alteration(entry) for entry in request.entries], validate_only=request.validate_only
    )
    pairs = zip(request.entries, results, strict=True)
    answers = {
        frozenset((part.entity_type, part.entity_name) for part in entry.entity): (entry, error)
        for entry, error in pairs
    }
    return AlterClientQuotasResponse(entries=[_result(*answer) for answer in answers.values()])


def _alteration(entry: RequestEntryData) -> Alteration:
    return Alteration(
        [(part.entity_type, part.entity_name) for part in entry.entity],
        [(op.key, None if op.remove else op.value) for op in entry.ops],
    )


def _result(entry: RequestEntryData, error: ApiError | None) -> ResponseEntryData:
    return ResponseEntryData(
        error_code=0 if error is None else error.code,
        error_message=None if error is None else error.message,
        entity=[
            ResponseEntityData(entity_type=part.entity_type, entity_name=part.entity_name)
            for part in entry.entity
        ],
    )


def refuse(request: AlterClientQuotasRequest, error: ApiError) -> AlterClientQuotasResponse:
    return AlterClientQuotasResponse(entries=[_result(entry, error) for entry in request.entries])
