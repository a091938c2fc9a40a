"""OffsetForLeaderEpoch: where the records of a leader epoch end.

Behaviour
    Gives the largest epoch that is not above the one asked for, and its end: from there on a
    client's or a follower's log differs from the leader's (KIP-101, KIP-279, KIP-320). The
    current epoch ends at the end of the log; an unknown one gives -1 and -1.
Version notes
    2  the client's epoch is compared with the leader's; 3 replica_id
"""

from __future__ import annotations

from pylog.apis._partitions import code_of, led_here
from pylog.apis.context import RequestContext
from pylog.engine.values import EngineError
from pylog.protocol.errors import ApiError
from pylog.protocol.messages.offset_for_leader_epoch import (
    EpochEndOffset,
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
    OffsetForLeaderPartition,
    OffsetForLeaderTopicResult,
)


async def handle(
    request: OffsetForLeaderEpochRequest, context: RequestContext
) -> OffsetForLeaderEpochResponse:
    topics = [
        OffsetForLeaderTopicResult(
            topic=topic.topic,
            partitions=[_find(topic.topic, item, context) for item in topic.partitions],
        )
        for topic in request.topics
    ]
    return OffsetForLeaderEpochResponse(topics=topics)


def _find(topic: str, item: OffsetForLeaderPartition, context: RequestContext) -> EpochEndOffset:
    answer = EpochEndOffset(partition=item.partition)
    try:
        partition, state = led_here(
            context.broker, topic, item.partition, item.current_leader_epoch
        )
        if item.leader_epoch == state.leader_epoch:
            answer.leader_epoch = state.leader_epoch
            answer.end_offset = partition.offsets().log_end
        else:
            answer.leader_epoch, answer.end_offset = partition.epoch_end(item.leader_epoch)
    except (ApiError, EngineError) as error:
        answer.error_code = code_of(error)
    return answer
