"""CreatePartitions: grow topics; the new partitions can be produced to when the answer leaves.

Behaviour
    ``count`` is the total. Errors are a topic's own: UNKNOWN_TOPIC_OR_PARTITION,
    INVALID_PARTITIONS, INVALID_REPLICA_ASSIGNMENT; INVALID_REQUEST, once, for a name given twice.
Version notes
    0 to 3 differ in nothing that concerns one broker (KIP-195, KIP-599).
"""

from __future__ import annotations

from typing import Final

from pylog.apis._mutations import charge, is_too_late, too_late
from pylog.apis.context import RequestContext
from pylog.cluster.topics import duplicates
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.create_partitions import (
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreatePartitionsTopic,
    CreatePartitionsTopicResult,
)

_STRICT_FROM: Final = 3


async def handle(
    request: CreatePartitionsRequest, context: RequestContext
) -> CreatePartitionsResponse:
    twice = duplicates([topic.name for topic in request.topics])
    results = []
    for topic in {topic.name: topic for topic in request.topics}.values():
        result = CreatePartitionsTopicResult(name=topic.name)
        try:
            if is_too_late(request.timeout_ms):
                raise too_late()
            if topic.name in twice:
                raise ApiError(ErrorCode.INVALID_REQUEST, "Duplicate topic name.")
            await _grow(topic, request.validate_only, context)
        except ApiError as error:
            result.error_code = error.code
            result.error_message = error.message
        results.append(result)
    return CreatePartitionsResponse(results=results)


async def _grow(topic: CreatePartitionsTopic, validate_only: bool, context: RequestContext) -> None:
    given = topic.assignments
    assignments = None if given is None else [item.broker_ids for item in given]
    found = context.broker.metadata.image.topics.get(topic.name)
    if found is not None and not validate_only:
        charge(context, max(topic.count - len(found.partitions), 0), strict_from=_STRICT_FROM)
    await context.broker.topics.add_partitions(topic.name, topic.count, assignments, validate_only)
