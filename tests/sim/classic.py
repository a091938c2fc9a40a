"""Members of a classic group who talk to a :class:`World`; their methods return the answers."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable, Mapping

from tests.sim.world import Waiting, World

from pylog.coordinator.group import GroupShard, Surroundings
from pylog.coordinator.group_base import Client, Committer, GroupSettings
from pylog.coordinator.offsets import OffsetToCommit
from pylog.protocol.messages.heartbeat import HeartbeatRequest
from pylog.protocol.messages.join_group import JoinGroupRequest, JoinGroupRequestProtocol
from pylog.protocol.messages.leave_group import LeaveGroupRequest, MemberIdentity
from pylog.protocol.messages.sync_group import SyncGroupRequest, SyncGroupRequestAssignment

GROUP = "orders"
SETTINGS = GroupSettings()


def new_world(settings: GroupSettings = SETTINGS) -> World[GroupShard]:
    numbers = itertools.count(1)
    return World(lambda: GroupShard(Surroundings(settings, lambda: str(next(numbers)))))


def subscription(*topics: str) -> bytes:
    """A consumer's metadata, version 0."""
    names = b"".join(struct.pack(">h", len(t)) + t.encode() for t in topics)
    return struct.pack(">hi", 0, len(topics)) + names + struct.pack(">i", -1)


class Member:
    """A client of the group; it remembers its member id and generation from what it hears."""

    def __init__(
        self,
        world: World[GroupShard],
        name: str,
        *,
        instance: str | None = None,
        protocols: Mapping[str, bytes] | None = None,
        version: int = 9,
        session_timeout_ms: int = 10_000,
        rebalance_timeout_ms: int = 60_000,
        group: str = GROUP,
    ) -> None:
        self.world = world
        self.client = Client(name, "/10.0.0.1", version)
        self.instance = instance
        self.protocols = dict(protocols or {"range": subscription("events")})
        self.protocol_type = "consumer"
        self.session_timeout_ms = session_timeout_ms
        self.rebalance_timeout_ms = rebalance_timeout_ms
        self.group = group
        self.id = ""
        self.generation = -1

    def joins(self) -> Waiting:
        """JoinGroup; a first answer that only gives the member id is followed at once."""
        waiting = self.asks_to_join()
        if not waiting.waits and waiting.error is None and waiting.answer.error_code == 79:
            self.id = waiting.answer.member_id
            waiting = self.asks_to_join()
        return waiting

    def asks_to_join(self) -> Waiting:
        request = JoinGroupRequest(
            group_id=self.group,
            session_timeout_ms=self.session_timeout_ms,
            rebalance_timeout_ms=self.rebalance_timeout_ms,
            member_id=self.id,
            group_instance_id=self.instance,
            protocol_type=self.protocol_type,
            protocols=[
                JoinGroupRequestProtocol(name=n, metadata=m) for n, m in self.protocols.items()
            ],
        )
        return self.world.ask(lambda shard, p, now: shard.join(request, self.client, p, now))

    def learns(self, joined: Waiting) -> None:
        """Take member id and generation from an answer to JoinGroup."""
        answer = joined.heard()
        assert answer.error_code == 0, answer
        self.id, self.generation = answer.member_id, answer.generation_id

    def syncs(self, assignments: Mapping[str, bytes] | None = None) -> Waiting:
        request = SyncGroupRequest(
            group_id=self.group,
            generation_id=self.generation,
            member_id=self.id,
            group_instance_id=self.instance,
            assignments=[
                SyncGroupRequestAssignment(member_id=m, assignment=a)
                for m, a in (assignments or {}).items()
            ],
        )
        return self.world.ask(lambda shard, p, now: shard.sync(request, p, now))

    def beats(self) -> Waiting:
        request = HeartbeatRequest(
            group_id=self.group,
            generation_id=self.generation,
            member_id=self.id,
            group_instance_id=self.instance,
        )
        return self.world.ask(lambda shard, p, now: shard.heartbeat(request, p))

    def leaves(self) -> Waiting:
        identity = MemberIdentity(member_id=self.id, group_instance_id=self.instance)
        return self.ask_to_leave([identity])

    def ask_to_leave(self, identities: list[MemberIdentity]) -> Waiting:
        request = LeaveGroupRequest(group_id=self.group, members=identities)
        return self.world.ask(lambda shard, p, now: shard.leave(request, p, now))

    def commits(self, offset: int, partition: int = 0, topic: str = "events") -> Waiting:
        committer = Committer(self.id, self.instance, self.generation, self.client.version)
        offsets = [OffsetToCommit(topic, partition, offset, -1, "note")]
        return self.world.ask(
            lambda shard, p, now: shard.commit(self.group, committer, offsets, -1, p, now)
        )


def committed(world: World[GroupShard], partition: int = 0, topic: str = "events") -> int | None:
    """What a fetch of the group's offset tells."""
    topics = [(topic, bytes(16), [partition])]
    waiting = world.ask(
        lambda shard, p, now: shard.fetch_offsets(GROUP, (None, -1), topics, False, p)
    )
    [(_, [fetched])] = waiting.heard()
    return None if fetched.committed is None else fetched.committed.offset


def form(world: World[GroupShard], members: Iterable[Member]) -> Member:
    """All join, sync, and hold an assignment ``member id``; returns the leader."""
    members = list(members)
    joined = [member.joins() for member in members]
    world.after(SETTINGS.initial_rebalance_delay_ms)
    world.after(SETTINGS.initial_rebalance_delay_ms)
    for member, waiting in zip(members, joined, strict=True):
        member.learns(waiting)
    return assign(members, joined)


def assign(members: list[Member], joined: list[Waiting]) -> Member:
    """The leader assigns each member its own id; everybody hears its own."""
    leader = next(m for m, w in zip(members, joined, strict=True) if w.heard().leader == m.id)
    assignments = {m.id: m.id.encode() for m in members}
    waiting = {m.id: m.syncs(assignments if m is leader else None) for m in members}
    for member_id, waits in waiting.items():
        assert waits.heard().assignment == member_id.encode()
    return leader
