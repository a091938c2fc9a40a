"""StreamsGroupHeartbeat: a thread of a streams application joins, lives, moves, leaves (KIP-1071).

Behaviour
    Epoch 0 joins and tells the topology, -1 leaves, -2 leaves as a static member for a while. The
    answer has the tasks when they have changed, and tells what hinders the group; internal topics
    that are missing are made, if the client may make topics.
Version notes
    1  acceptable recovery lag as int64; tells which client tags are missing
Not done
    Topology descriptions (KIP-1331): they need a plug-in, so no member is asked for one.
"""

from __future__ import annotations

from collections.abc import Iterable

from pylog.apis._groups import client_of
from pylog.apis.context import RequestContext
from pylog.cluster.image import INTERNAL_TOPICS
from pylog.cluster.topics import check_name
from pylog.coordinator.streams_answers import StreamsBeat, status
from pylog.coordinator.streams_topics import StatusCode
from pylog.coordinator.streams_topology import InternalTopic, invalid_topology
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.streams_group_heartbeat import (
    Status,
    StreamsGroupHeartbeatRequest,
    StreamsGroupHeartbeatResponse,
    Topology,
)
from pylog.security.acl import CLUSTER_NAME, ResourceType
from pylog.security.operations import Operation

_HEARTBEATS_REMEMBERED = 2  # how long the failure to make a topic is told


async def handle(
    request: StreamsGroupHeartbeatRequest, context: RequestContext
) -> StreamsGroupHeartbeatResponse:
    try:
        if request.topology is not None:
            _check_topics(_names(request.topology), context)
        service = context.broker.coordinators.streams_groups
        beat = await service.heartbeat(request, client_of(context))
    except ApiError as error:
        return StreamsGroupHeartbeatResponse(
            error_code=error.code, error_message=error.message or error.code.name
        )
    if beat.missing:
        _make_missing(beat, context)
    return beat.response


def _names(topology: Topology) -> list[str]:
    """Of every topic that a topology is about, once."""
    names: dict[str, None] = {}
    for part in topology.subtopologies:
        names.update(dict.fromkeys(part.source_topics))
        names.update(dict.fromkeys(part.repartition_sink_topics))
        names.update(dict.fromkeys(topic.name for topic in part.repartition_source_topics))
        names.update(dict.fromkeys(topic.name for topic in part.state_changelog_topics))
    return list(names)


def _check_topics(names: list[str], context: RequestContext) -> None:
    prohibited = [name for name in names if name in INTERNAL_TOPICS]
    if prohibited:
        raise invalid_topology(
            f"Use of Kafka internal topics {','.join(prohibited)} in a Kafka Streams topology "
            "is prohibited."
        )
    invalid = [name for name in names if not _is_valid(name)]
    if invalid:
        raise invalid_topology(f"Topic names {','.join(invalid)} are not valid topic names.")
    if not all(_may(context, Operation.DESCRIBE, ResourceType.TOPIC, name) for name in names):
        raise ApiError(ErrorCode.TOPIC_AUTHORIZATION_FAILED)


def _is_valid(name: str) -> bool:
    try:
        check_name(name)
    except ApiError:
        return False
    return True


def _may(context: RequestContext, operation: Operation, kind: ResourceType, name: str) -> bool:
    return context.broker.access.allows(context.session, operation, kind, name)


def _make_missing(beat: StreamsBeat, context: RequestContext) -> None:
    service, response = context.broker.coordinators.streams_groups, beat.response
    refused = _refused(beat.missing, context)
    if refused:
        _add_detail(response, f"Unauthorized to CREATE on topics {', '.join(refused)}.")
    else:
        remembered_ms = _HEARTBEATS_REMEMBERED * response.heartbeat_interval_ms
        service.make(beat.missing, remembered_ms)
    failures = service.failures(beat.missing)
    if failures:
        listed = ", ".join(f"{name} ({reason})" for name, reason in sorted(failures.items()))
        _add_detail(response, f"Creation failed: {listed}.")


def _refused(topics: Iterable[InternalTopic], context: RequestContext) -> list[str]:
    """Names of those that the client may not make; nothing is made when there are any."""
    if _may(context, Operation.CREATE, ResourceType.CLUSTER, CLUSTER_NAME):
        return []
    names = sorted(topic.name for topic in topics)
    return [n for n in names if not _may(context, Operation.CREATE, ResourceType.TOPIC, n)]


def _add_detail(response: StreamsGroupHeartbeatResponse, detail: str) -> None:
    notes: list[Status] = response.status or []
    for note in notes:
        if note.status_code == StatusCode.MISSING_INTERNAL_TOPICS:
            note.status_detail = f"{note.status_detail}; {detail}"
            return
    response.status = [*notes, status(StatusCode.MISSING_INTERNAL_TOPICS, detail)]
