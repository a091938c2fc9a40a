"""ListTransactions: the transactional ids that this broker coordinates (KIP-664).

Behaviour
    Filters are all to hold; a state that does not exist is told back and matches nothing.
Version notes
    1 only transactions that have run longer than some time (KIP-994); 2 only ids that match a
    regular expression as a whole (KIP-1152)
"""

from __future__ import annotations

from pylog.apis.context import RequestContext
from pylog.coordinator.shards import wall_ms
from pylog.coordinator.topic_regex import BadPattern, TopicRegex
from pylog.coordinator.txn_state import Transaction, TxnState
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.list_transactions import (
    ListTransactionsRequest,
    ListTransactionsResponse,
    TransactionState,
)


async def handle(
    request: ListTransactionsRequest, context: RequestContext
) -> ListTransactionsResponse:
    known = {state.shown for state in TxnState}
    response = ListTransactionsResponse(
        unknown_state_filters=[
            state for state in dict.fromkeys(request.state_filters) if state not in known
        ]
    )
    pattern = _compiled(request.transactional_id_pattern)
    now_ms = wall_ms()
    for host in context.broker.coordinators.transactions.hosts():
        response.transaction_states += [
            TransactionState(
                transactional_id=txn.transactional_id,
                producer_id=txn.producer_id,
                transaction_state=txn.state.shown,
            )
            for txn in host.look(lambda shard: list(shard.transactions.values()))
            if _matches(txn, request, pattern, now_ms)
        ]
    return response


def _compiled(pattern: str | None) -> TopicRegex | None:
    if not pattern:
        return None
    try:
        return TopicRegex(pattern)
    except BadPattern as error:
        raise ApiError(ErrorCode.INVALID_REGULAR_EXPRESSION, str(error)) from error


def _matches(
    txn: Transaction,
    request: ListTransactionsRequest,
    pattern: TopicRegex | None,
    now_ms: int,
) -> bool:
    if request.producer_id_filters and txn.producer_id not in request.producer_id_filters:
        return False
    if request.state_filters and txn.state.shown not in request.state_filters:
        return False
    if request.duration_filter >= 0 and now_ms - txn.start_ms <= request.duration_filter:
        return False
    return pattern is None or pattern.matches(txn.transactional_id)
