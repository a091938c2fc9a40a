"""State of a classic group: members, votes, and the moves between its five states.

    Empty                no members, at most offsets
        a member joins                    -> PreparingRebalance (initial: waits for others)
        offsets gone, or deleted          -> Dead
    PreparingRebalance   members are asked to join again; their JoinGroup waits
        all joined, or time is up         -> CompletingRebalance
        nobody is left                    -> Empty
    CompletingRebalance  members know the generation; their SyncGroup waits for the leader's
        the leader's assignment is stored -> Stable
        a member joins anew, leaves, dies -> PreparingRebalance
    Stable               members have their assignments
        a member joins anew, leaves, dies -> PreparingRebalance
    Dead                 there is no such group: what DescribeGroups says of an unknown one

KIP-394 (member id required), KIP-345 (static members), KIP-814 (assignment skipped).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from pylog.coordinator.consumer_protocol import PROTOCOL_TYPE, subscribed_topics
from pylog.coordinator.effects import Effects, Promise
from pylog.coordinator.group_base import Committer, Group, GroupType
from pylog.coordinator.offsets import OffsetToCommit
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.records.classic_group import (
    GroupMetadataKey,
    GroupMetadataValue,
    MemberMetadata,
)

GROUP_METADATA_VERSION = 3  # what Kafka writes; 4 is read as well


class ClassicState(Enum):
    EMPTY = "Empty"
    PREPARING_REBALANCE = "PreparingRebalance"
    COMPLETING_REBALANCE = "CompletingRebalance"
    STABLE = "Stable"
    DEAD = "Dead"


_MAY_FOLLOW = {
    ClassicState.EMPTY: {ClassicState.PREPARING_REBALANCE},
    ClassicState.PREPARING_REBALANCE: {
        ClassicState.EMPTY,
        ClassicState.COMPLETING_REBALANCE,
        ClassicState.STABLE,
    },
    ClassicState.COMPLETING_REBALANCE: {ClassicState.PREPARING_REBALANCE},
    ClassicState.STABLE: {ClassicState.COMPLETING_REBALANCE},
}


@dataclass(slots=True)
class ClassicMember:
    """A member; ``protocols`` in the order of its preference, name to metadata."""

    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    rebalance_timeout_ms: int
    session_timeout_ms: int
    protocol_type: str
    protocols: dict[str, bytes]
    assignment: bytes = b""
    is_new: bool = False  # has never got its member id by a finished join
    join: Promise | None = None  # its JoinGroup waits
    sync: Promise | None = None  # its SyncGroup waits

    def session_is_held(self) -> bool:
        """A member that waits for us can't send heartbeats; a new one may be a ghost."""
        return not self.is_new and (self.join is not None or self.sync is not None)

    def has_protocols(self, protocols: dict[str, bytes]) -> bool:
        return list(self.protocols.items()) == list(protocols.items())


@dataclass(slots=True)
class InitialDelay:
    """How an initial rebalance waits for more members (group.initial.rebalance.delay.ms)."""

    delay_ms: int
    remaining_ms: int
    member_added: bool = field(default=False)


