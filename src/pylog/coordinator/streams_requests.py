"""What a StreamsGroupHeartbeat asks: checked, and in the terms of the coordinator."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pylog.coordinator.group_base import Client
from pylog.coordinator.streams_state import LEAVE, LEAVE_STATIC, StreamsMember, TaskOffsets
from pylog.coordinator.streams_tasks import Task, Tasks, read_tasks
from pylog.coordinator.streams_topics import ConfiguredTopology
from pylog.coordinator.streams_topology import invalid_topology
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.streams_group_heartbeat import (
    StreamsGroupHeartbeatRequest,
    TaskOffset,
)
from pylog.protocol.messages.streams_group_heartbeat import Topology as TopologyMessage

JOIN = 0  # the member epoch


def leaves(request: StreamsGroupHeartbeatRequest) -> bool:
    return request.member_epoch in (LEAVE, LEAVE_STATIC)


def check_heartbeat(request: StreamsGroupHeartbeatRequest) -> None:
    """INVALID_REQUEST for fields that don't go together; as Kafka says it."""
    topology = request.topology
    if topology is not None:
        regex = any(part.source_topic_regex for part in topology.subtopologies)
        _refuse_if(regex, "Regular expressions for source topics are not supported yet.")
    _refuse_if(not request.member_id.strip(), "MemberId can't be empty.")
    _refuse_if(not request.group_id.strip(), "GroupId can't be empty.")
    for name, value in (("InstanceId", request.instance_id), ("RackId", request.rack_id)):
        _refuse_if(value is not None and not value.strip(), f"{name} can't be empty.")
    if request.member_epoch == JOIN:
        _check_join(request)
    elif request.member_epoch == LEAVE_STATIC:
        _refuse_if(request.instance_id is None, "InstanceId can't be null.")
    _refuse_if(
        request.member_epoch < LEAVE_STATIC,
        f"MemberEpoch is {request.member_epoch}, but must be greater than or equal to -2.",
    )
    lists = (request.active_tasks, request.standby_tasks, request.warmup_tasks)
    _refuse_if(
        any(tasks is None for tasks in lists) and any(tasks is not None for tasks in lists),
        "If one task-type is non-null, all must be non-null.",
    )
    _refuse_if(
        request.member_epoch != JOIN and topology is not None,
        "Topology can only be provided when (re-)joining.",
    )


def _check_join(request: StreamsGroupHeartbeatRequest) -> None:
    _refuse_if(
        request.rebalance_timeout_ms == -1, "RebalanceTimeoutMs must be provided in first request."
    )
    _refuse_if(bool(request.active_tasks), "ActiveTasks must be empty when (re-)joining.")
    _refuse_if(bool(request.standby_tasks), "StandbyTasks must be empty when (re-)joining.")
    _refuse_if(bool(request.warmup_tasks), "WarmupTasks must be empty when (re-)joining.")
    if request.topology is None:
        raise ApiError(ErrorCode.INVALID_REQUEST, "Topology must be non-null when (re-)joining.")
    _check_topology(request.topology)


def _check_topology(topology: TopologyMessage) -> None:
    if topology.epoch < 0:
        raise ApiError(
            ErrorCode.STREAMS_INVALID_TOPOLOGY_EPOCH, "Topology epoch must be non-negative."
        )
    for part in topology.subtopologies:
        for topic in part.state_changelog_topics:
            if topic.partitions != 0:
                raise invalid_topology(
                    f"Changelog topic {topic.name} must have an undefined partition count, "
                    f"but it is set to {topic.partitions}."
                )
        for topic in part.repartition_source_topics:
            if topic.partitions < 0:
                raise invalid_topology(
                    f"Repartition topic {topic.name} can't have {topic.partitions} partitions."
                )


def _refuse_if(wrong: bool, message: str) -> None:
    if wrong:
        raise ApiError(ErrorCode.INVALID_REQUEST, message)


def owned_tasks(request: StreamsGroupHeartbeatRequest) -> Tasks | None:
    """What the member says that it has; None when it does not say."""
    active, standby, warmup = request.active_tasks, request.standby_tasks, request.warmup_tasks
    if active is None or standby is None or warmup is None:
        return None
    return Tasks(read_tasks(active), read_tasks(standby), read_tasks(warmup))


def check_owned(owned: Tasks | None, configured: ConfiguredTopology) -> None:
    """INVALID_REQUEST for a task that the topology does not have."""
    for _, tasks in owned or Tasks():
        for subtopology_id, partition in sorted(tasks):
            part = configured.subtopologies.get(subtopology_id)
            _refuse_if(
                part is None, f"Subtopology {subtopology_id} does not exist in the topology."
            )
            _refuse_if(
                not configured.has((subtopology_id, partition)),
                f"Task {partition} for subtopology {subtopology_id} is invalid. "
                f"Number of tasks for this subtopology: {part and part.task_count}",
            )


def told_offsets(request: StreamsGroupHeartbeatRequest, before: TaskOffsets) -> TaskOffsets:
    """What the member has said of its progress by now."""
    offsets, ends = request.task_offsets, request.task_end_offsets
    return TaskOffsets(
        before.offsets if offsets is None else _by_task(offsets),
        before.end_offsets if ends is None else _by_task(ends),
    )


def _by_task(offsets: Iterable[TaskOffset]) -> dict[Task, int]:
    found: dict[Task, int] = {}
    for told in offsets:
        task = (told.subtopology_id, told.partition)
        _refuse_if(
            task in found,
            f"Task offsets contain a duplicate entry for subtopology {told.subtopology_id} "
            f"and partition {told.partition}.",
        )
        found[task] = told.offset
    return found


def updated_member(
    member: StreamsMember, request: StreamsGroupHeartbeatRequest, client: Client
) -> StreamsMember:
    """What a heartbeat does not say stays as it was, but for the endpoint of who joins."""
    endpoint = None if request.member_epoch == JOIN else member.endpoint
    if request.user_endpoint is not None:
        endpoint = (request.user_endpoint.host, request.user_endpoint.port)
    timeout_ms, tags, topology = (
        request.rebalance_timeout_ms,
        request.client_tags,
        request.topology,
    )
    return replace(
        member,
        instance_id=request.instance_id or member.instance_id,
        rack_id=request.rack_id or member.rack_id,
        client_id=client.client_id,
        client_host=client.host,
        rebalance_timeout_ms=member.rebalance_timeout_ms if timeout_ms == -1 else timeout_ms,
        topology_epoch=member.topology_epoch if topology is None else topology.epoch,
        process_id=member.process_id if request.process_id is None else request.process_id,
        endpoint=endpoint,
        tags=member.tags if tags is None else {tag.key: tag.value for tag in tags},
    )


def changes_assignment(before: StreamsMember, after: StreamsMember) -> bool:
    """Whether a static member's new description asks for another assignment."""
    return (before.topology_epoch, before.rack_id, before.tags, before.process_id) != (
        after.topology_epoch,
        after.rack_id,
        after.tags,
        after.process_id,
    )
