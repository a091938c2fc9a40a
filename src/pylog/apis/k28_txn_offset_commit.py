"""TxnOffsetCommit: offsets of a group that count when the producer's transaction commits.

Behaviour
    The transaction coordinator is asked first whether the group's partition takes part in an open
    transaction of this producer; otherwise the offsets could stay pending for ever (KIP-890).
Version notes
    2 leader epochs, and COORDINATOR_LOAD_IN_PROGRESS; 3 members and generations (KIP-447); 4 the
    transaction can be aborted after an error; 5 adds the partition to the transaction; 6 topics by
    id
"""

from __future__ import annotations

from pylog.apis._groups import CommitPlan
from pylog.apis.context import RequestContext
from pylog.coordinator.effects import Producer
from pylog.coordinator.group_base import Committer
from pylog.coordinator.offsets import OffsetToCommit
from pylog.coordinator.txn_state import TxnVersion
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitResponse,
    TxnOffsetCommitResponsePartition,
    TxnOffsetCommitResponseTopic,
)

_LOADING_SINCE = 2
_ABORTABLE_SINCE = 4
_ADDS_PARTITION_SINCE = 5
_TOPIC_IDS_FROM = 6


async def handle(
    request: TxnOffsetCommitRequest, context: RequestContext
) -> TxnOffsetCommitResponse:
    plan = CommitPlan(_TOPIC_IDS_FROM)
    for topic in request.topics:
        plan.add(topic, context)
    answers: list[ErrorCode] = []
    if plan.accepted:
        try:
            await _take_part(request, context)
            answers = await _commit(request, plan.accepted, context)
        except ApiError as error:
            answers = [_told(error.code, context.version)] * len(plan.accepted)
    topics = [
        TxnOffsetCommitResponseTopic(
            name=topic.name,
            topic_id=topic.topic_id,
            partitions=[
                TxnOffsetCommitResponsePartition(
                    partition_index=partition.partition_index, error_code=code
                )
                for partition, code in zip(topic.partitions, codes, strict=True)
            ],
        )
        for topic, codes in zip(request.topics, plan.merged(answers), strict=True)
    ]
    return TxnOffsetCommitResponse(topics=topics)


async def _take_part(request: TxnOffsetCommitRequest, context: RequestContext) -> None:
    coordinators = context.broker.coordinators
    if request.group_id == "":
        raise ApiError(ErrorCode.INVALID_GROUP_ID)
    partition = (coordinators.groups.topic, coordinators.groups.index_of(request.group_id))
    name = request.transactional_id
    producer = Producer(request.producer_id, request.producer_epoch)
    if context.version >= _ADDS_PARTITION_SINCE:
        await coordinators.transactions.run(
            name,
            lambda shard, promise, now: shard.add_partitions(
                name, producer, [partition], TxnVersion.V2, promise, now
            ),
        )
        return
    taking_part = await coordinators.transactions.run(
        name, lambda shard, promise, _: shard.verify(name, producer, [partition], promise)
    )
    if not taking_part:
        abortable = context.version >= _ABORTABLE_SINCE
        raise ApiError(
            ErrorCode.TRANSACTION_ABORTABLE if abortable else ErrorCode.INVALID_TXN_STATE
        )


async def _commit(
    request: TxnOffsetCommitRequest, offsets: list[OffsetToCommit], context: RequestContext
) -> list[ErrorCode]:
    committer = Committer(
        request.member_id,
        request.group_instance_id,
        request.generation_id_or_member_epoch,
        context.version,
        transactional=True,
    )
    producer = Producer(request.producer_id, request.producer_epoch)
    codes: list[ErrorCode] = await context.broker.coordinators.groups.run(
        request.group_id,
        lambda shard, promise, now: shard.commit_in_transaction(
            request.group_id, committer, producer, offsets, promise, now
        ),
    )
    return codes


def _told(code: ErrorCode, version: int) -> ErrorCode:
    """What clients of this version understand."""
    if code == ErrorCode.PRODUCER_FENCED:
        return ErrorCode.INVALID_PRODUCER_EPOCH
    if code == ErrorCode.COORDINATOR_LOAD_IN_PROGRESS and version < _LOADING_SINCE:
        return ErrorCode.COORDINATOR_NOT_AVAILABLE
    return code
