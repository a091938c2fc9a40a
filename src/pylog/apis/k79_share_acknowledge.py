"""ShareAcknowledge: say what became of records that were delivered (KIP-932).

Behaviour
    The answer comes when it is stored: what was accepted is not delivered again, whatever happens.
    Epoch -1 ends the share session and releases what the member still holds. All of a partition's
    acknowledgements count, or none.
Version notes
    1  the first that is served; 2 renews locks too (KIP-1222)
"""

from __future__ import annotations

from collections.abc import Mapping

from pylog.apis.context import RequestContext
from pylog.apis.share_requests import acknowledge, acknowledgements, check_member
from pylog.coordinator.share_sessions import FINAL_EPOCH, INITIAL_EPOCH, TopicPartition
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.share_acknowledge import (
    PartitionData,
    ShareAcknowledgeRequest,
    ShareAcknowledgeResponse,
    ShareAcknowledgeTopicResponse,
)


async def handle(
    request: ShareAcknowledgeRequest, context: RequestContext
) -> ShareAcknowledgeResponse:
    service = context.broker.coordinators.share_groups
    group_id, member_id = check_member(request.group_id, request.member_id)
    if request.share_session_epoch == INITIAL_EPOCH:
        raise ApiError(ErrorCode.INVALID_SHARE_SESSION_EPOCH)
    session = service.sessions.use(group_id, member_id, request.share_session_epoch)
    asked = acknowledgements(request.topics)
    errors = await acknowledge(service, group_id, member_id, asked, request.is_renew_ack)
    if request.share_session_epoch == FINAL_EPOCH:
        await service.release(session)
    return ShareAcknowledgeResponse(
        acquisition_lock_timeout_ms=service.config(group_id).limits.lock_ms,
        responses=_by_topic(errors),
    )


def _by_topic(
    errors: Mapping[TopicPartition, ApiError | None],
) -> list[ShareAcknowledgeTopicResponse]:
    topics: dict[bytes, ShareAcknowledgeTopicResponse] = {}
    for (topic_id, index), error in errors.items():
        data = PartitionData(partition_index=index)
        if error is not None:
            data.error_code, data.error_message = error.code, error.message
        topic = topics.setdefault(topic_id, ShareAcknowledgeTopicResponse(topic_id=topic_id))
        topic.partitions.append(data)
    return list(topics.values())
