"""EndTxn: commit or abort.

Behaviour
    The answer comes when every partition has its marker, so a reader of committed records sees
    the transaction as soon as the producer knows; if that takes long, when it is decided. The same
    end asked again gets the same answer.
Version notes
    2 PRODUCER_FENCED; 5 the producer goes on under the epoch in the answer (KIP-890)
"""

from __future__ import annotations

from pylog.apis._transactions import told_to
from pylog.apis.context import RequestContext
from pylog.coordinator.effects import Producer
from pylog.coordinator.txn import Ending
from pylog.coordinator.txn_state import TxnVersion
from pylog.protocol.errors import ApiError
from pylog.protocol.messages.end_txn import EndTxnRequest, EndTxnResponse

_FENCED_SINCE = 2
_SECOND_VERSION_SINCE = 5


async def handle(request: EndTxnRequest, context: RequestContext) -> EndTxnResponse:
    coordinators = context.broker.coordinators
    second = context.version >= _SECOND_VERSION_SINCE
    ending = Ending(
        request.transactional_id,
        Producer(request.producer_id, request.producer_epoch),
        request.committed,
        TxnVersion.V2 if second else TxnVersion.V1,
    )
    try:
        await coordinators.producer_ids.ready()
        producer: Producer = await coordinators.transactions.run(
            request.transactional_id,
            lambda shard, promise, now: shard.end(
                ending, coordinators.producer_ids.take, promise, now
            ),
        )
    except ApiError as error:
        return EndTxnResponse(error_code=told_to(context.version, _FENCED_SINCE, error.code))
    return EndTxnResponse(producer_id=producer.producer_id, producer_epoch=producer.epoch)
