"""DeleteTopics: delete topics by name or id, with their records and settings.

Behaviour
    Each topic has its own result; one that is named twice has one, INVALID_REQUEST. Internal
    topics are refused with INVALID_REQUEST: their coordinators would lose what they stand on
    (Kafka deletes them).
Version notes
    1  the lowest served; 3 TOPIC_DELETION_DISABLED, before it INVALID_REQUEST (KIP-322)
    5  error messages; 6 topics by id (KIP-516)
"""

from __future__ import annotations

from typing import Final

from pylog.apis._mutations import charge, is_too_late, too_late
from pylog.apis.context import RequestContext
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.message import ZERO_UUID
from pylog.protocol.messages.delete_topics import (
    DeletableTopicResult,
    DeleteTopicsRequest,
    DeleteTopicsResponse,
    DeleteTopicState,
)

_STRICT_FROM: Final = 5


async def handle(request: DeleteTopicsRequest, context: RequestContext) -> DeleteTopicsResponse:
    if context.version >= 6:
        wanted = request.topics
    else:
        wanted = [DeleteTopicState(name=name) for name in request.topic_names]
    names = context.broker.metadata.image.topic_names
    by_topic: dict[str | bytes, list[DeleteTopicState]] = {}
    for state in wanted:
        topic = state.name if state.name is not None else names.get(state.topic_id)
        by_topic.setdefault(state.topic_id if topic is None else topic, []).append(state)
    responses = [await _answer(states, request.timeout_ms, context) for states in by_topic.values()]
    return DeleteTopicsResponse(responses=responses)


async def _answer(
    states: list[DeleteTopicState], timeout_ms: int, context: RequestContext
) -> DeletableTopicResult:
    """To all that names one topic."""
    try:
        if is_too_late(timeout_ms):
            raise too_late()
        if len(states) > 1:
            raise ApiError(ErrorCode.INVALID_REQUEST, "The topic is named more than once.")
        return await _delete(states[0], context)
    except ApiError as error:
        return DeletableTopicResult(
            name=next((state.name for state in states if state.name is not None), None),
            topic_id=max(state.topic_id for state in states),
            error_code=error.code,
            error_message=error.message,
        )


async def _delete(wanted: DeleteTopicState, context: RequestContext) -> DeletableTopicResult:
    broker = context.broker
    if not broker.config.flag("delete.topic.enable"):
        old = context.version < 3
        raise ApiError(
            ErrorCode.INVALID_REQUEST if old else ErrorCode.TOPIC_DELETION_DISABLED,
            "Topic deletion is disabled.",
        )
    if (wanted.name is None) == (wanted.topic_id == ZERO_UUID):
        raise ApiError(ErrorCode.INVALID_REQUEST, "A topic is given by its name or its id.")
    image = broker.metadata.image
    if wanted.name is None:
        topic, missing = image.topic_by_id(wanted.topic_id), ErrorCode.UNKNOWN_TOPIC_ID
    else:
        topic, missing = image.topics.get(wanted.name), ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    if topic is None:
        raise ApiError(missing)
    charge(context, len(topic.partitions), strict_from=_STRICT_FROM)
    await broker.topics.delete(topic.name, topic.topic_id)
    return DeletableTopicResult(name=topic.name, topic_id=topic.topic_id)
