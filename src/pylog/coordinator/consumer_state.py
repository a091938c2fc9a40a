"""State of a group of the consumer protocol (KIP-848): members, target and current assignments.

The group has an epoch, which grows when a member or a subscribed topic comes, goes or changes. From
it a target assignment is computed, and each member moves to it on its own, one heartbeat a step:

    Stable              has what the target gives it
        the target is newer              -> Unrevoked, Unreleased or Stable, whatever is left to do
    UnrevokedPartitions must give partitions up first; keeps its epoch until it has
        it no longer reports them        -> on, under the next epoch
        rebalance timeout                -> fenced
    UnreleasedPartitions has the target's epoch, waits for partitions that others still hold
        they are free                    -> Stable

A partition is never given while another member may still use it. The group as a whole is shown as
Empty (no members), Assigning (no target for its epoch yet), Reconciling (a member is not there
yet) or Stable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any, Protocol

from pylog.coordinator.assignors import Assignment
from pylog.coordinator.effects import Effects
from pylog.coordinator.group_base import EpochGroup, GroupType
from pylog.coordinator.offsets import OffsetToCommit
from pylog.protocol.records.consumer_group import (
    ClassicMemberMetadata,
    ClassicProtocol,
    ConsumerGroupCurrentMemberAssignmentKey,
    ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMemberMetadataKey,
    ConsumerGroupMemberMetadataValue,
    ConsumerGroupMetadataKey,
    ConsumerGroupMetadataValue,
    ConsumerGroupPartitionMetadataKey,
    ConsumerGroupRegularExpressionKey,
    ConsumerGroupRegularExpressionValue,
    ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMemberValue,
    ConsumerGroupTargetAssignmentMetadataKey,
    ConsumerGroupTargetAssignmentMetadataValue,
    TopicPartition,
    TopicPartitions,
)

LEAVE = -1  # member epochs that ask for something
LEAVE_STATIC = -2


class MemberState(IntEnum):
    """As numbered in the log."""

    STABLE = 0
    UNREVOKED_PARTITIONS = 1
    UNRELEASED_PARTITIONS = 2


@dataclass(frozen=True, slots=True)
class ClassicSide:
    """What a member that speaks the classic protocol has told; protocols in its order."""

    session_timeout_ms: int
    protocols: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class ConsumerMember:
    """One member; a change makes another. ``assigned`` and ``revoking`` are what it may use."""

    member_id: str
    instance_id: str | None = None
    rack_id: str | None = None
    client_id: str = ""
    client_host: str = ""
    rebalance_timeout_ms: int = -1
    topics: tuple[str, ...] = ()
    regex: str | None = None
    assignor: str | None = None
    classic: ClassicSide | None = None
    epoch: int = 0
    previous_epoch: int = 0
    state: MemberState = MemberState.STABLE
    assigned: Assignment = field(default_factory=dict)
    revoking: Assignment = field(default_factory=dict)
    since: Mapping[tuple[bytes, int], int] = field(default_factory=dict)  # epoch, of all those

    def has_had(self, topic_id: bytes, partition: int, epoch: int) -> bool:
        """Whether it may use the partition, and might already at an epoch of before."""
        since = self.since.get((topic_id, partition))
        return since is not None and since <= epoch <= self.epoch

    def has_left_for_a_while(self) -> bool:
        """A static member whose place is kept."""
        return self.epoch == LEAVE_STATIC


class _ValueToken(Protocol):
    topic_id: bytes
    partitions: list[int]


class ConsumerGroup(EpochGroup[ConsumerMember]):
    """Data of one group. Steps read it; only the ``restore_`` methods change it."""

    type = GroupType.CONSUMER

    def __init__(self, group_id: str) -> None:
        super().__init__(group_id)
        self.epoch = 0
        self.metadata_hash = 0
        self.target_epoch = 0
        self.members: dict[str, ConsumerMember] = {}
        self.static_members: dict[str, str] = {}  # instance id to member id
        self.target: dict[str, Assignment] = {}
        self.regexes: dict[str, tuple[str, ...]] = {}  # to the topics that it matched
        self.owners: dict[tuple[bytes, int], str] = {}  # who may use a partition
        self.seen_revision = -1  # of the topics, at the last look; not stored
        self.told_to_rejoin: set[str] = set()  # classic members; not stored

    # ---- what it is ----

    @property
    def protocol_type(self) -> str | None:
        return "consumer"

    def state_name(self) -> str:
        if not self.members:
            return "Empty"
        if self.epoch > self.target_epoch:
            return "Assigning"
        behind = (m.epoch != self.target_epoch or m.state for m in self.members.values())
        return "Reconciling" if any(behind) else "Stable"

    def owner(self, topic_id: bytes, partition: int) -> str | None:
        return self.owners.get((topic_id, partition))

    def topics_of(self, member: ConsumerMember, regexes: Mapping[str, tuple[str, ...]]) -> set[str]:
        """The names that the member is subscribed to, by name or by expression."""
        return {*member.topics, *regexes.get(member.regex or "", ())}

    def subscribed_topics(
        self, members: Iterable[ConsumerMember], regexes: Mapping[str, tuple[str, ...]]
    ) -> set[str]:
        return set().union(*(self.topics_of(member, regexes) for member in members))

    # ---- offsets ----

    def _speaks_classic(self, member: ConsumerMember) -> bool:
        return member.classic is not None

    def _has_had(self, member: ConsumerMember, epoch: int, offset: OffsetToCommit) -> bool:
        return member.has_had(offset.topic_id, offset.partition, epoch)

    def check_offset_delete(self) -> None:
        """Topics that nobody is subscribed to may go at any time."""

    def is_subscribed(self, topic: str) -> bool:
        return any(topic in self.topics_of(m, self.regexes) for m in self.members.values())

    def offsets_idle_since_ms(self, commit_timestamp_ms: int) -> int | None:
        return commit_timestamp_ms

    # ---- records ----

    def write_tombstones(self, out: Effects) -> None:
        for member_id in self.members:
            write_member_gone(self.group_id, member_id, out)
        for regex in self.regexes:
            write_regex(self.group_id, regex, None, 0, out)
        out.write(ConsumerGroupTargetAssignmentMetadataKey(group_id=self.group_id), None)
        out.write(ConsumerGroupMetadataKey(group_id=self.group_id), None)

    def restore_epoch(self, value: ConsumerGroupMetadataValue | None) -> None:
        if value is None:
            return  # the shard forgets the group
        self.epoch = value.epoch
        self.metadata_hash = value.metadata_hash

    def restore_target_epoch(
        self, value: ConsumerGroupTargetAssignmentMetadataValue | None
    ) -> None:
        self.target_epoch = 0 if value is None else value.assignment_epoch

    def restore_target(
        self, member_id: str, value: ConsumerGroupTargetAssignmentMemberValue | None
    ) -> None:
        if value is None:
            self.target.pop(member_id, None)
        else:
            self.target[member_id] = _assignment(value.topic_partitions)

    def restore_regex(self, regex: str, value: ConsumerGroupRegularExpressionValue | None) -> None:
        if value is None:
            self.regexes.pop(regex, None)
        else:
            self.regexes[regex] = tuple(value.topics)

    def restore_member(
        self, member_id: str, value: ConsumerGroupMemberMetadataValue | None
    ) -> None:
        known = self.members.get(member_id)
        if value is None:
            if known is not None:
                self._forget(known)
            return
        member = _with_metadata(known or ConsumerMember(member_id), value)
        self.members[member_id] = member
        if member.instance_id is not None:
            self.static_members[member.instance_id] = member_id

    def _forget(self, member: ConsumerMember) -> None:
        del self.members[member.member_id]
        self._release(member)
        if self.static_members.get(member.instance_id or "") == member.member_id:
            del self.static_members[member.instance_id or ""]

    def restore_current(
        self, member_id: str, value: ConsumerGroupCurrentMemberAssignmentValue | None
    ) -> None:
        known = self.members.get(member_id)
        if known is not None:
            self._release(known)
        if value is None:
            if known is not None:
                self.members[member_id] = _with_current(known, _NO_CURRENT)
            return
        member = _with_current(known or ConsumerMember(member_id), value)
        self.members[member_id] = member
        for assignment in (member.assigned, member.revoking):
            for topic_id, partitions in assignment.items():
                for partition in partitions:
                    self.owners[topic_id, partition] = member_id

    def _release(self, member: ConsumerMember) -> None:
        for assignment in (member.assigned, member.revoking):
            for topic_id, partitions in assignment.items():
                for partition in partitions:
                    if self.owners.get((topic_id, partition)) == member.member_id:
                        del self.owners[topic_id, partition]


_NO_CURRENT = ConsumerGroupCurrentMemberAssignmentValue()


def _assignment(parts: Iterable[_ValueToken]) -> Assignment:
    return {part.topic_id: frozenset(part.partitions) for part in parts}


def _with_metadata(
    member: ConsumerMember, value: ConsumerGroupMemberMetadataValue
) -> ConsumerMember:
    classic = value.classic_member_metadata
    return ConsumerMember(
        member_id=member.member_id,
        instance_id=value.instance_id,
        rack_id=value.rack_id,
        client_id=value.client_id,
        client_host=value.client_host,
        rebalance_timeout_ms=value.rebalance_timeout_ms,
        topics=tuple(value.subscribed_topic_names),
        regex=value.subscribed_topic_regex or None,
        assignor=value.server_assignor,
        classic=None
        if classic is None
        else ClassicSide(
            classic.session_timeout_ms,
            tuple((p.name, p.metadata) for p in classic.supported_protocols),
        ),
        epoch=member.epoch,
        previous_epoch=member.previous_epoch,
        state=member.state,
        assigned=member.assigned,
        revoking=member.revoking,
        since=member.since,
    )


def _with_current(
    member: ConsumerMember, value: ConsumerGroupCurrentMemberAssignmentValue
) -> ConsumerMember:
    return replace(
        member,
        epoch=value.member_epoch,
        previous_epoch=value.previous_member_epoch,
        state=MemberState(value.state),
        assigned=_assignment(value.assigned_partitions),
        revoking=_assignment(value.partitions_pending_revocation),
        since={
            (part.topic_id, partition): epoch
            for parts in (value.assigned_partitions, value.partitions_pending_revocation)
            for part in parts
            for partition, epoch in _epochs(part, value.member_epoch)
        },
    )


def _epochs(part: TopicPartitions, member_epoch: int) -> Iterable[tuple[int, int]]:
    """Each partition with the epoch of its assignment, which older records don't tell."""
    epochs = part.assignment_epochs or [member_epoch] * len(part.partitions)
    return zip(part.partitions, epochs, strict=False)


