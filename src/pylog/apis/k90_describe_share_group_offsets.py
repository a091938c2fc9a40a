"""DescribeShareGroupOffsets: where share groups begin in partitions, and their lag (KIP-932).

Behaviour
    Without topics, all that the group has read. A partition that it has not has start offset -1.
Version notes
    1  lag: what is between the start offset and the end and not done (KIP-1226)
"""

from __future__ import annotations

from pylog.apis.context import RequestContext
from pylog.coordinator.share_group_state import ShareGroup
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
        host = context.broker.coordinators.groups.host_of(asked.group_id)
        group: ShareGroup = host.look(lambda shard: shard.share_group(asked.group_id))
    except ApiError as error:
        answer.error_code, answer.error_message = error.code, error.message
        return answer
    if asked.topics is None:
        wanted = {t.name: sorted(t.partitions) for t in group.share_partitions().values()}
    else:
        wanted = {topic.topic_name: topic.partitions for topic in asked.topics}
    answer.topics = [
        _describe_topic(group, name, partitions, context) for name, partitions in wanted.items()
    ]
    return answer


def _describe_topic(
    group: ShareGroup, name: str, partitions: list[int], context: RequestContext
) -> DescribeShareGroupOffsetsResponseTopic:
    topic = context.broker.metadata.image.topics.get(name)
    answer = DescribeShareGroupOffsetsResponseTopic(
        topic_name=name, topic_id=ZERO_UUID if topic is None else topic.topic_id
    )
    for index in partitions:
        told = DescribeShareGroupOffsetsResponsePartition(partition_index=index)
        answer.partitions.append(told)
        if topic is None or index >= len(topic.partitions):
            told.error_code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
            told.error_message = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION.name
            continue
        told.start_offset = UNSET
        try:
            _tell(SharePartitionKey(group.group_id, topic.topic_id, index), name, told, context)
        except ApiError as error:
            told.error_code, told.error_message = error.code, error.message
    return answer


def _tell(
    key: SharePartitionKey,
    topic: str,
    told: DescribeShareGroupOffsetsResponsePartition,
    context: RequestContext,
) -> None:
    host = context.broker.coordinators.share_states.host_of(key.text())
    state: ShareState | None = host.look(lambda shard: shard.states.get(key))
    if state is None or state.start_offset == UNSET:
        return
    told.start_offset, told.leader_epoch = state.start_offset, state.leader_epoch
    log = context.broker.partitions.get(topic, key.partition)
    if log is not None and context.version >= _LAG_FROM:
        left = log.offsets().high_watermark - state.start_offset - done_count(state)
        told.lag = max(left, 0)
