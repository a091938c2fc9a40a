"""DescribeTopicPartitions: the partitions of topics, a page at a time (KIP-966).

Behaviour
    Topics are answered in the order of their names; without names, all of them. A page has at most
    the smaller of the request's limit and max.request.partition.size.limit partitions; the answer's
    cursor says where the next page starts, and is null on the last. A page has
    at least one partition, whatever the limit. A cursor has to be at one of the topics that are
    named, or INVALID_REQUEST. Unlike Metadata, nothing is created.
Not done
    Eligible leader replicas: both lists are null, as of a Kafka whose feature is off.
"""

from __future__ import annotations

from pylog.apis.context import RequestContext
from pylog.apis.k03_metadata import describe_partition
from pylog.cluster.image import TopicImage
from pylog.cluster.topics import check_name
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.describe_topic_partitions import (
    DescribeTopicPartitionsRequest,
    DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition,
    DescribeTopicPartitionsResponseTopic,
    ResponseCursor,
)
from pylog.security.operations import TOPIC_OPERATIONS


async def handle(
    request: DescribeTopicPartitionsRequest, context: RequestContext
) -> DescribeTopicPartitionsResponse:
    broker = context.broker
    start_topic, start_index = _start(request)
    names = [topic.name for topic in request.topics] or list(broker.metadata.image.topics)
    most = broker.config.integer("max.request.partition.size.limit")
    room = max(1, min(request.response_partition_limit, most))
    response = DescribeTopicPartitionsResponse()
    for name in sorted(set(names)):
        if name < start_topic:
            continue
        if room == 0:
            response.next_cursor = ResponseCursor(topic_name=name, partition_index=0)
            break
        first = start_index if name == start_topic else 0
        topic, after = _describe(name, first, room, context)
        response.topics.append(topic)
        room -= len(topic.partitions)
        if after is not None:
            response.next_cursor = ResponseCursor(topic_name=name, partition_index=after)
            break
    return response


def refuse(
    request: DescribeTopicPartitionsRequest, error: ApiError
) -> DescribeTopicPartitionsResponse:
    """The error of a request as a whole, told for each topic that it names."""
    return DescribeTopicPartitionsResponse(
        topics=[
            DescribeTopicPartitionsResponseTopic(error_code=error.code, name=topic.name)
            for topic in request.topics
        ]
    )


def _start(request: DescribeTopicPartitionsRequest) -> tuple[str, int]:
    cursor = request.cursor
    if cursor is None:
        return "", 0
    named = not request.topics or any(t.name == cursor.topic_name for t in request.topics)
    if cursor.partition_index < 0 or not named:
        raise ApiError(ErrorCode.INVALID_REQUEST)
    return cursor.topic_name, cursor.partition_index


def _describe(
    name: str, first: int, room: int, context: RequestContext
) -> tuple[DescribeTopicPartitionsResponseTopic, int | None]:
    """A topic from partition ``first`` on, and the partition to go on with, or None at its end."""
    image = context.broker.metadata.image
    found = image.topics.get(name)
    if found is None:
        return _unknown(name), None
    last = min(first + room, len(found.partitions))
    topic = DescribeTopicPartitionsResponseTopic(
        name=name,
        topic_id=found.topic_id,
        is_internal=found.internal,
        partitions=[_partition(found, index, context) for index in range(first, last)],
        topic_authorized_operations=TOPIC_OPERATIONS,
    )
    return topic, last if last < len(found.partitions) else None


def _unknown(name: str) -> DescribeTopicPartitionsResponseTopic:
    topic = DescribeTopicPartitionsResponseTopic(name=name)
    try:
        check_name(name)
    except ApiError as error:
        topic.error_code = error.code
    else:
        topic.error_code = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        topic.topic_authorized_operations = TOPIC_OPERATIONS
    return topic


def _partition(
    topic: TopicImage, index: int, context: RequestContext
) -> DescribeTopicPartitionsResponsePartition:
    described = describe_partition(topic, index, context)
    return DescribeTopicPartitionsResponsePartition(
        error_code=described.error_code,
        partition_index=index,
        leader_id=described.leader_id,
        leader_epoch=described.leader_epoch,
        replica_nodes=described.replica_nodes,
        isr_nodes=described.isr_nodes,
        eligible_leader_replicas=[],  # not null: Kafka's admin client reads them unasked
        last_known_elr=[],
        offline_replicas=described.offline_replicas,
    )
