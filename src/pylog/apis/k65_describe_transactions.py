"""DescribeTransactions: state, producer and partitions of transactional ids (KIP-664)."""

from __future__ import annotations

from pylog.apis.context import RequestContext
from pylog.coordinator.txn_state import Transaction, by_topic
from pylog.protocol.errors import ApiError
from pylog.protocol.messages.describe_transactions import (
    DescribeTransactionsRequest,
    DescribeTransactionsResponse,
    TopicData,
    TransactionState,
)


async def handle(
    request: DescribeTransactionsRequest, context: RequestContext
) -> DescribeTransactionsResponse:
    states = [_describe(name, context) for name in request.transactional_ids]
    return DescribeTransactionsResponse(transaction_states=states)


def _describe(transactional_id: str, context: RequestContext) -> TransactionState:
    transactions = context.broker.coordinators.transactions
    try:
        txn: Transaction = transactions.host_of(transactional_id).look(
            lambda shard: shard.describe(transactional_id)
        )
    except ApiError as error:
        return TransactionState(transactional_id=transactional_id, error_code=error.code)
    return TransactionState(
        transactional_id=transactional_id,
        transaction_state=txn.state.shown,
        transaction_timeout_ms=txn.timeout_ms,
        transaction_start_time_ms=txn.start_ms,
        producer_id=txn.producer_id,
        producer_epoch=txn.epoch,
        topics=[
            TopicData(topic=topic, partitions=indexes)
            for topic, indexes in by_topic(txn.partitions).items()
        ],
    )
