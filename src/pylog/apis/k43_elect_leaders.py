"""ElectLeaders: have partitions led by their preferred replica, or by any that is left.

Behaviour
    A partition has one replica here, which leads it as long as its log works: then no election is
    needed. Of a log that can't be used nobody else has a copy. Without partitions, all are meant,
    and of every topic those that have no leader are answered. An unknown type of election is
    INVALID_REQUEST, of the whole and of each partition.
Version notes
    1  the type of the election, preferred or unclean (KIP-460), and an error of the whole answer
"""

from __future__ import annotations

from typing import Final

from pylog.apis._mutations import is_too_late
from pylog.apis.context import RequestContext
from pylog.protocol.errors import ErrorCode
from pylog.protocol.messages.elect_leaders import (
    ElectLeadersRequest,
    ElectLeadersResponse,
    PartitionResult,
    ReplicaElectionResult,
)

_PREFERRED: Final = 0
_UNCLEAN: Final = 1


async def handle(request: ElectLeadersRequest, context: RequestContext) -> ElectLeadersResponse:
    response = ElectLeadersResponse()
    if request.election_type not in (_PREFERRED, _UNCLEAN):
        response.error_code = ErrorCode.INVALID_REQUEST
    if is_too_late(request.timeout_ms) and context.version >= 1:
        response.error_code = ErrorCode.REQUEST_TIMED_OUT
    if request.topic_partitions is None:
        topics = context.broker.metadata.image.topics.values()
        wanted = [(topic.name, list(range(len(topic.partitions)))) for topic in topics]
    else:
        wanted = [(item.topic, item.partitions) for item in request.topic_partitions]
    for topic, indexes in wanted:
        results = [_elect(topic, index, request, context) for index in indexes]
        if request.topic_partitions is None:
            results = [r for r in results if r.error_code != ErrorCode.ELECTION_NOT_NEEDED]
        response.replica_election_results.append(
            ReplicaElectionResult(topic=topic, partition_result=results)
        )
    return response


def _elect(
    topic: str, index: int, request: ElectLeadersRequest, context: RequestContext
) -> PartitionResult:
    broker, kind = context.broker, request.election_type
    found = broker.metadata.image.topics.get(topic)
    if is_too_late(request.timeout_ms):
        code, message = ErrorCode.REQUEST_TIMED_OUT, "An election takes more time than none."
    elif found is None or not 0 <= index < len(found.partitions):
        code, message = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "No such partition."
    elif kind not in (_PREFERRED, _UNCLEAN):
        code, message = ErrorCode.INVALID_REQUEST, "Unknown type of election."
    elif not broker.partitions.is_offline(topic, index):
        code, message = ErrorCode.ELECTION_NOT_NEEDED, "The preferred replica leads already."
    elif kind == _PREFERRED:
        code, message = ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE, "Its log can't be used."
    else:
        code, message = ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE, "No replica is left."
    return PartitionResult(partition_id=index, error_code=code, error_message=message)
