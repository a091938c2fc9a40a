"""What ShareFetch and ShareAcknowledge have in common: sessions and acknowledgements."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from pylog.coordinator.share_partition import AcknowledgedBatch, AcknowledgeType
from pylog.coordinator.share_sessions import TopicPartition
from pylog.protocol.errors import ApiError, ErrorCode

if TYPE_CHECKING:
    from pylog.coordinator.share_service import ShareGroupService

RENEW = AcknowledgeType.RENEW
Acknowledged = Mapping[TopicPartition, Sequence[AcknowledgedBatch]]


class _Batch(Protocol):
    first_offset: int
    last_offset: int
    acknowledge_types: list[int]


class _Partition(Protocol):
    partition_index: int

    @property
    def acknowledgement_batches(self) -> Sequence[_Batch]: ...


class _Topic(Protocol):
    topic_id: bytes

    @property
    def partitions(self) -> Sequence[_Partition]: ...


def check_member(group_id: str | None, member_id: str | None) -> tuple[str, str]:
    """The two names that both requests need; INVALID_REQUEST without them."""
    if not group_id or not member_id:
        raise ApiError(ErrorCode.INVALID_REQUEST, "Group id and member id must be given.")
    return group_id, member_id


def acknowledgements(topics: Iterable[_Topic]) -> Acknowledged:
    """The acknowledgements of a request by partition."""
    return {
        (topic.topic_id, partition.partition_index): [
            AcknowledgedBatch(batch.first_offset, batch.last_offset, batch.acknowledge_types)
            for batch in partition.acknowledgement_batches
        ]
        for topic in topics
        for partition in topic.partitions
        if partition.acknowledgement_batches
    }


async def acknowledge(
    service: ShareGroupService,
    group_id: str,
    member_id: str,
    asked: Acknowledged,
    renews: bool,
) -> dict[TopicPartition, ApiError | None]:
    """Acknowledge; the error of each partition, or None."""
    renew_enabled = service.config(group_id).renew_enabled

    async def one(partition: TopicPartition) -> ApiError | None:
        try:
            _check(asked[partition], renews)
            if not renew_enabled and any(RENEW in batch.types for batch in asked[partition]):
                raise ApiError(ErrorCode.INVALID_RECORD_STATE, "Locks of the group end as they do.")
            leader = service.leader(group_id, partition)
            await leader.acknowledge(member_id, asked[partition])
        except ApiError as error:
            return error
        return None

    errors = await asyncio.gather(*(one(partition) for partition in asked))
    return dict(zip(asked, errors, strict=True))


def _check(batches: Sequence[AcknowledgedBatch], renews: bool) -> None:
    """INVALID_REQUEST for ranges that overlap or are out of order, and for wrong types."""
    highest = RENEW if renews else AcknowledgeType.REJECT
    before = -1
    for batch in batches:
        if batch.first_offset > batch.last_offset or batch.first_offset <= before:
            raise ApiError(ErrorCode.INVALID_REQUEST, "Acknowledged ranges are not in order.")
        size = batch.last_offset - batch.first_offset + 1
        if len(batch.types) not in (1, size):
            raise ApiError(ErrorCode.INVALID_REQUEST, "One type, or one for each offset.")
        if not all(AcknowledgeType.GAP <= kind <= highest for kind in batch.types):
            raise ApiError(ErrorCode.INVALID_REQUEST, "Unknown type of acknowledgement.")
        before = batch.last_offset
