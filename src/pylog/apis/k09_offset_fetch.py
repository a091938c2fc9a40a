"""OffsetFetch: what groups have committed.

Behaviour
    A partition without an offset is answered with -1, and so is a group that does not exist. An
    offset that an open transaction may move is refused when the client asks for stable ones.
Version notes
    2 a null list means all partitions; 7 stable offsets (KIP-447); 8 several groups (KIP-709); 9
    members name their epoch (KIP-848); 10 topics by id
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pylog.apis._groups import NO_TOPIC_ID, topic_id, topic_name
from pylog.apis.context import RequestContext
from pylog.coordinator.offsets import FetchedOffset
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopics,
    OffsetFetchResponse,
    OffsetFetchResponseGroup,
    OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
)

_ERROR_OF_GROUP_FROM = 2
_SEVERAL_FROM = 8
_TOPIC_IDS_FROM = 10

_Wanted = Sequence[tuple[str, bytes, Sequence[int]]]  # name, topic id, partitions


async def handle(request: OffsetFetchRequest, context: RequestContext) -> OffsetFetchResponse:
    stable = request.require_stable
    if context.version >= _SEVERAL_FROM:
        answers = [_fetch_group(group, stable, context) for group in request.groups]
        return OffsetFetchResponse(groups=list(await asyncio.gather(*answers)))
    topics = request.topics
    group = OffsetFetchRequestGroup(
        group_id=request.group_id,
        topics=None
        if topics is None
        else [
            OffsetFetchRequestTopics(name=t.name, partition_indexes=t.partition_indexes)
            for t in topics
        ],
    )
    answer = await _fetch_group(group, stable, context)
    if answer.error_code and context.version < _ERROR_OF_GROUP_FROM:
        answer.topics = _refused(group, ErrorCode(answer.error_code))
    return _of_one_group(answer)


async def _fetch_group(
    group: OffsetFetchRequestGroup, stable: bool, context: RequestContext
) -> OffsetFetchResponseGroup:
    response = OffsetFetchResponseGroup(group_id=group.group_id)
    by_id = context.version >= _TOPIC_IDS_FROM
    wanted = None if group.topics is None else _known_topics(group, context, response)
    try:
        fetched = await _ask(group, wanted, stable, context)
    except ApiError as error:
        return OffsetFetchResponseGroup(group_id=group.group_id, error_code=error.code)
    for name, offsets in fetched:
        of_topic = topic_id(context, name) if by_id else NO_TOPIC_ID
        if by_id and of_topic == NO_TOPIC_ID:
            continue  # it was deleted: there is no id to tell it by
        response.topics.append(
            OffsetFetchResponseTopics(
                name=name, topic_id=of_topic, partitions=[_partition(o) for o in offsets]
            )
        )
    return response


def _known_topics(
    group: OffsetFetchRequestGroup, context: RequestContext, response: OffsetFetchResponseGroup
) -> _Wanted:
    """What can be looked up; topics with an unknown id are refused in the response."""
    wanted = []
    for topic in group.topics or ():
        name = topic_name(context, topic.name, topic.topic_id, _TOPIC_IDS_FROM)
        if name is not None:
            wanted.append((name, topic_id(context, name), topic.partition_indexes))
            continue
        unknown = FetchedOffset(0, None, ErrorCode.UNKNOWN_TOPIC_ID)
        partitions = [_partition(unknown) for _ in topic.partition_indexes]
        for partition, index in zip(partitions, topic.partition_indexes, strict=True):
            partition.partition_index = index
        response.topics.append(
            OffsetFetchResponseTopics(topic_id=topic.topic_id, partitions=partitions)
        )
    return wanted


async def _ask(
    group: OffsetFetchRequestGroup, wanted: _Wanted | None, stable: bool, context: RequestContext
) -> list[tuple[str, list[FetchedOffset]]]:
    member = (group.member_id, group.member_epoch)
    fetched: list[tuple[str, list[FetchedOffset]]] = await context.broker.coordinators.groups.run(
        group.group_id,
        lambda shard, promise, _: shard.fetch_offsets(
            group.group_id, member, wanted, stable, promise
        ),
    )
    return fetched


def _partition(fetched: FetchedOffset) -> OffsetFetchResponsePartitions:
    committed = fetched.committed
    if committed is None:
        return OffsetFetchResponsePartitions(
            partition_index=fetched.partition, committed_offset=-1, error_code=fetched.error
        )
    return OffsetFetchResponsePartitions(
        partition_index=fetched.partition,
        committed_offset=committed.offset,
        committed_leader_epoch=committed.leader_epoch,
        metadata=committed.metadata,
    )


def _refused(group: OffsetFetchRequestGroup, code: ErrorCode) -> list[OffsetFetchResponseTopics]:
    """v1 has no error of the group: each partition carries it."""
    return [
        OffsetFetchResponseTopics(
            name=topic.name,
            partitions=[
                _partition(FetchedOffset(index, None, code)) for index in topic.partition_indexes
            ],
        )
        for topic in group.topics or ()
    ]


def _of_one_group(group: OffsetFetchResponseGroup) -> OffsetFetchResponse:
    return OffsetFetchResponse(
        error_code=group.error_code,
        topics=[
            OffsetFetchResponseTopic(
                name=topic.name,
                partitions=[
                    OffsetFetchResponsePartition(
                        partition_index=p.partition_index,
                        committed_offset=p.committed_offset,
                        committed_leader_epoch=p.committed_leader_epoch,
                        metadata=p.metadata,
                        error_code=p.error_code,
                    )
                    for p in topic.partitions
                ],
            )
            for topic in group.topics
        ],
    )
