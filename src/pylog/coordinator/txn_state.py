"""State of one transactional id, as ``__transaction_state`` keeps it.

    Empty           known, no transaction since the producer was initialised
        a partition is added                  -> Ongoing
    Ongoing         partitions take part; the timeout runs from its start
        more partitions                       -> Ongoing
        EndTxn                                -> PrepareCommit, PrepareAbort
        timeout, or another producer begins   -> PrepareAbort under a higher epoch: fenced
    PrepareCommit   decided: markers are being written, also after a restart
        all markers written                   -> CompleteCommit
    PrepareAbort    likewise
        all markers written                   -> CompleteAbort
    CompleteCommit, CompleteAbort
        a partition is added                  -> Ongoing
        InitProducerId                        -> Empty
        idle for transactional.id.expiration.ms -> forgotten (tombstone)

Kafka's state PrepareEpochFence is never stored, by Kafka neither: fencing and the decision to
abort are one record here. With version 2 of transactions (KIP-890) every end raises the epoch, so
that what a producer sent late can't fall into its next transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum

from pylog.protocol.records.transaction_log import (
    PartitionsSchema,
    TransactionLogKey,
    TransactionLogValue,
)

NO_PRODUCER_ID = -1
NO_EPOCH = -1
LAST_EPOCH = 2**15 - 1
NO_TIME = -1
LOG_VALUE_VERSION = 1

TopicPartition = tuple[str, int]


class TxnVersion(IntEnum):
    """``transaction.version``: 1 is what clients before KIP-890 speak."""

    V0 = 0
    V1 = 1
    V2 = 2


class TxnState(IntEnum):
    """Numbers are those of the log; ``shown`` is what DescribeTransactions calls it."""

    EMPTY = 0
    ONGOING = 1
    PREPARE_COMMIT = 2
    PREPARE_ABORT = 3
    COMPLETE_COMMIT = 4
    COMPLETE_ABORT = 5
    DEAD = 6
    PREPARE_EPOCH_FENCE = 7

    @property
    def shown(self) -> str:
        return "".join(word.capitalize() for word in self.name.split("_"))


PREPARED = (TxnState.PREPARE_COMMIT, TxnState.PREPARE_ABORT)
COMPLETE = (TxnState.COMPLETE_COMMIT, TxnState.COMPLETE_ABORT)


@dataclass(frozen=True, slots=True)
class WriteMarkers:
    """An order: end the transaction on every partition, then tell the shard by ``complete``."""

    transactional_id: str
    producer_id: int
    epoch: int
    commit: bool
    partitions: frozenset[TopicPartition]


@dataclass(slots=True)
class Transaction:
    """``last_epoch`` is not stored: the epoch before the last raise (KIP-360)."""

    transactional_id: str
    producer_id: int
    epoch: int
    timeout_ms: int
    previous_producer_id: int = NO_PRODUCER_ID
    next_producer_id: int = NO_PRODUCER_ID
    last_epoch: int = NO_EPOCH
    state: TxnState = TxnState.EMPTY
    partitions: set[TopicPartition] = field(default_factory=set)
    start_ms: int = NO_TIME
    update_ms: int = NO_TIME
    client_version: TxnVersion = TxnVersion.V0

    @property
    def epoch_exhausted(self) -> bool:
        """The next raise would be the last: the producer needs another id."""
        return self.epoch >= LAST_EPOCH - 1

    def key(self) -> TransactionLogKey:
        return TransactionLogKey(transactional_id=self.transactional_id)

    def stored(self) -> TransactionLogValue:
        return TransactionLogValue(
            producer_id=self.producer_id,
            previous_producer_id=self.previous_producer_id,
            next_producer_id=self.next_producer_id,
            producer_epoch=self.epoch,
            transaction_timeout_ms=self.timeout_ms,
            transaction_status=self.state,
            transaction_partitions=None
            if self.state == TxnState.EMPTY
            else [
                PartitionsSchema(topic=topic, partition_ids=indexes)
                for topic, indexes in by_topic(self.partitions).items()
            ],
            transaction_last_update_timestamp_ms=self.update_ms,
            transaction_start_timestamp_ms=self.start_ms,
            client_transaction_version=self.client_version,
        )

    def markers(self) -> WriteMarkers:
        """What ends a prepared transaction."""
        commit = self.state == TxnState.PREPARE_COMMIT
        return WriteMarkers(
            self.transactional_id, self.producer_id, self.epoch, commit, frozenset(self.partitions)
        )


def restored(key: TransactionLogKey, value: TransactionLogValue) -> Transaction:
    return Transaction(
        transactional_id=key.transactional_id,
        producer_id=value.producer_id,
        epoch=value.producer_epoch,
        timeout_ms=value.transaction_timeout_ms,
        previous_producer_id=value.previous_producer_id,
        next_producer_id=value.next_producer_id,
        state=TxnState(value.transaction_status),
        partitions={
            (topic.topic, index)
            for topic in value.transaction_partitions or ()
            for index in topic.partition_ids
        },
        start_ms=value.transaction_start_timestamp_ms,
        update_ms=value.transaction_last_update_timestamp_ms,
        client_version=TxnVersion(value.client_transaction_version),
    )


def by_topic(partitions: Iterable[TopicPartition]) -> dict[str, list[int]]:
    topics: dict[str, list[int]] = {}
    for topic, index in sorted(partitions):
        topics.setdefault(topic, []).append(index)
    return topics