RESTORES: dict[type, Callable[[ConsumerGroup, Any, Any], None]] = {
    ConsumerGroupMetadataKey: lambda group, _, value: group.restore_epoch(value),
    ConsumerGroupMemberMetadataKey: lambda group, key, value: group.restore_member(
        key.member_id, value
    ),
    ConsumerGroupTargetAssignmentMetadataKey: lambda group, _, value: group.restore_target_epoch(
        value
    ),
    ConsumerGroupTargetAssignmentMemberKey: lambda group, key, value: group.restore_target(
        key.member_id, value
    ),
    ConsumerGroupCurrentMemberAssignmentKey: lambda group, key, value: group.restore_current(
        key.member_id, value
    ),
    ConsumerGroupRegularExpressionKey: lambda group, key, value: group.restore_regex(
        key.regular_expression, value
    ),
    # What Kafka 4.0 wrote for the metadata hash of later releases.
    ConsumerGroupPartitionMetadataKey: lambda group, key, value: None,
}
"""How each type of record changes its group; the value is None for a tombstone."""


# ---- writing ----


def write_member(group_id: str, member: ConsumerMember, out: Effects) -> None:
    classic = member.classic
    value = ConsumerGroupMemberMetadataValue(
        instance_id=member.instance_id,
        rack_id=member.rack_id,
        client_id=member.client_id,
        client_host=member.client_host,
        subscribed_topic_names=list(member.topics),
        subscribed_topic_regex=member.regex,
        rebalance_timeout_ms=member.rebalance_timeout_ms,
        server_assignor=member.assignor,
        classic_member_metadata=None
        if classic is None
        else ClassicMemberMetadata(
            session_timeout_ms=classic.session_timeout_ms,
            supported_protocols=[
                ClassicProtocol(name=name, metadata=data) for name, data in classic.protocols
            ],
        ),
    )
    out.write(ConsumerGroupMemberMetadataKey(group_id=group_id, member_id=member.member_id), value)


