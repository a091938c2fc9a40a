"""InitProducerId: an id and epoch for an idempotent or transactional producer.

Behaviour
    With a transactional id the producer gets the next epoch, which fences its predecessors; what
    they left open is aborted first, and the client asks again meanwhile.
Version notes
    3 a producer that had an error names its id and epoch, to go on under the next (KIP-360); 4
    PRODUCER_FENCED
Not done
    6, two-phase commit (KIP-939): Kafka serves it only with unstable.api.versions.enable.
"""

from __future__ import annotations

from pylog.apis._transactions import told_to
from pylog.apis.context import RequestContext
from pylog.coordinator.effects import Producer
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.init_producer_id import (
    InitProducerIdRequest,
    InitProducerIdResponse,
)

_FENCED_SINCE = 4


async def handle(request: InitProducerIdRequest, context: RequestContext) -> InitProducerIdResponse:
    try:
        producer = await _init(request, context)
    except ApiError as error:
        code = told_to(context.version, _FENCED_SINCE, error.code)
        return InitProducerIdResponse(error_code=code, producer_id=-1, producer_epoch=-1)
    return InitProducerIdResponse(producer_id=producer.producer_id, producer_epoch=producer.epoch)


async def _init(request: InitProducerIdRequest, context: RequestContext) -> Producer:
    coordinators = context.broker.coordinators
    if (request.producer_id == -1) != (request.producer_epoch == -1):
        raise ApiError(ErrorCode.INVALID_REQUEST)
    transactional_id = request.transactional_id
    if transactional_id == "":
        raise ApiError(ErrorCode.INVALID_REQUEST)
    if transactional_id is None:
        return Producer(await coordinators.producer_ids.take_one(), 0)
    expected = None
    if request.producer_id != -1:
        expected = Producer(request.producer_id, request.producer_epoch)
    await coordinators.producer_ids.ready()
    producer: Producer = await coordinators.transactions.run(
        transactional_id,
        lambda shard, promise, now: shard.init(
            transactional_id,
            request.transaction_timeout_ms,
            expected,
            coordinators.producer_ids.take,
            promise,
            now,
        ),
    )
    return producer