class ClassicGroup(Group):
    """Data of one group; the requests that move it are in ``group_classic``."""

    type = GroupType.CLASSIC

    def __init__(self, group_id: str, now_ms: int | None) -> None:
        super().__init__(group_id)
        self.state = ClassicState.EMPTY
        self.state_timestamp_ms = now_ms
        self.generation = 0
        self.protocol: str | None = None
        self.leader: str | None = None
        self.members: dict[str, ClassicMember] = {}
        self.static_members: dict[str, str] = {}  # instance id to member id
        self.pending_members: set[str] = set()  # were given an id, have not joined with it
        self.pending_sync: set[str] = set()  # have not sent SyncGroup in this generation
        self.initial_delay: InitialDelay | None = None  # while an initial rebalance waits
        self.topics: frozenset[str] | None = None  # subscribed; None: unknown
        self._protocol_type: str | None = None
        self._supported: dict[str, int] = {}  # members that support a protocol
        self._awaiting_join = 0

    # ---- what it is ----

    @property
    def protocol_type(self) -> str | None:
        return self._protocol_type

    def state_name(self) -> str:
        return self.state.value

    def is_in(self, *states: ClassicState) -> bool:
        return self.state in states

    def is_empty(self) -> bool:
        return self.state is ClassicState.EMPTY

    def can_rebalance(self) -> bool:
        return self.state in _MAY_FOLLOW[ClassicState.PREPARING_REBALANCE]

    def all_joined(self) -> bool:
        return self._awaiting_join == len(self.members) and not self.pending_members

    def awaiting_join_count(self) -> int:
        return self._awaiting_join

    def rebalance_timeout_ms(self) -> int:
        return max((m.rebalance_timeout_ms for m in self.members.values()), default=0)

    def supports(self, protocol_type: str, protocols: dict[str, bytes]) -> bool:
        """Whether a member with these protocols finds one that all others have."""
        if self.is_empty():
            return bool(protocol_type) and bool(protocols)
        if protocol_type != self._protocol_type:
            return False
        return any(self._supported.get(name) == len(self.members) for name in protocols)

    def select_protocol(self) -> str:
        """Each member votes for the first protocol of its list that all members have."""
        votes: dict[str, int] = {}
        for member in self.members.values():
            vote = next(p for p in member.protocols if self._supported[p] == len(self.members))
            votes[vote] = votes.get(vote, 0) + 1
        return max(votes, key=lambda name: votes[name])

    def check_member(self, member_id: str, instance_id: str | None) -> ClassicMember:
        if instance_id is not None:
            owner = self.static_members.get(instance_id)
            if owner is None:
                raise ApiError(ErrorCode.UNKNOWN_MEMBER_ID)
            if owner != member_id:
                raise ApiError(ErrorCode.FENCED_INSTANCE_ID)
        member = self.members.get(member_id)
        if member is None:
            raise ApiError(ErrorCode.UNKNOWN_MEMBER_ID)
        return member

    # ---- membership ----

    def add(self, member: ClassicMember) -> None:
        if member.instance_id is not None:
            self.static_members[member.instance_id] = member.member_id
        if not self.members:
            self._protocol_type = member.protocol_type
        if self.leader is None:
            self.leader = member.member_id
        self.members[member.member_id] = member
        self._count_protocols(member, 1)
        self._awaiting_join += member.join is not None
        self.pending_members.discard(member.member_id)

    def remove(self, member_id: str) -> ClassicMember | None:
        member = self.members.pop(member_id, None)
        if member is not None:
            self._count_protocols(member, -1)
            self._awaiting_join -= member.join is not None
            if member.instance_id is not None:
                del self.static_members[member.instance_id]
        if self.leader == member_id:
            self.leader = next(iter(self.members), None)
        self.pending_members.discard(member_id)
        self.pending_sync.discard(member_id)
        return member

    def replace_static(self, old_id: str, new_id: str) -> ClassicMember:
        """The instance came back under a new member id: it keeps assignment and leadership."""
        member = self.members.pop(old_id)
        member.member_id = new_id
        self.members[new_id] = member
        if member.instance_id is not None:
            self.static_members[member.instance_id] = new_id
        if self.leader == old_id:
            self.leader = new_id
        self.pending_sync.discard(old_id)
        return member

    def update(self, member: ClassicMember, protocols: dict[str, bytes]) -> None:
        self._count_protocols(member, -1)
        member.protocols = protocols
        self._count_protocols(member, 1)

    def await_join(self, member: ClassicMember, promise: Promise) -> None:
        self._awaiting_join += member.join is None
        member.join = promise

    def take_join(self, member: ClassicMember) -> Promise | None:
        promise, member.join = member.join, None
        self._awaiting_join -= promise is not None
        return promise

    def elect_joined_leader(self) -> bool:
        """Keep a leader that has joined again, or choose one; False when nobody has."""
        if self.leader is None:
            return False
        if self.members[self.leader].join is not None:
            return True
        joined = next((m.member_id for m in self.members.values() if m.join is not None), None)
        if joined is None:
            return False
        self.leader = joined
        return True

    def _count_protocols(self, member: ClassicMember, change: int) -> None:
        for name in member.protocols:
            self._supported[name] = self._supported.get(name, 0) + change

    # ---- moves ----

    def transition(self, state: ClassicState, now_ms: int) -> None:
        assert self.state in _MAY_FOLLOW[state], f"{self.state} -> {state}"
        self.state = state
        self.state_timestamp_ms = now_ms

    def next_generation(self, now_ms: int) -> None:
        """All that are left have joined: a protocol is chosen, assignments are awaited."""
        self.generation = self.generation % (2**31 - 1) + 1
        self.protocol = self.select_protocol()
        self.topics = self._subscribed_topics()
        self.pending_sync.clear()
        self.transition(ClassicState.COMPLETING_REBALANCE, now_ms)

    def _subscribed_topics(self) -> frozenset[str] | None:
        if self._protocol_type != PROTOCOL_TYPE:
            return None
        if not self.members:
            return frozenset()
        if self.protocol is None:
            return None
        topics: set[str] = set()
        for member in self.members.values():
            found = subscribed_topics(member.protocols[self.protocol])
            if found is None:
                return None
            topics.update(found)
        return frozenset(topics)

    # ---- what is stored ----

    def stored(self, assignments: dict[str, bytes], now_ms: int) -> GroupMetadataValue:
        """The value of the group's record, for the present generation."""
        protocol = self.protocol
        return GroupMetadataValue(
            protocol_type=self._protocol_type or "",
            generation=self.generation,
            protocol=protocol,
            leader=self.leader,
            current_state_timestamp=now_ms,
            members=[
                MemberMetadata(
                    member_id=m.member_id,
                    group_instance_id=m.instance_id,
                    client_id=m.client_id,
                    client_host=m.client_host,
                    rebalance_timeout=m.rebalance_timeout_ms,
                    session_timeout=m.session_timeout_ms,
                    subscription=m.protocols[protocol] if protocol is not None else b"",
                    assignment=assignments.get(m.member_id, b""),
                )
                for m in self.members.values()
            ],
        )

    def restore(self, value: GroupMetadataValue) -> None:
        """Apply the group's record to a group as it is while it runs, or to a new one."""
        if not self.members:
            self._protocol_type = value.protocol_type or None
        self.generation = value.generation
        self.protocol = value.protocol
        timestamp_ms = value.current_state_timestamp
        self.state_timestamp_ms = None if timestamp_ms == -1 else timestamp_ms
        for stored in value.members:
            member = self.members.get(stored.member_id)
            if member is None:
                member = _member_of(stored, value)
                self.add(member)
            member.assignment = stored.assignment
        self.leader = value.leader
        self.state = ClassicState.STABLE if self.members else ClassicState.EMPTY
        self.topics = self._subscribed_topics()

    def write_tombstones(self, out: Effects) -> None:
        out.write(GroupMetadataKey(group=self.group_id), None)

    # ---- offsets ----

    def check_commit(self, committer: Committer, offsets: Sequence[OffsetToCommit] = ()) -> None:
        if committer.epoch < 0 and self.is_empty():
            return  # a consumer that assigns itself, or an admin
        named = committer.member_id != "" or committer.instance_id is not None
        if committer.epoch >= 0 or named:
            self.check_member(committer.member_id, committer.instance_id)
            if committer.epoch != self.generation:
                raise ApiError(ErrorCode.ILLEGAL_GENERATION)
        elif not committer.transactional and not self.is_empty():
            raise ApiError(ErrorCode.UNKNOWN_MEMBER_ID)
        if not committer.transactional and self.is_in(ClassicState.COMPLETING_REBALANCE):
            raise ApiError(ErrorCode.REBALANCE_IN_PROGRESS)

    def check_fetch(self, member_id: str | None, member_epoch: int) -> None:
        """Anybody may."""

    def check_offset_delete(self) -> None:
        if not self.is_empty() and self._protocol_type != PROTOCOL_TYPE:
            raise ApiError(ErrorCode.NON_EMPTY_GROUP)

    def is_subscribed(self, topic: str) -> bool:
        if self.topics is None:
            return self._protocol_type == PROTOCOL_TYPE
        return topic in self.topics

    def offsets_idle_since_ms(self, commit_timestamp_ms: int) -> int | None:
        if self._protocol_type is None:
            return commit_timestamp_ms
        if self.is_empty():
            since = self.state_timestamp_ms
            return commit_timestamp_ms if since is None else since
        if self.is_in(ClassicState.STABLE) and self.topics is not None:
            return commit_timestamp_ms
        return None


def _member_of(stored: MemberMetadata, value: GroupMetadataValue) -> ClassicMember:
    timeout_ms = stored.rebalance_timeout
    return ClassicMember(
        member_id=stored.member_id,
        instance_id=stored.group_instance_id,
        client_id=stored.client_id,
        client_host=stored.client_host,
        rebalance_timeout_ms=stored.session_timeout if timeout_ms == -1 else timeout_ms,
        session_timeout_ms=stored.session_timeout,
        protocol_type=value.protocol_type,
        protocols={value.protocol or "": stored.subscription},
    )
