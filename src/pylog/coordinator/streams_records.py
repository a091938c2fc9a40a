"""Records of streams groups: written by the steps, replayed into the group."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import replace
from typing import Any, Final

from pylog.coordinator.effects import Effects
from pylog.coordinator.group_base import Group
from pylog.coordinator.streams_state import (
    NO_EPOCH,
    MemberState,
    StreamsGroup,
    StreamsMember,
)
from pylog.coordinator.streams_tasks import HeldTasks, Task, Tasks, by_subtopology, read_tasks
from pylog.coordinator.streams_topology import Topology, read_topology, topology_record
from pylog.protocol.records import streams_group as records
from pylog.protocol.records.streams_group import (
    StreamsGroupCurrentMemberAssignmentValueTaskIds as CurrentTaskIds,
)
from pylog.protocol.records.streams_group import (
    StreamsGroupTargetAssignmentMemberValueTaskIds as TargetTaskIds,
)

# ---- writing ----


def write_member(group_id: str, member: StreamsMember, out: Effects) -> None:
    endpoint = member.endpoint
    value = records.StreamsGroupMemberMetadataValue(
        instance_id=member.instance_id,
        rack_id=member.rack_id,
        client_id=member.client_id,
        client_host=member.client_host,
        rebalance_timeout_ms=member.rebalance_timeout_ms,
        topology_epoch=member.topology_epoch,
        process_id=member.process_id,
        user_endpoint=endpoint and records.Endpoint(host=endpoint[0], port=endpoint[1]),
        client_tags=[records.KeyValue(key=k, value=v) for k, v in sorted(member.tags.items())],
    )
    key = records.StreamsGroupMemberMetadataKey(group_id=group_id, member_id=member.member_id)
    out.write(key, value)


def write_epoch(
    group: StreamsGroup,
    epoch: int,
    metadata_hash: int,
    validated_topology_epoch: int,
    configs: Mapping[str, str],
    out: Effects,
) -> None:
    stored, failed = group.description_epochs
    value = records.StreamsGroupMetadataValue(
        epoch=epoch,
        metadata_hash=metadata_hash,
        validated_topology_epoch=validated_topology_epoch,
        last_assignment_configs=[
            records.LastAssignmentConfig(key=k, value=v) for k, v in sorted(configs.items())
        ],
        stored_description_topology_epoch=stored,
        failed_description_topology_epoch=failed,
    )
    out.write(records.StreamsGroupMetadataKey(group_id=group.group_id), value)


def write_topology(group_id: str, topology: Topology, out: Effects) -> None:
    out.write(records.StreamsGroupTopologyKey(group_id=group_id), topology_record(topology))


def write_target(group_id: str, member_id: str, target: Tasks, out: Effects) -> None:
    value = records.StreamsGroupTargetAssignmentMemberValue(
        active_tasks=_target_ids(target.active),
        standby_tasks=_target_ids(target.standby),
        warmup_tasks=_target_ids(target.warmup),
    )
    key = records.StreamsGroupTargetAssignmentMemberKey(group_id=group_id, member_id=member_id)
    out.write(key, value)


def write_target_epoch(group_id: str, epoch: int, time_ms: int, out: Effects) -> None:
    value = records.StreamsGroupTargetAssignmentMetadataValue(
        assignment_epoch=epoch, assignment_timestamp=time_ms
    )
    out.write(records.StreamsGroupTargetAssignmentMetadataKey(group_id=group_id), value)


def write_current(group_id: str, member: StreamsMember, out: Effects) -> None:
    assigned, revoking = member.assigned, member.revoking
    value = records.StreamsGroupCurrentMemberAssignmentValue(
        member_epoch=member.epoch,
        previous_member_epoch=member.previous_epoch,
        state=member.state,
        active_tasks=_active_ids(assigned.active),
        standby_tasks=_replica_ids(assigned.standby),
        warmup_tasks=_replica_ids(assigned.warmup),
        active_tasks_pending_revocation=_active_ids(revoking.active),
        standby_tasks_pending_revocation=_replica_ids(revoking.standby),
        warmup_tasks_pending_revocation=_replica_ids(revoking.warmup),
    )
    key = records.StreamsGroupCurrentMemberAssignmentKey(
        group_id=group_id, member_id=member.member_id
    )
    out.write(key, value)


def write_member_gone(group_id: str, member_id: str, out: Effects) -> None:
    """The order is the reverse of how they came."""
    ids = {"group_id": group_id, "member_id": member_id}
    out.write(records.StreamsGroupCurrentMemberAssignmentKey(**ids), None)
    out.write(records.StreamsGroupTargetAssignmentMemberKey(**ids), None)
    out.write(records.StreamsGroupMemberMetadataKey(**ids), None)


def _target_ids(tasks: Iterable[Task]) -> list[TargetTaskIds]:
    return [
        TargetTaskIds(subtopology_id=name, partitions=partitions)
        for name, partitions in by_subtopology(tasks).items()
    ]


def _replica_ids(tasks: Iterable[Task]) -> list[CurrentTaskIds]:
    return [
        CurrentTaskIds(subtopology_id=name, partitions=partitions)
        for name, partitions in by_subtopology(tasks).items()
    ]


def _active_ids(tasks: Mapping[Task, int]) -> list[CurrentTaskIds]:
    return [
        CurrentTaskIds(
            subtopology_id=name,
            partitions=partitions,
            assignment_epochs=[tasks[name, partition] for partition in partitions],
        )
        for name, partitions in by_subtopology(tasks).items()
    ]


# ---- replay ----


def _replay_epoch(group: StreamsGroup, _: Any, value: Any) -> None:
    group.epoch = value.epoch
    group.metadata_hash = value.metadata_hash
    group.validated_topology_epoch = value.validated_topology_epoch
    configs = value.last_assignment_configs or ()
    group.assignment_configs = {config.key: config.value for config in configs}
    group.description_epochs = (
        value.stored_description_topology_epoch,
        value.failed_description_topology_epoch,
    )


def _replay_topology(group: StreamsGroup, _: Any, value: Any) -> None:
    group.topology = None if value is None else read_topology(value)


def _replay_target_epoch(group: StreamsGroup, _: Any, value: Any) -> None:
    group.target_epoch = NO_EPOCH if value is None else value.assignment_epoch
    group.target_time_ms = 0 if value is None else value.assignment_timestamp


def _replay_target(group: StreamsGroup, key: Any, value: Any) -> None:
    if value is None:
        group.target.pop(key.member_id, None)
        return
    group.target[key.member_id] = Tasks(
        read_tasks(value.active_tasks),
        read_tasks(value.standby_tasks),
        read_tasks(value.warmup_tasks),
    )


def _replay_member(group: StreamsGroup, key: Any, value: Any) -> None:
    if value is None:
        group.remove(key.member_id)
        return
    endpoint = value.user_endpoint
    member = group.members.get(key.member_id) or StreamsMember(key.member_id)
    group.put(
        replace(
            member,
            instance_id=value.instance_id,
            rack_id=value.rack_id,
            client_id=value.client_id,
            client_host=value.client_host,
            rebalance_timeout_ms=value.rebalance_timeout_ms,
            topology_epoch=value.topology_epoch,
            process_id=value.process_id,
            endpoint=None if endpoint is None else (endpoint.host, endpoint.port),
            tags={tag.key: tag.value for tag in value.client_tags},
        )
    )


def _replay_current(group: StreamsGroup, key: Any, value: Any) -> None:
    member = group.members.get(key.member_id)
    if value is None:
        if member is not None:
            group.put(replace(member, assigned=HeldTasks(), revoking=HeldTasks()))
        return
    group.put(
        replace(
            member or StreamsMember(key.member_id),
            epoch=value.member_epoch,
            previous_epoch=value.previous_member_epoch,
            state=MemberState(value.state),
            assigned=HeldTasks(
                _read_active(value.active_tasks, value.member_epoch),
                read_tasks(value.standby_tasks),
                read_tasks(value.warmup_tasks),
            ),
            revoking=HeldTasks(
                _read_active(value.active_tasks_pending_revocation, value.member_epoch),
                read_tasks(value.standby_tasks_pending_revocation),
                read_tasks(value.warmup_tasks_pending_revocation),
            ),
        )
    )


def _read_active(parts: Iterable[CurrentTaskIds], member_epoch: int) -> dict[Task, int]:
    """Kafka 4.1 stored no epochs of tasks: the member's stands in for them."""
    found = {}
    for part in parts:
        epochs = part.assignment_epochs or [member_epoch] * len(part.partitions)
        for partition, epoch in zip(part.partitions, epochs, strict=True):
            found[part.subtopology_id, partition] = epoch
    return found


_REPLAYS: Final[dict[type, Callable[[StreamsGroup, Any, Any], None]]] = {
    records.StreamsGroupMetadataKey: _replay_epoch,
    records.StreamsGroupTopologyKey: _replay_topology,
    records.StreamsGroupTargetAssignmentMetadataKey: _replay_target_epoch,
    records.StreamsGroupTargetAssignmentMemberKey: _replay_target,
    records.StreamsGroupMemberMetadataKey: _replay_member,
    records.StreamsGroupCurrentMemberAssignmentKey: _replay_current,
}


def replay(groups: MutableMapping[str, Group], key: Any, value: Any) -> None:
    """Change the group of a record; a record with a value makes it one of streams."""
    group = groups.get(key.group_id)
    if not isinstance(group, StreamsGroup):
        if value is None:
            return  # of what the group was before
        group = groups[key.group_id] = StreamsGroup(key.group_id)
    if value is None and isinstance(key, records.StreamsGroupMetadataKey):
        del groups[key.group_id]
        return
    _REPLAYS[type(key)](group, key, value)


REPLAYS: Final = dict.fromkeys(_REPLAYS, replay)
