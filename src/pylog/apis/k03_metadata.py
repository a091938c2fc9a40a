"""Metadata: brokers, topics, and who leads each partition.

Behaviour
    An unknown topic is created when the client allows it and auto.create.topics.enable is set; it
    is answered with its leaders at once, where Kafka says UNKNOWN_TOPIC_OR_PARTITION first.
    A topic that is named twice has one answer; one that is named neither by name nor by id is
    refused with INVALID_REQUEST (Kafka: UNKNOWN_SERVER_ERROR).
    Brokers are given at the address of the listener that the request came in by.
Version notes
    0  no topics: all topics. From 1 on null means all, and an empty list none
    1  rack, controller, internal topics; 2 cluster id; 5 offline replicas
    4  allow_auto_topic_creation; before it every request allows it
    7  leader epochs (KIP-320); 8 authorized operations (KIP-430), of the cluster up to 10
    10 topic ids (KIP-516); 12 topics may be asked for by id alone
    13 an error of the whole answer (KIP-1102)
"""

from __future__ import annotations

from pylog.apis.context import RequestContext
from pylog.cluster.image import NO_LEADER, TopicImage
from pylog.cluster.topics import NewTopic, check_name
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.message import ZERO_UUID
from pylog.protocol.messages.metadata import (
    MetadataRequest,
    MetadataRequestTopic,
    MetadataResponse,
    MetadataResponseBroker,
    MetadataResponsePartition,
    MetadataResponseTopic,
)
from pylog.security.operations import CLUSTER_OPERATIONS, TOPIC_OPERATIONS

_BY_ID_FROM = 12


async def handle(request: MetadataRequest, context: RequestContext) -> MetadataResponse:
    wanted = request.topics
    if wanted is None or (context.version == 0 and not wanted):
        image = context.broker.metadata.image
        topics = [_describe(topic, context) for topic in image.topics.values()]
    else:
        may_create = request.allow_auto_topic_creation or context.version < 4
        named = {(item.name, item.topic_id): item for item in wanted}
        found = [await _find(item, may_create, context) for item in named.values()]
        topics = list({(topic.name, topic.topic_id): topic for topic in found}.values())
    if request.include_topic_authorized_operations:
        for topic in topics:
            if topic.error_code == ErrorCode.NONE:
                topic.topic_authorized_operations = TOPIC_OPERATIONS
    response = _describe_cluster(context)
    response.topics = topics
    if request.include_cluster_authorized_operations:
        response.cluster_authorized_operations = CLUSTER_OPERATIONS
    return response


def _describe_cluster(context: RequestContext) -> MetadataResponse:
    broker = context.broker
    brokers = []
    for item in broker.metadata.image.brokers.values():
        address = broker.address_of(item, context.listener, context.local_host)
        if address is not None:
            host, port = address
            brokers.append(
                MetadataResponseBroker(node_id=item.broker_id, host=host, port=port, rack=item.rack)
            )
    return MetadataResponse(
        brokers=brokers, cluster_id=broker.cluster_id, controller_id=broker.node_id
    )


async def _find(
    wanted: MetadataRequestTopic, may_create: bool, context: RequestContext
) -> MetadataResponseTopic:
    broker = context.broker
    try:
        by_id = wanted.topic_id != ZERO_UUID
        if wanted.name is None and not (by_id and context.version >= _BY_ID_FROM):
            raise ApiError(ErrorCode.INVALID_REQUEST)
        if wanted.name is None:
            topic = broker.metadata.image.topic_by_id(wanted.topic_id)
            if topic is None:
                raise ApiError(ErrorCode.UNKNOWN_TOPIC_ID)
        else:
            topic = await _find_by_name(wanted.name, may_create, context)
    except ApiError as error:
        name = wanted.name if context.version >= _BY_ID_FROM else wanted.name or ""
        return MetadataResponseTopic(error_code=error.code, name=name, topic_id=wanted.topic_id)
    return _describe(topic, context)


async def _find_by_name(name: str, may_create: bool, context: RequestContext) -> TopicImage:
    broker = context.broker
    topic = broker.metadata.image.topics.get(name)
    if topic is not None:
        return topic
    check_name(name)
    if not may_create or not broker.config.flag("auto.create.topics.enable"):
        raise ApiError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    return await broker.topics.ensure(NewTopic(name))


def _describe(topic: TopicImage, context: RequestContext) -> MetadataResponseTopic:
    return MetadataResponseTopic(
        name=topic.name,
        topic_id=topic.topic_id,
        is_internal=topic.internal,
        partitions=[
            describe_partition(topic, index, context) for index in range(len(topic.partitions))
        ],
    )


def describe_partition(
    topic: TopicImage, index: int, context: RequestContext
) -> MetadataResponsePartition:
    """A partition's leader and replicas. A log that can't be used here, or not yet, has no
    leader."""
    broker, state = context.broker, topic.partitions[index]
    alive = broker.metadata.image.brokers
    offline = [replica for replica in state.replicas if replica not in alive]
    logs = broker.partitions
    if logs.is_offline(topic.name, index) or logs.is_recovering(topic.name, index):
        offline.append(broker.node_id)
    leader = NO_LEADER if state.leader in offline else state.leader
    return MetadataResponsePartition(
        error_code=ErrorCode.LEADER_NOT_AVAILABLE if leader == NO_LEADER else ErrorCode.NONE,
        partition_index=index,
        leader_id=leader,
        leader_epoch=state.leader_epoch,
        replica_nodes=list(state.replicas),
        isr_nodes=list(state.isr),
        offline_replicas=offline,
    )
