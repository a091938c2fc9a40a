"""What a streams group is in memory and in ``__consumer_offsets``; ``group_streams`` has its steps.

States of the group, told from its data (KIP-1071):

    Empty         no members
    NotReady      the topics don't fit the topology yet
    Assigning     the target is older than the group's epoch
    Reconciling   some member is not at the target yet
    Stable        all are

States of a member, and what moves it at its next heartbeat:

    STABLE            -> a newer target, by way of the two others
    UNREVOKED_TASKS   -> it has given up what the target does not have
    UNRELEASED_TASKS  -> others have given up what it is to get
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from pylog.coordinator.effects import Effects
from pylog.coordinator.group_base import EpochGroup, GroupType
from pylog.coordinator.offsets import OffsetToCommit
from pylog.coordinator.streams_tasks import HeldTasks, Role, Task, Tasks
from pylog.coordinator.streams_topics import ConfiguredTopology
from pylog.coordinator.streams_topology import Topology
from pylog.protocol.messages.streams_group_heartbeat import EndpointToPartitions
from pylog.protocol.records import streams_group as records

LEAVE = -1  # member epochs that ask for something
LEAVE_STATIC = -2

FIRST_EPOCH = 1  # of a new group, before anything was assigned
NO_EPOCH = -1


class MemberState(IntEnum):
    """As numbered in the log."""

    STABLE = 1
    UNREVOKED_TASKS = 2
    UNRELEASED_TASKS = 3
    UNKNOWN = 127  # of a later release: the member has to come back with nothing

    @classmethod
    def _missing_(cls, value: object) -> MemberState:
        return cls.UNKNOWN


@dataclass(frozen=True, slots=True)
class StreamsMember:
    """One member: a thread of the application. A change makes another."""

    member_id: str
    instance_id: str | None = None
    rack_id: str | None = None
    client_id: str = ""
    client_host: str = ""
    rebalance_timeout_ms: int = -1
    topology_epoch: int = NO_EPOCH
    process_id: str = ""
    endpoint: tuple[str, int] | None = None  # where its state can be asked, host and port
    tags: Mapping[str, str] = field(default_factory=dict)
    epoch: int = 0
    previous_epoch: int = 0
    state: MemberState = MemberState.STABLE
    assigned: HeldTasks = field(default_factory=HeldTasks)
    revoking: HeldTasks = field(default_factory=HeldTasks)

    def is_reconciled_to(self, epoch: int) -> bool:
        return self.state is MemberState.STABLE and self.epoch == epoch

    def has_left_for_a_while(self) -> bool:
        """A static member whose place is kept."""
        return self.epoch == LEAVE_STATIC


@dataclass(frozen=True, slots=True)
class TaskOffsets:
    """How far a member has restored its tasks, as it last said; not stored."""

    offsets: Mapping[Task, int] = field(default_factory=dict)
    end_offsets: Mapping[Task, int] = field(default_factory=dict)


class StreamsGroup(EpochGroup[StreamsMember]):
    """Data of one group. Steps read it; only replays change what is stored."""

    type = GroupType.STREAMS

    def __init__(self, group_id: str) -> None:
        super().__init__(group_id)
        self.epoch = FIRST_EPOCH
        self.metadata_hash = 0
        self.validated_topology_epoch = NO_EPOCH
        self.assignment_configs: dict[str, str] = {}
        self.description_epochs = (NO_EPOCH, NO_EPOCH)  # stored, failed; of a Kafka's plug-in
        self.target_epoch = FIRST_EPOCH
        self.target_time_ms = 0
        self.target: dict[str, Tasks] = {}
        self.topology: Topology | None = None
        self.members: dict[str, StreamsMember] = {}
        self.static_members: dict[str, str] = {}  # instance id to member id
        self.holders: dict[tuple[Role, Task], set[str]] = {}  # members that may use a task
        # Not stored: a restart forgets it.
        self.configured: ConfiguredTopology | None = None
        self.seen_revision = -1  # of the topics, at the last look
        self.task_offsets: dict[str, TaskOffsets] = {}
        self.shutdown_by: str | None = None  # who has asked all members to stop
        self.delayed = False  # the first assignment waits for more members
        self.endpoint_epoch = 0
        self.endpoints: dict[str, EndpointToPartitions] = {}  # by member, as far as made

    # ---- what it is ----

    @property
    def protocol_type(self) -> str | None:
        return "streams"

    def state_name(self) -> str:
        if not self.members:
            return "Empty"
        if self.topology is None or self.topology.epoch != self.validated_topology_epoch:
            return "NotReady"
        if self.epoch > self.target_epoch:
            return "Assigning"
        there = all(m.is_reconciled_to(self.target_epoch) for m in self.members.values())
        return "Stable" if there else "Reconciling"

    # ---- offsets ----

    def _speaks_classic(self, member: StreamsMember) -> bool:
        return False

    def _has_had(self, member: StreamsMember, epoch: int, offset: OffsetToCommit) -> bool:
        reader = self.topology.reader_of(offset.topic) if self.topology is not None else None
        task = (reader or "", offset.partition)
        since = member.assigned.active.get(task, member.revoking.active.get(task))
        return since is not None and since <= epoch

    def check_offset_delete(self) -> None:
        """Topics that the topology does not read may go at any time."""

    def is_subscribed(self, topic: str) -> bool:
        if not self.members or self.topology is None:
            return False
        return self.topology.reader_of(topic) is not None

    def offsets_idle_since_ms(self, commit_timestamp_ms: int) -> int | None:
        return commit_timestamp_ms

    # ---- records ----

    def write_tombstones(self, out: Effects) -> None:
        for member_id in self.members:
            ids = {"group_id": self.group_id, "member_id": member_id}
            out.write(records.StreamsGroupCurrentMemberAssignmentKey(**ids), None)
            out.write(records.StreamsGroupTargetAssignmentMemberKey(**ids), None)
        out.write(records.StreamsGroupTargetAssignmentMetadataKey(group_id=self.group_id), None)
        for member_id in self.members:
            key = records.StreamsGroupMemberMetadataKey(group_id=self.group_id, member_id=member_id)
            out.write(key, None)
        out.write(records.StreamsGroupMetadataKey(group_id=self.group_id), None)
        out.write(records.StreamsGroupTopologyKey(group_id=self.group_id), None)

    # ---- replay ----

    def put(self, member: StreamsMember) -> None:
        before = self.members.get(member.member_id)
        if before is not None:
            self._release(before)
        self.members[member.member_id] = member
        if member.instance_id is not None:
            self.static_members[member.instance_id] = member.member_id
        for holding in _holdings(member):
            self.holders.setdefault(holding, set()).add(member.member_id)

    def remove(self, member_id: str) -> None:
        member = self.members.pop(member_id, None)
        if member is None:
            return
        self._release(member)
        self.task_offsets.pop(member_id, None)
        if not self.members:
            self.shutdown_by = None

    def _release(self, member: StreamsMember) -> None:
        self.endpoints.pop(member.member_id, None)
        if self.static_members.get(member.instance_id or "") == member.member_id:
            del self.static_members[member.instance_id or ""]
        for holding in _holdings(member):
            holders = self.holders.get(holding, set())
            holders.discard(member.member_id)
            if not holders:
                self.holders.pop(holding, None)


def _holdings(member: StreamsMember) -> Iterator[tuple[Role, Task]]:
    for held in (member.assigned, member.revoking):
        for role, tasks in held.tasks:
            for task in tasks:
                yield role, task
