"""DeleteShareGroupOffsets: an empty share group forgets topics (KIP-932).

Behaviour
    A topic that it reads again begins where the group's settings say.
"""

from __future__ import annotations

from pylog.apis.context import RequestContext
from pylog.coordinator.share_group_state import ShareGroup
from pylog.coordinator.share_state import SharePartitionKey
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.message import ZERO_UUID
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
            answer.topic_id = _known_id(group, name, context)
            shared = group.share_partitions().get(answer.topic_id)
            if shared is not None:
                keys = [
                    SharePartitionKey(group.group_id, answer.topic_id, index)
                    for index in shared.partitions
                ]
                await service.delete_states(keys)
                forgotten.append(answer.topic_id)
        except ApiError as error:
            answer.error_code, answer.error_message = error.code, error.message
    if forgotten:
        await service.forget_topics(request.group_id, forgotten)
    return DeleteShareGroupOffsetsResponse(responses=answers)


def _known_id(group: ShareGroup, name: str, context: RequestContext) -> bytes:
    """The topic's id, or that by which the group knows one that was deleted."""
    topic = context.broker.metadata.image.topics.get(name)
    if topic is not None:
        return topic.topic_id
    known = (t for t, shared in group.share_partitions().items() if shared.name == name)
    topic_id = next(known, ZERO_UUID)
    if topic_id == ZERO_UUID:
        raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"There is no topic {name}.")
    return topic_id
