"""DeleteShareGroupOffsets: an empty share group forgets topics (KIP-932).

Behaviour
    A topic that it reads again begins where the group's settings say. UNKNOWN_TOPIC_OR_PARTITION
    for one that it has not read.
"""

from __future__ import annotations

from pylog.apis.context import RequestContext
from pylog.coordinator.share_group_state import SharedTopic, ShareGroup
from pylog.coordinator.share_state import SharePartitionKey
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.delete_share_group_offsets import (
    DeleteShareGroupOffsetsRequest,
    DeleteShareGroupOffsetsResponse,
    DeleteShareGroupOffsetsResponseTopic,
)


async def handle(
    request: DeleteShareGroupOffsetsRequest, context: RequestContext
) -> DeleteShareGroupOffsetsResponse:
    service = context.broker.coordinators.share_groups
    group = service.empty_group(request.group_id)
    answers, forgotten = [], []
    for name in dict.fromkeys(topic.topic_name for topic in request.topics):
        answer = DeleteShareGroupOffsetsResponseTopic(topic_name=name)
        answers.append(answer)
        try:
            topic_id, shared = _read_topic(group, name, context)
            await service.delete_states(
                SharePartitionKey(group.group_id, topic_id, index) for index in shared.partitions
            )
            answer.topic_id = topic_id
            forgotten.append(topic_id)
        except ApiError as error:
            answer.error_code, answer.error_message = error.code, error.message
    if forgotten:
        await service.forget_topics(request.group_id, forgotten)
    return DeleteShareGroupOffsetsResponse(responses=answers)


def _read_topic(group: ShareGroup, name: str, context: RequestContext) -> tuple[bytes, SharedTopic]:
    """What the group has read of the topic of this name, or of one that was deleted."""
    topic = context.broker.metadata.image.topics.get(name)
    for topic_id, shared in group.share_partitions().items():
        if topic_id == topic.topic_id if topic is not None else shared.name == name:
            return topic_id, shared
    if topic is None:
        raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"There is no topic {name}.")
    raise ApiError(
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"The group has read nothing of topic {name}."
    )
