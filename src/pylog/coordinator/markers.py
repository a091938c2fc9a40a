"""Writes the markers that end a transaction, until every partition has its own."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from pylog.coordinator.batches import encode_marker
from pylog.coordinator.effects import Marker, Producer
from pylog.coordinator.shards import Shards, wall_ms
from pylog.coordinator.txn_state import TopicPartition, WriteMarkers
from pylog.engine.values import EngineError
from pylog.protocol.errors import ApiError, ErrorCode

if TYPE_CHECKING:
    from pylog.coordinator.group import GroupShard
    from pylog.coordinator.txn import TransactionShard
    from pylog.server.broker import Broker

_log = logging.getLogger(__name__)

_RETRY_FIRST = 0.02  # seconds
_RETRY_LONGEST = 1.0


class MarkerWriter:
    """Carries out the orders of the transaction coordinator.

    A decided transaction never goes back: a marker that can't be written is tried again as long
    as its partition exists and this broker coordinates the transaction. After a restart the
    coordinator gives the order again; a partition takes a second marker of the same end.
    """

    def __init__(
        self,
        broker: Broker,
        groups: Shards[GroupShard],
        transactions: Shards[TransactionShard],
    ) -> None:
        self._broker = broker
        self._groups = groups
        self._transactions = transactions
        self._tasks: set[asyncio.Task[None]] = set()

    def carry_out(self, order: WriteMarkers) -> None:
        task = asyncio.create_task(self._end(order), name=f"end {order.transactional_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _end(self, order: WriteMarkers) -> None:
        try:
            written = [self._insist(partition, order) for partition in order.partitions]
            await asyncio.gather(*written)
            producer = Producer(order.producer_id, order.epoch)
            await self._transactions.run(
                order.transactional_id,
                lambda shard, promise, now: shard.complete(
                    order.transactional_id, producer, promise, now
                ),
            )
        except ApiError as error:  # another broker coordinates it now, or a reload gives it anew
            _log.info("end of transaction %r left: %s", order.transactional_id, error)

    async def _insist(self, partition: TopicPartition, order: WriteMarkers) -> None:
        delay = _RETRY_FIRST
        while True:
            epoch = self._transactions.leader_epoch_of(order.transactional_id)
            marker = Marker(order.producer_id, order.epoch, epoch, order.commit)
            code = await self.write(partition, marker)
            if code in (ErrorCode.NONE, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION):
                return
            if code in (ErrorCode.INVALID_PRODUCER_EPOCH, ErrorCode.TRANSACTION_COORDINATOR_FENCED):
                raise ApiError(ErrorCode.NOT_COORDINATOR, code.name)
            _log.warning("marker for %s-%d is tried again: %s", *partition, code.name)
            await asyncio.sleep(delay)
            delay = min(delay * 2, _RETRY_LONGEST)

    async def write(self, partition: TopicPartition, marker: Marker) -> ErrorCode:
        """End the transaction on one partition that this broker leads; answers with the code."""
        topic, index = partition
        image = self._broker.metadata.image.topics.get(topic)
        if image is None or not 0 <= index < len(image.partitions):
            return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        if image.partitions[index].leader != self._broker.node_id:
            return ErrorCode.NOT_LEADER_OR_FOLLOWER
        try:
            if topic == self._groups.topic:
                await self._groups.host(index).run(
                    lambda shard, promise, _: shard.end_transaction(marker, promise)
                )
            else:
                await self._append(topic, index, marker)
        except ApiError as error:  # of the group coordinator: not ready
            _log.debug("no marker for %s-%d yet: %s", topic, index, error)
            return ErrorCode.NOT_LEADER_OR_FOLLOWER
        except EngineError as error:
            return ErrorCode(error.code)
        return ErrorCode.NONE

    async def _append(self, topic: str, index: int, marker: Marker) -> None:
        open_partition = self._broker.partitions.get(topic, index)
        if open_partition is None:
            raise EngineError(ErrorCode.NOT_LEADER_OR_FOLLOWER, f"append to {topic}-{index}")
        await open_partition.append(encode_marker(marker, wall_ms()))
