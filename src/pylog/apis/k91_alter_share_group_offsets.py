"""AlterShareGroupOffsets: where an empty share group is to go on (KIP-932).

Behaviour
    Only a group without members can be moved (NON_EMPTY_GROUP); one that is not there is made. A
    partition that the group has not read yet is initialized with that offset.
"""

from __future__ import annotations

import asyncio

from pylog.apis.context import RequestContext
from pylog.coordinator.share_group_state import SharedTopic, ShareGroup
from pylog.coordinator.share_state import SharePartitionKey
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.message import ZERO_UUID
from pylog.protocol.messages.alter_share_group_offsets import (
    AlterShareGroupOffsetsRequest,
    AlterShareGroupOffsetsRequestPartition,
    AlterShareGroupOffsetsRequestTopic,
    AlterShareGroupOffsetsResponse,
    AlterShareGroupOffsetsResponsePartition,
    AlterShareGroupOffsetsResponseTopic,
)


async def handle(
    request: AlterShareGroupOffsetsRequest, context: RequestContext
) -> AlterShareGroupOffsetsResponse:
    service = context.broker.coordinators.share_groups
    group = service.empty_group(request.group_id, may_be_new=True)
    answers = await asyncio.gather(
        *(_alter_topic(group, topic, context) for topic in request.topics)
    )
    moved = {
        answer.topic_id: SharedTopic(
            answer.topic_name,
            frozenset(p.partition_index for p in answer.partitions if not p.error_code),
        )
        for answer in answers
    }
    done = {topic_id: shared for topic_id, shared in moved.items() if shared.partitions}
    if done:
        await service.note_initialized(request.group_id, done)
    return AlterShareGroupOffsetsResponse(responses=list(answers))


async def _alter_topic(
    group: ShareGroup, asked: AlterShareGroupOffsetsRequestTopic, context: RequestContext
) -> AlterShareGroupOffsetsResponseTopic:
    topic = context.broker.metadata.image.topics.get(asked.topic_name)
    topic_id = ZERO_UUID if topic is None else topic.topic_id
    count = 0 if topic is None else len(topic.partitions)

    async def alter(
        item: AlterShareGroupOffsetsRequestPartition,
    ) -> AlterShareGroupOffsetsResponsePartition:
        answer = AlterShareGroupOffsetsResponsePartition(partition_index=item.partition_index)
        try:
            if not 0 <= item.partition_index < count:
                raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
            key = SharePartitionKey(group.group_id, topic_id, item.partition_index)
            service = context.broker.coordinators.share_groups
            await service.begin_anew(key, group.epoch + 1, item.start_offset)
        except ApiError as error:
            answer.error_code = error.code
            answer.error_message = error.message or error.code.name
        return answer

    return AlterShareGroupOffsetsResponseTopic(
        topic_name=asked.topic_name,
        topic_id=topic_id,
        partitions=list(await asyncio.gather(*(alter(item) for item in asked.partitions))),
    )
