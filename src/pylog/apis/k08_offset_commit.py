"""OffsetCommit: a group stores where it has got to.

Behaviour
    Members name their generation, which must be the present one; a consumer that assigns itself
    names none, and then the group may have no members. A commit is also a sign of life.
Version notes
    2 to 4 may ask for a retention time of their own; 6 leader epochs (KIP-320); 7 static members
    (KIP-345); 9 member epochs, and a group that does not exist is told so (KIP-848); 10 topics by
    id
"""

from __future__ import annotations

from pylog.apis._groups import CommitPlan
from pylog.apis.context import RequestContext
from pylog.coordinator.group_base import Committer
from pylog.coordinator.offsets import OffsetToCommit
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.offset_commit import (
    OffsetCommitRequest,
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)

_TOPIC_IDS_FROM = 10


async def handle(request: OffsetCommitRequest, context: RequestContext) -> OffsetCommitResponse:
    plan = CommitPlan(_TOPIC_IDS_FROM)
    for topic in request.topics:
        plan.add(topic, context)
    answers = await _commit(request, plan.accepted, context) if plan.accepted else []
    topics = [
        OffsetCommitResponseTopic(
            name=topic.name,
            topic_id=topic.topic_id,
            partitions=[
                OffsetCommitResponsePartition(
                    partition_index=partition.partition_index, error_code=code
                )
                for partition, code in zip(topic.partitions, codes, strict=True)
            ],
        )
        for topic, codes in zip(request.topics, plan.merged(answers), strict=True)
    ]
    return OffsetCommitResponse(topics=topics)


async def _commit(
    request: OffsetCommitRequest, offsets: list[OffsetToCommit], context: RequestContext
) -> list[ErrorCode]:
    committer = Committer(
        request.member_id,
        request.group_instance_id,
        request.generation_id_or_member_epoch,
        context.version,
    )
    try:
        codes: list[ErrorCode] = await context.broker.coordinators.groups.run(
            request.group_id,
            lambda shard, promise, now: shard.commit(
                request.group_id, committer, offsets, request.retention_time_ms, promise, now
            ),
        )
    except ApiError as error:
        return [error.code] * len(offsets)
    return codes
