"""What the coordinator of streams groups tells a member: tasks, state of the group, endpoints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pylog.coordinator.streams_state import StreamsGroup, StreamsMember
from pylog.coordinator.streams_tasks import Task, by_subtopology
from pylog.coordinator.streams_topics import ConfiguredTopology, StatusCode
from pylog.coordinator.streams_topology import InternalTopic
from pylog.coordinator.topics_view import TopicsView
from pylog.protocol.messages.streams_group_heartbeat import (
    EndpointToPartitions,
    ResponseEndpoint,
    ResponseTaskIds,
    Status,
    StreamsGroupHeartbeatResponse,
    TopicPartition,
)


@dataclass(frozen=True, slots=True)
class StreamsBeat:
    """The answer to a heartbeat, and the internal topics that somebody has to make."""

    response: StreamsGroupHeartbeatResponse
    missing: tuple[InternalTopic, ...] = ()


def status(code: StatusCode, detail: str) -> Status:
    return Status(status_code=code, status_detail=detail)


def tell_tasks(response: StreamsGroupHeartbeatResponse, member: StreamsMember) -> None:
    response.active_tasks = _task_ids(member.assigned.active)
    response.standby_tasks = _task_ids(member.assigned.standby)
    response.warmup_tasks = _task_ids(member.assigned.warmup)


def _task_ids(tasks: Iterable[Task]) -> list[ResponseTaskIds]:
    return [
        ResponseTaskIds(subtopology_id=name, partitions=partitions)
        for name, partitions in by_subtopology(tasks).items()
    ]


def stale_topology(member: StreamsMember, group_epoch: int) -> list[Status]:
    if member.topology_epoch >= group_epoch:
        return []
    detail = (
        f"The member's topology epoch {member.topology_epoch} is behind the group's topology "
        f"epoch {group_epoch}."
    )
    return [status(StatusCode.STALE_TOPOLOGY, detail)]


def shutdown(group: StreamsGroup) -> list[Status]:
    if group.shutdown_by is None:
        return []
    detail = (
        f"Streams group member {group.shutdown_by} encountered a fatal error and requested a "
        "shutdown for the entire application."
    )
    return [status(StatusCode.SHUTDOWN_APPLICATION, detail)]


def missing_tags(member: StreamsMember, wanted: Sequence[str], version: int) -> list[Status]:
    """Tags by which standbys are spread and that the member does not have (KIP-1071)."""
    missing = [tag for tag in wanted if tag not in member.tags]
    if not missing or version < 1:
        return []
    detail = (
        f"Missing required client tags for rack-aware standby assignment: "
        f"[{', '.join(missing)}]. Configure them via 'client.tag.<tagKey>' in your Streams config."
    )
    return [status(StatusCode.MISSING_CLIENT_TAGS, detail)]


# ---- endpoints (interactive queries) ----


def partitions_by_endpoint(
    group: StreamsGroup,
    members: Mapping[str, StreamsMember],
    asking: StreamsMember,
    configured: ConfiguredTopology,
    topics: TopicsView,
) -> list[EndpointToPartitions]:
    """Who can be asked about which input partitions; the member that asks comes last."""
    if not configured.subtopologies:
        return []
    told = []
    for member in members.values():
        if member.endpoint is None or member.member_id == asking.member_id:
            continue
        entry = group.endpoints.get(member.member_id)
        if entry is None:
            entry = _endpoint(member, member.endpoint, configured, topics)
            group.endpoints[member.member_id] = entry
        told.append(entry)
    if asking.endpoint is not None:
        told.append(_endpoint(asking, asking.endpoint, configured, topics))
    return told


def _endpoint(
    member: StreamsMember,
    endpoint: tuple[str, int],
    configured: ConfiguredTopology,
    topics: TopicsView,
) -> EndpointToPartitions:
    held = member.assigned
    return EndpointToPartitions(
        user_endpoint=ResponseEndpoint(host=endpoint[0], port=endpoint[1]),
        active_partitions=_inputs(held.active, configured, topics),
        standby_partitions=_inputs(held.standby | held.warmup, configured, topics),
    )


def _inputs(
    tasks: Iterable[Task], configured: ConfiguredTopology, topics: TopicsView
) -> list[TopicPartition]:
    found = []
    for subtopology_id, partitions in by_subtopology(tasks).items():
        part = configured.subtopologies.get(subtopology_id)
        for topic in part.inputs() if part is not None else ():
            info = topics.by_name.get(topic)
            there = [p for p in partitions if info is not None and p < info.partition_count]
            if there:
                found.append(TopicPartition(topic=topic, partitions=there))
    return found
