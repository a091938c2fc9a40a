"""DescribeShareGroupOffsets: where share groups begin in partitions, and their lag (KIP-932).

Behaviour
    Without topics, all that the group has read. A partition that it has not has start offset -1,
    which holds too for topics and groups that are not there.
Version notes
    1  lag: what is between the start offset and the end and not done (KIP-1226)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pylog.apis.context import RequestContext
from pylog.coordinator.share_group_state import SharedTopic, ShareGroup
from pylog.coordinator.share_state import UNSET, SharePartitionKey, ShareState, done_count
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.message import ZERO_UUID
from pylog.protocol.messages.describe_share_group_offsets import (
    DescribeShareGroupOffsetsRequest,
    DescribeShareGroupOffsetsRequestGroup,
    DescribeShareGroupOffsetsResponse,
    DescribeShareGroupOffsetsResponseGroup,
    DescribeShareGroupOffsetsResponsePartition,
    DescribeShareGroupOffsetsResponseTopic,
)

_NO_LAG = -1
_LAG_FROM = 1


async def handle(
    request: DescribeShareGroupOffsetsRequest, context: RequestContext
) -> DescribeShareGroupOffsetsResponse:
    return DescribeShareGroupOffsetsResponse(
        groups=[_describe(asked, context) for asked in request.groups]
    )


def _describe(
    asked: DescribeShareGroupOffsetsRequestGroup, context: RequestContext
) -> DescribeShareGroupOffsetsResponseGroup:
    answer = DescribeShareGroupOffsetsResponseGroup(group_id=asked.group_id)
    try:
        read = _read_by(asked.group_id, context)
    except ApiError as error:
        answer.error_code, answer.error_message = error.code, error.message
        return answer
    wanted: dict[str, dict[int, None]] = {}  # each partition once
    if asked.topics is None:
        wanted = {topic.name: dict.fromkeys(sorted(topic.partitions)) for topic in read.values()}
    for topic in asked.topics or ():
        wanted.setdefault(topic.topic_name, {}).update(dict.fromkeys(topic.partitions))
    answer.topics = [
        _describe_topic(asked.group_id, name, partitions, context)
        for name, partitions in wanted.items()
    ]
    return answer


def _read_by(group_id: str, context: RequestContext) -> Mapping[bytes, SharedTopic]:
    try:
        host = context.broker.coordinators.groups.host_of(group_id)
        group: ShareGroup = host.look(lambda shard: shard.share_group(group_id))
        return group.share_partitions()
    except ApiError as error:
        if error.code != ErrorCode.GROUP_ID_NOT_FOUND:
            raise
        return {}


def _describe_topic(
    group_id: str, name: str, partitions: Iterable[int], context: RequestContext
) -> DescribeShareGroupOffsetsResponseTopic:
    topic = context.broker.metadata.image.topics.get(name)
    topic_id = ZERO_UUID if topic is None else topic.topic_id
    answer = DescribeShareGroupOffsetsResponseTopic(topic_name=name, topic_id=topic_id)
    for index in partitions:
        told = DescribeShareGroupOffsetsResponsePartition(partition_index=index, start_offset=UNSET)
        answer.partitions.append(told)
        try:
            _tell(SharePartitionKey(group_id, topic_id, index), name, told, context)
        except ApiError as error:
            told.error_code, told.error_message = error.code, error.message
    return answer


def _tell(
    key: SharePartitionKey,
    topic: str,
    told: DescribeShareGroupOffsetsResponsePartition,
    context: RequestContext,
) -> None:
    states = context.broker.coordinators.share_states
    if not states.exist:  # no state has ever been stored
        return
    host = states.host_of(key.text())
    state: ShareState | None = host.look(lambda shard: shard.states.get(key))
    if state is None or state.start_offset == UNSET:
        return
    told.start_offset, told.leader_epoch = state.start_offset, state.leader_epoch
    log = context.broker.partitions.get(topic, key.partition)
    if log is not None and context.version >= _LAG_FROM:
        left = log.offsets().high_watermark - state.start_offset - done_count(state)
        told.lag = max(left, 0)
