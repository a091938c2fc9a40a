"""Asks the transaction coordinator about transactions that begin on partitions (KIP-890).

A producer of the second version of transactions does not tell the coordinator of its partitions:
the broker that gets its first batch does. Of an older producer, the broker asks whether it has.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from pylog.coordinator.effects import Producer
from pylog.coordinator.txn_state import TopicPartition, TxnVersion
from pylog.engine.values import Unverified
from pylog.protocol.errors import ApiError, ErrorCode

if TYPE_CHECKING:
    from pylog.coordinator.shards import Shards
    from pylog.coordinator.txn import TransactionShard
    from pylog.server.broker import Broker

_log = logging.getLogger(__name__)

_ABORTABLE_SINCE = 11  # Produce versions
_SECOND_VERSION_SINCE = 12

# The coordinator can't answer now. An older producer knows of none of these in a Produce answer;
# this one makes it try again, without looking for another leader.
_NOT_NOW = {
    ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
    ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.NOT_COORDINATOR,
}


class Verifier:
    """``on_verify`` is the engine's callback; every request is answered once."""

    def __init__(self, broker: Broker, transactions: Shards[TransactionShard]) -> None:
        self._broker = broker
        self._transactions = transactions
        self._tasks: set[asyncio.Task[None]] = set()

    def on_verify(self, request: Unverified) -> None:
        task = asyncio.create_task(self._answer(request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _answer(self, request: Unverified) -> None:
        try:
            errors = await self._errors(request)
        except Exception:
            _log.exception("a transaction could not be verified")
            errors = [ErrorCode.UNKNOWN_SERVER_ERROR] * len(request.items)
        self._broker.engine.verified(request, errors)

    async def _errors(self, request: Unverified) -> list[ErrorCode]:
        """One producer's items are asked about together; a request has one producer, usually."""
        by_producer: dict[Producer, set[TopicPartition]] = {}
        for item in request.items:
            partition = self._broker.partitions.by_handle(item.partition)
            if partition is not None:
                producer = Producer(item.producer_id, item.producer_epoch)
                key = (partition.topic, partition.partition)
                by_producer.setdefault(producer, set()).add(key)
        error = ErrorCode.NONE
        for producer, partitions in by_producer.items():
            error = await self._error(request, producer, partitions)
            if error:
                break
        return [error] * len(request.items)

    async def _error(
        self, request: Unverified, producer: Producer, partitions: set[TopicPartition]
    ) -> ErrorCode:
        name = request.transactional_id
        second = request.api_version >= _SECOND_VERSION_SINCE
        try:
            if second:
                await self._transactions.run(
                    name,
                    lambda shard, promise, now: shard.add_partitions(
                        name, producer, partitions, TxnVersion.V2, promise, now
                    ),
                )
                return ErrorCode.NONE
            taking_part = await self._transactions.run(
                name, lambda shard, promise, _: shard.verify(name, producer, partitions, promise)
            )
        except ApiError as error:
            return _told(error.code, second)
        if taking_part == partitions:
            return ErrorCode.NONE
        abortable = request.api_version >= _ABORTABLE_SINCE
        return ErrorCode.TRANSACTION_ABORTABLE if abortable else ErrorCode.INVALID_TXN_STATE


def _told(code: ErrorCode, second: bool) -> ErrorCode:
    """What a producer understands in the answer to a Produce."""
    if code == ErrorCode.PRODUCER_FENCED:
        return ErrorCode.INVALID_PRODUCER_EPOCH
    if code in _NOT_NOW or (code == ErrorCode.CONCURRENT_TRANSACTIONS and not second):
        return ErrorCode.NOT_ENOUGH_REPLICAS
    return code
