"""AddPartitionsToTxn: partitions take part in a transaction, which begins with the first.

Behaviour
    All partitions or none: when one does not exist the others are not attempted.
Version notes
    0 to 3 come from producers, for one transaction; from 4 on from brokers, for several, which may
    only ask whether the partitions take part (KIP-890); 2 PRODUCER_FENCED; 5 the producer leaves
    it to the brokers to add its partitions
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from pylog.apis._groups import partition_exists
from pylog.apis._transactions import told_to
from pylog.apis.context import RequestContext
from pylog.coordinator.effects import Producer
from pylog.coordinator.txn_state import TopicPartition, TxnVersion
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.add_partitions_to_txn import (
    AddPartitionsToTxnPartitionResult,
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse,
    AddPartitionsToTxnResult,
    AddPartitionsToTxnTopic,
    AddPartitionsToTxnTopicResult,
    AddPartitionsToTxnTransaction,
)

_FENCED_SINCE = 2
_SEVERAL_SINCE = 4
_SECOND_VERSION_SINCE = 5


async def handle(
    request: AddPartitionsToTxnRequest, context: RequestContext
) -> AddPartitionsToTxnResponse:
    if context.version >= _SEVERAL_SINCE:
        results = [_result(transaction, context) for transaction in request.transactions]
        return AddPartitionsToTxnResponse(
            results_by_transaction=list(await asyncio.gather(*results))
        )
    transaction = AddPartitionsToTxnTransaction(
        transactional_id=request.v3_and_below_transactional_id,
        producer_id=request.v3_and_below_producer_id,
        producer_epoch=request.v3_and_below_producer_epoch,
        topics=request.v3_and_below_topics,
    )
    result = await _result(transaction, context)
    return AddPartitionsToTxnResponse(results_by_topic_v3_and_below=result.topic_results)


async def _result(
    transaction: AddPartitionsToTxnTransaction, context: RequestContext
) -> AddPartitionsToTxnResult:
    partitions = [(topic.name, index) for topic in transaction.topics for index in topic.partitions]
    topics = transaction.topics
    missing = [p for p in partitions if not partition_exists(context, *p)]
    if missing:
        topics = _each_once(partitions)
        codes = dict.fromkeys(partitions, ErrorCode.OPERATION_NOT_ATTEMPTED)
        codes.update(dict.fromkeys(missing, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION))
    else:
        codes = await _ask(transaction, partitions, context)
    return AddPartitionsToTxnResult(
        transactional_id=transaction.transactional_id,
        topic_results=_by_topic(topics, codes),
    )


def _each_once(partitions: Sequence[TopicPartition]) -> list[AddPartitionsToTxnTopic]:
    indexes: dict[str, dict[int, None]] = {}
    for name, index in partitions:
        indexes.setdefault(name, {})[index] = None
    return [AddPartitionsToTxnTopic(name=name, partitions=list(indexes[name])) for name in indexes]


async def _ask(
    transaction: AddPartitionsToTxnTransaction,
    partitions: list[TopicPartition],
    context: RequestContext,
) -> dict[TopicPartition, ErrorCode]:
    name = transaction.transactional_id
    producer = Producer(transaction.producer_id, transaction.producer_epoch)
    second = context.version >= _SECOND_VERSION_SINCE
    version = TxnVersion.V2 if second else TxnVersion.V1
    transactions = context.broker.coordinators.transactions
    codes = dict.fromkeys(partitions, ErrorCode.NONE)
    try:
        if transaction.verify_only:
            taking_part = await transactions.run(
                name, lambda shard, promise, _: shard.verify(name, producer, partitions, promise)
            )
            for partition in codes.keys() - taking_part:
                codes[partition] = ErrorCode.TRANSACTION_ABORTABLE
        else:
            await transactions.run(
                name,
                lambda shard, promise, now: shard.add_partitions(
                    name, producer, partitions, version, promise, now
                ),
            )
    except ApiError as error:
        code = told_to(context.version, _FENCED_SINCE, error.code)
        codes = dict.fromkeys(partitions, code)
    return codes


def _by_topic(
    topics: Sequence[AddPartitionsToTxnTopic], codes: Mapping[TopicPartition, ErrorCode]
) -> list[AddPartitionsToTxnTopicResult]:
    return [
        AddPartitionsToTxnTopicResult(
            name=topic.name,
            results_by_partition=[
                AddPartitionsToTxnPartitionResult(
                    partition_index=index, partition_error_code=codes[topic.name, index]
                )
                for index in topic.partitions
            ],
        )
        for topic in topics
    ]
