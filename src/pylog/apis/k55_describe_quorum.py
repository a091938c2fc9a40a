"""DescribeQuorum: who holds the cluster's metadata, and how far each of them is (KIP-595).

Behaviour
    The quorum is this broker alone: it decides and writes the metadata store, whose revision
    stands for the offsets of Kafka's metadata log. Only partition 0 of ``__cluster_metadata`` can
    be asked for, by itself, as in Kafka.
Version notes
    1  times of the last fetch (KIP-836): now, as for every leader; 2 directory ids, texts of
       errors, and the addresses of the nodes (KIP-853): here those of the data folder with the
       metadata and of the broker's listeners
"""

from __future__ import annotations

import time
from typing import Final

from pylog.apis.context import RequestContext
from pylog.protocol.errors import ErrorCode
from pylog.protocol.messages.describe_quorum import (
    DescribeQuorumRequest,
    DescribeQuorumResponse,
    Listener,
    Node,
    ReplicaState,
    ResponsePartitionData,
    ResponseTopicData,
)
from pylog.protocol.uuids import uuid_from_text

_METADATA: Final = ("__cluster_metadata", 0)
_ONLY_EPOCH: Final = 1


async def handle(request: DescribeQuorumRequest, context: RequestContext) -> DescribeQuorumResponse:
    asked = [
        (topic.topic_name, item.partition_index)
        for topic in request.topics
        for item in topic.partitions
    ]
    if asked != [_METADATA]:
        return DescribeQuorumResponse(topics=_refused(request))
    topic, _ = _METADATA
    return DescribeQuorumResponse(
        topics=[ResponseTopicData(topic_name=topic, partitions=[_state(context)])],
        nodes=_nodes(context) if context.version >= 2 else [],
    )


def _refused(request: DescribeQuorumRequest) -> list[ResponseTopicData]:
    return [
        ResponseTopicData(
            topic_name=topic.topic_name,
            partitions=[
                ResponsePartitionData(
                    partition_index=item.partition_index,
                    error_code=ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
                    error_message="The metadata is partition 0 of __cluster_metadata.",
                )
                for item in topic.partitions
            ],
        )
        for topic in request.topics
    ]


def _state(context: RequestContext) -> ResponsePartitionData:
    revision, now_ms = context.broker.metadata.image.revision, int(time.time() * 1000)
    me = ReplicaState(
        replica_id=context.broker.node_id,
        log_end_offset=revision,
        last_fetch_timestamp=now_ms,
        last_caught_up_timestamp=now_ms,
    )
    if context.version >= 2:
        me.replica_directory_id = uuid_from_text(context.broker.dirs.first.directory_id)
    return ResponsePartitionData(
        leader_id=me.replica_id,
        leader_epoch=_ONLY_EPOCH,
        high_watermark=revision,
        current_voters=[me],
    )


def _nodes(context: RequestContext) -> list[Node]:
    broker = context.broker
    registered = broker.metadata.image.brokers[broker.node_id]
    listeners = []
    for name in registered.listeners:
        address = broker.address_of(registered, name, context.local_host)
        if address is not None:
            listeners.append(Listener(name=name, host=address[0], port=address[1]))
    return [Node(node_id=broker.node_id, listeners=listeners)]
