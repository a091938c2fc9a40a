"""AlterPartitionReassignments: move partitions to other brokers (KIP-455).

Behaviour
    Targets are checked as in Kafka: distinct, registered brokers. With one broker registered, a
    target that passes is where the partition is already, so there is never anything to move, nor
    to cancel.
Version notes
    1  a change of the replication factor can be forbidden (KIP-860): none is possible here
"""

from __future__ import annotations

from pylog.apis._mutations import is_too_late, too_late
from pylog.apis.context import RequestContext
from pylog.cluster.topics import check_replicas
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    AlterPartitionReassignmentsResponse,
    ReassignablePartition,
    ReassignablePartitionResponse,
    ReassignableTopicResponse,
)


async def handle(
    request: AlterPartitionReassignmentsRequest, context: RequestContext
) -> AlterPartitionReassignmentsResponse:
    late = is_too_late(request.timeout_ms)
    return AlterPartitionReassignmentsResponse(
        error_code=ErrorCode.REQUEST_TIMED_OUT if late else ErrorCode.NONE,
        allow_replication_factor_change=request.allow_replication_factor_change,
        error_message=None,
        responses=[
            ReassignableTopicResponse(
                name=topic.name,
                partitions=[_answer(topic.name, item, late, context) for item in topic.partitions],
            )
            for topic in request.topics
        ],
    )


def _answer(
    topic: str, item: ReassignablePartition, late: bool, context: RequestContext
) -> ReassignablePartitionResponse:
    answer = ReassignablePartitionResponse(partition_index=item.partition_index, error_message=None)
    try:
        if late:
            raise too_late()
        _check(topic, item, context)
    except ApiError as error:
        answer.error_code, answer.error_message = error.code, error.message
    return answer


def _check(topic: str, item: ReassignablePartition, context: RequestContext) -> None:
    image = context.broker.metadata.image
    found = image.topics.get(topic)
    if found is None or not 0 <= item.partition_index < len(found.partitions):
        raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    if item.replicas is None:
        raise ApiError(ErrorCode.NO_REASSIGNMENT_IN_PROGRESS)
    check_replicas(image, [item.replicas], len(item.replicas))
