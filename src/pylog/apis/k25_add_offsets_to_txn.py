"""AddOffsetsToTxn: a group's offsets take part in a transaction.

Behaviour
    Adds the partition of ``__consumer_offsets`` that the group belongs to.
Version notes
    2 PRODUCER_FENCED. A producer of KIP-890 does not send it: TxnOffsetCommit adds the partition.
"""

from __future__ import annotations

from pylog.apis._transactions import told_to
from pylog.apis.context import RequestContext
from pylog.coordinator.effects import Producer
from pylog.coordinator.txn_state import TxnVersion
from pylog.protocol.errors import ApiError
from pylog.protocol.messages.add_offsets_to_txn import (
    AddOffsetsToTxnRequest,
    AddOffsetsToTxnResponse,
)

_FENCED_SINCE = 2


async def handle(
    request: AddOffsetsToTxnRequest, context: RequestContext
) -> AddOffsetsToTxnResponse:
    try:
        await _add(request, context)
    except ApiError as error:
        return AddOffsetsToTxnResponse(
            error_code=told_to(context.version, _FENCED_SINCE, error.code)
        )
    return AddOffsetsToTxnResponse()


async def _add(request: AddOffsetsToTxnRequest, context: RequestContext) -> None:
    coordinators = context.broker.coordinators
    await coordinators.groups.prepare(request.group_id)
    partition = (coordinators.groups.topic, coordinators.groups.index_of(request.group_id))
    producer = Producer(request.producer_id, request.producer_epoch)
    await coordinators.transactions.run(
        request.transactional_id,
        lambda shard, promise, now: shard.add_partitions(
            request.transactional_id, producer, [partition], TxnVersion.V1, promise, now
        ),
    )
