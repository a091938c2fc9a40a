"""StreamsGroupDescribe: topology, members and tasks of streams groups (KIP-1071).

Behaviour
    A group whose topology reads or writes a topic that the client may not describe is refused.
Version notes
    1  topology descriptions (KIP-1331) may be asked for; no plug-in keeps any here, so the answer
       says that there are none
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pylog.apis.context import RequestContext
from pylog.coordinator.streams_assignor import ASSIGNOR
from pylog.coordinator.streams_state import StreamsGroup, StreamsMember, TaskOffsets
from pylog.coordinator.streams_tasks import Task, Tasks, by_subtopology
from pylog.coordinator.streams_topics import ConfiguredSubtopology
from pylog.coordinator.streams_topology import InternalTopic, Subtopology
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages import streams_group_describe as messages
from pylog.protocol.messages.streams_group_describe import (
    DescribedGroup,
    StreamsGroupDescribeRequest,
    StreamsGroupDescribeResponse,
)
from pylog.security.acl import ResourceType
from pylog.security.operations import GROUP_OPERATIONS, Operation

_NOT_STORED = 1  # status of a topology description


async def handle(
    request: StreamsGroupDescribeRequest, context: RequestContext
) -> StreamsGroupDescribeResponse:
    groups = [_describe(group_id, context) for group_id in request.group_ids]
    for group in groups:
        if group.error_code != ErrorCode.NONE:
            continue
        if request.include_authorized_operations:
            group.authorized_operations = GROUP_OPERATIONS
        if request.include_topology_description:
            group.topology_description_status = _NOT_STORED
    return StreamsGroupDescribeResponse(groups=groups)


def _describe(group_id: str, context: RequestContext) -> DescribedGroup:
    try:
        if group_id == "":
            raise ApiError(ErrorCode.INVALID_GROUP_ID)
        group: StreamsGroup = context.broker.coordinators.groups.host_of(group_id).look(
            lambda shard: shard.streams_group(group_id)
        )
        _check_topics(group, context)
    except ApiError as error:
        return DescribedGroup(group_id=group_id, error_code=error.code, error_message=error.message)
    return DescribedGroup(
        group_id=group_id,
        group_state=group.state_name(),
        group_epoch=group.epoch,
        assignment_epoch=group.target_epoch,
        assignor_name=ASSIGNOR,
        topology=_topology(group),
        members=[_member(member, group) for member in group.members.values()],
    )


def _check_topics(group: StreamsGroup, context: RequestContext) -> None:
    topology, access = group.topology, context.broker.access
    names = set() if topology is None else topology.required_topics()
    for name in names:
        if not access.allows(context.session, Operation.DESCRIBE, ResourceType.TOPIC, name):
            raise ApiError(
                ErrorCode.TOPIC_AUTHORIZATION_FAILED,
                "The described group uses topics that the client is not authorized to describe.",
            )


def _topology(group: StreamsGroup) -> messages.Topology | None:
    """With the numbers of partitions, when these are decided."""
    if group.topology is None:
        return None
    parts: Mapping[str, Subtopology | ConfiguredSubtopology] = group.topology.subtopologies
    if group.configured is not None and group.configured.is_ready:
        parts = group.configured.subtopologies
    return messages.Topology(
        epoch=group.topology.epoch,
        subtopologies=[_subtopology(name, part) for name, part in sorted(parts.items())],
    )


def _subtopology(name: str, part: Subtopology | ConfiguredSubtopology) -> messages.Subtopology:
    return messages.Subtopology(
        subtopology_id=name,
        source_topics=sorted(part.source_topics),
        repartition_sink_topics=sorted(part.repartition_sink_topics),
        state_changelog_topics=_topics(part.state_changelog_topics),
        repartition_source_topics=_topics(part.repartition_source_topics),
    )


def _topics(topics: Iterable[InternalTopic]) -> list[messages.TopicInfo]:
    return [
        messages.TopicInfo(
            name=topic.name,
            partitions=topic.partitions,
            replication_factor=topic.replication_factor,
            topic_configs=[messages.KeyValue(key=k, value=v) for k, v in topic.configs],
        )
        for topic in sorted(topics, key=lambda topic: topic.name)
    ]


def _member(member: StreamsMember, group: StreamsGroup) -> messages.Member:
    told = group.task_offsets.get(member.member_id, TaskOffsets())
    return messages.Member(
        member_id=member.member_id,
        member_epoch=member.epoch,
        instance_id=member.instance_id,
        rack_id=member.rack_id,
        client_id=member.client_id,
        client_host=member.client_host,
        topology_epoch=member.topology_epoch,
        process_id=member.process_id,
        user_endpoint=_endpoint(member),
        client_tags=[messages.KeyValue(key=k, value=v) for k, v in member.tags.items()],
        task_offsets=_offsets(told.offsets),
        task_end_offsets=_offsets(told.end_offsets),
        assignment=_assignment(member.assigned.tasks),
        target_assignment=_assignment(group.target.get(member.member_id, Tasks())),
    )


def _endpoint(member: StreamsMember) -> messages.Endpoint | None:
    if member.endpoint is None:
        return None
    host, port = member.endpoint
    return messages.Endpoint(host=host, port=port)


def _offsets(offsets: Mapping[Task, int]) -> list[messages.TaskOffset]:
    return [
        messages.TaskOffset(subtopology_id=name, partition=partition, offset=offset)
        for (name, partition), offset in sorted(offsets.items())
    ]


def _assignment(tasks: Tasks) -> messages.Assignment:
    return messages.Assignment(
        active_tasks=_task_ids(tasks.active),
        standby_tasks=_task_ids(tasks.standby),
        warmup_tasks=_task_ids(tasks.warmup),
    )


def _task_ids(tasks: Iterable[Task]) -> list[messages.TaskIds]:
    return [
        messages.TaskIds(subtopology_id=name, partitions=partitions)
        for name, partitions in by_subtopology(tasks).items()
    ]