def write_epoch(group_id: str, epoch: int, metadata_hash: int, out: Effects) -> None:
    value = ConsumerGroupMetadataValue(epoch=epoch, metadata_hash=metadata_hash)
    out.write(ConsumerGroupMetadataKey(group_id=group_id), value)


def write_target(group_id: str, member_id: str, target: Assignment, out: Effects) -> None:
    value = ConsumerGroupTargetAssignmentMemberValue(
        topic_partitions=[
            TopicPartition(topic_id=topic_id, partitions=sorted(partitions))
            for topic_id, partitions in target.items()
        ]
    )
    key = ConsumerGroupTargetAssignmentMemberKey(group_id=group_id, member_id=member_id)
    out.write(key, value)


def write_target_epoch(group_id: str, epoch: int, now_ms: int, out: Effects) -> None:
    value = ConsumerGroupTargetAssignmentMetadataValue(
        assignment_epoch=epoch, assignment_timestamp=now_ms
    )
    out.write(ConsumerGroupTargetAssignmentMetadataKey(group_id=group_id), value)


def write_current(group_id: str, member: ConsumerMember, out: Effects) -> None:
    value = ConsumerGroupCurrentMemberAssignmentValue(
        member_epoch=member.epoch,
        previous_member_epoch=member.previous_epoch,
        state=member.state,
        assigned_partitions=_stored(member.assigned, member.since),
        partitions_pending_revocation=_stored(member.revoking, member.since),
    )
    key = ConsumerGroupCurrentMemberAssignmentKey(group_id=group_id, member_id=member.member_id)
    out.write(key, value)


def _stored(
    assignment: Assignment, since: Mapping[tuple[bytes, int], int]
) -> list[TopicPartitions]:
    return [
        TopicPartitions(
            topic_id=topic_id,
            partitions=sorted(partitions),
            assignment_epochs=[since[topic_id, partition] for partition in sorted(partitions)],
        )
        for topic_id, partitions in assignment.items()
    ]


def write_regex(
    group_id: str, regex: str, topics: tuple[str, ...] | None, now_ms: int, out: Effects
) -> None:
    key = ConsumerGroupRegularExpressionKey(group_id=group_id, regular_expression=regex)
    value = None
    if topics is not None:
        value = ConsumerGroupRegularExpressionValue(topics=list(topics), timestamp=now_ms)
    out.write(key, value)


def write_member_gone(group_id: str, member_id: str, out: Effects) -> None:
    """The order is the reverse of how they came."""
    ids = {"group_id": group_id, "member_id": member_id}
    out.write(ConsumerGroupCurrentMemberAssignmentKey(**ids), None)
    out.write(ConsumerGroupTargetAssignmentMemberKey(**ids), None)
    out.write(ConsumerGroupMemberMetadataKey(**ids), None)
