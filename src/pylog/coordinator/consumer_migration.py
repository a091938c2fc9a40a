"""Members of both protocols in one group (KIP-848): upgrade, life together, downgrade.

A consumer group takes members that speak the classic protocol: JoinGroup is their heartbeat that
says everything, SyncGroup fetches what the server has assigned, Heartbeat tells them to join again.
A classic group becomes a consumer group when its first member of the new protocol joins, and a
classic one again when the last of them leaves, or a classic member takes its place. Time limits
beside those of ``group_consumer``:

    ("rejoin", group, member)  was told to join again and has not: fenced
    ("sync", group, member)    has joined and not fetched its assignment: fenced
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from pylog.coordinator.assignors import Assignment
from pylog.coordinator.classic_state import (
    GROUP_METADATA_VERSION,
    ClassicGroup,
    ClassicMember,
    ClassicState,
)
from pylog.coordinator.consumer_protocol import (
    PROTOCOL_TYPE,
    decode_assignment,
    decode_subscription,
    encode_assignment,
    version_of,
)
from pylog.coordinator.consumer_state import (
    RESTORES,
    ClassicSide,
    ConsumerGroup,
    ConsumerMember,
    MemberState,
    write_current,
    write_epoch,
    write_member,
    write_target,
    write_target_epoch,
)
from pylog.coordinator.effects import Effects, Promise, TimerName
from pylog.coordinator.group_base import Client
from pylog.coordinator.group_classic import join_timer, sync_timer
from pylog.coordinator.group_consumer import (
    ConsumerGroups,
    check_instance,
    rebalance_timer,
    session_timer,
    successor,
)
from pylog.coordinator.topics_view import TopicsView
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.consumer_protocol import ConsumerProtocolSubscription
from pylog.protocol.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from pylog.protocol.messages.join_group import JoinGroupRequest, JoinGroupResponse
from pylog.protocol.messages.leave_group import LeaveGroupRequest, MemberResponse
from pylog.protocol.messages.sync_group import SyncGroupRequest, SyncGroupResponse
from pylog.protocol.records.classic_group import GroupMetadataKey
from pylog.protocol.wire import WireError

_REQUIRES_MEMBER_ID = 4  # JoinGroup version, KIP-394


def _rejoin_timer(group_id: str, member_id: str) -> TimerName:
    return ("rejoin", group_id, member_id)


def downgraded_timer(group_id: str) -> TimerName:
    """Due at once: a group that is classic again rebalances."""
    return ("downgraded", group_id)


def _sync_timer(group_id: str, member_id: str) -> TimerName:
    return ("sync", group_id, member_id)


class ClassicMembers:
    """Steps of classic members of a consumer group."""

    def __init__(self, groups: ConsumerGroups, max_classic_size: int) -> None:
        self._groups = groups
        self._max_classic_size = max_classic_size

    # ---- JoinGroup ----

    def join(
        self,
        group: ConsumerGroup,
        request: JoinGroupRequest,
        client: Client,
        promise: Promise,
        now_ms: int,
    ) -> Effects:
        out = Effects()
        _check_protocols(group, request)
        subscription = _subscription(request)
        dynamic = request.group_instance_id is None
        if request.member_id == "" and dynamic and client.version >= _REQUIRES_MEMBER_ID:
            member_id = f"{client.client_id}-{self._groups.new_id()}"
            code = ErrorCode.MEMBER_ID_REQUIRED
            out.reply(promise, JoinGroupResponse(error_code=code, member_id=member_id))
            return out
        member_id = request.member_id
        if member_id == "":
            member_id = f"{request.group_instance_id or client.client_id}-{self._groups.new_id()}"
        known, replaced = self._member(group, request, member_id)
        updated = replace(
            known,
            instance_id=request.group_instance_id or known.instance_id,
            rack_id=subscription.rack_id or known.rack_id,
            client_id=client.client_id,
            client_host=client.host,
            rebalance_timeout_ms=request.rebalance_timeout_ms,
            topics=tuple(sorted(set(subscription.topics))),
            regex=None,
            assignor=None,
            classic=ClassicSide(
                request.session_timeout_ms,
                tuple((p.name, p.metadata) for p in request.protocols),
            ),
        )
        if replaced is not None and self._was_the_last(group, replaced):
            epoch = group.epoch
            self._downgrade(group, replaced, updated, now_ms, out)
        else:
            owned = self._by_id({p.topic: p.partitions for p in subscription.owned_partitions})
            epoch = self._join(group, known, updated, replaced, owned, now_ms, out)
        response = JoinGroupResponse(
            member_id=member_id,
            generation_id=epoch,
            protocol_type=PROTOCOL_TYPE,
            protocol_name=request.protocols[0].name,
        )
        out.reply(promise, response)
        return out

    def _join(
        self,
        group: ConsumerGroup,
        known: ConsumerMember,
        updated: ConsumerMember,
        replaced: ConsumerMember | None,
        owned: Assignment,
        now_ms: int,
        out: Effects,
    ) -> int:
        """The epoch that the member has then."""
        group_id, member_id = group.group_id, updated.member_id
        assert updated.classic is not None
        if replaced is not None and replaced.member_id != member_id:
            self._groups.write_successor(group, replaced, known, out)
        plan = self._groups.plan(group, updated, replaced)
        if updated != known or member_id not in group.members:
            write_member(group_id, updated, out)
        self._groups.advance(plan, updated.topics != known.topics, now_ms, out)
        after = self._groups.reconciled(plan, updated, owned, out)
        group.told_to_rejoin.discard(member_id)
        out.cancel_timer(_rejoin_timer(group_id, member_id))
        out.set_timer(session_timer(group_id, member_id), updated.classic.session_timeout_ms)
        out.set_timer(_sync_timer(group_id, member_id), updated.rebalance_timeout_ms)
        return after.epoch

    def _was_the_last(self, group: ConsumerGroup, replaced: ConsumerMember) -> bool:
        """Whether nobody else speaks the consumer protocol."""
        others = (m for m in group.members.values() if m is not replaced)
        classic = all(member.classic is not None for member in others)
        fits = len(group.members) <= self._max_classic_size
        return replaced.classic is None and classic and fits

    def _downgrade(
        self,
        group: ConsumerGroup,
        replaced: ConsumerMember,
        updated: ConsumerMember,
        now_ms: int,
        out: Effects,
    ) -> None:
        """The classic member has the place of the last of the other protocol, and its target."""
        left = [m for m in group.members.values() if m is not replaced]
        target = {**group.target, updated.member_id: group.target.get(replaced.member_id, {})}
        out.cancel_timer(rebalance_timer(group.group_id, replaced.member_id))
        out.cancel_timer(session_timer(group.group_id, replaced.member_id))
        write_classic(group, [*left, updated], target, self._groups.topics(), now_ms, out)
        if updated.topics != replaced.topics or replaced.regex is not None:
            out.set_timer(downgraded_timer(group.group_id), 0)

    def _member(
        self, group: ConsumerGroup, request: JoinGroupRequest, member_id: str
    ) -> tuple[ConsumerMember, ConsumerMember | None]:
        instance_id = request.group_instance_id
        holder = None if instance_id is None else group.static_member(instance_id)
        if holder is None:
            return group.members.get(member_id) or ConsumerMember(member_id), None
        if request.member_id != "":
            check_instance(holder, member_id)
            return holder, None
        return successor(holder, member_id), holder

    def _by_id(self, topics: dict[str, list[int]]) -> Assignment:
        view = self._groups.topics()
        return {
            view.by_name[name].topic_id: frozenset(partitions)
            for name, partitions in topics.items()
            if name in view.by_name
        }

    # ---- SyncGroup, Heartbeat, LeaveGroup ----

    def sync(self, group: ConsumerGroup, request: SyncGroupRequest, promise: Promise) -> Effects:
        out = Effects()
        member = self._classic(group, request.member_id, request.group_instance_id)
        assert member.classic is not None
        if member.epoch != request.generation_id:
            raise ApiError(ErrorCode.ILLEGAL_GENERATION)
        name, metadata = member.classic.protocols[0]
        wrong_type = request.protocol_type not in (None, PROTOCOL_TYPE)
        if wrong_type or request.protocol_name not in (None, name):
            raise ApiError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
        if group.epoch > member.epoch and member.state != MemberState.UNREVOKED_PARTITIONS:
            raise ApiError(ErrorCode.REBALANCE_IN_PROGRESS)
        out.cancel_timer(_sync_timer(group.group_id, member.member_id))
        self._hold_session(group, member, out)
        assignment = _assignment_bytes(member.assigned, self._groups.topics(), metadata)
        response = SyncGroupResponse(
            protocol_type=request.protocol_type,
            protocol_name=request.protocol_name,
            assignment=assignment,
        )
        out.reply(promise, response)
        return out

    def heartbeat(
        self, group: ConsumerGroup, request: HeartbeatRequest, promise: Promise
    ) -> Effects:
        out = Effects()
        member = self._classic(group, request.member_id, request.group_instance_id)
        if member.epoch != request.generation_id:
            raise ApiError(ErrorCode.ILLEGAL_GENERATION)
        self._hold_session(group, member, out)
        code = ErrorCode.NONE
        if self._has_to_rejoin(group, member):
            code = ErrorCode.REBALANCE_IN_PROGRESS
            if member.member_id not in group.told_to_rejoin:
                group.told_to_rejoin.add(member.member_id)
                timer = _rejoin_timer(group.group_id, member.member_id)
                out.set_timer(timer, member.rebalance_timeout_ms)
        out.reply(promise, HeartbeatResponse(error_code=code))
        return out

    def _has_to_rejoin(self, group: ConsumerGroup, member: ConsumerMember) -> bool:
        if member.epoch < group.epoch or member.state == MemberState.UNREVOKED_PARTITIONS:
            return True
        if member.state != MemberState.UNRELEASED_PARTITIONS:
            return False
        target = group.target.get(member.member_id, {})
        owners = {group.owner(t, p) for t, partitions in target.items() for p in partitions}
        return owners <= {None, member.member_id}

    def leaving(
        self, group: ConsumerGroup, request: LeaveGroupRequest
    ) -> tuple[list[str], list[MemberResponse]]:
        """Who is to be fenced, and what each is told."""
        gone: list[str] = []
        answers = []
        for identity in request.members:
            answer = MemberResponse(
                member_id=identity.member_id, group_instance_id=identity.group_instance_id
            )
            try:
                if identity.member_id == "" and identity.group_instance_id is not None:
                    holder = group.static_member(identity.group_instance_id)
                    member_id = "" if holder is None else holder.member_id
                else:
                    member_id = identity.member_id
                member = _named(group, member_id, identity.group_instance_id)
                gone.append(member.member_id)
            except ApiError as error:
                answer.error_code = error.code
            answers.append(answer)
        return gone, answers

    def _classic(
        self, group: ConsumerGroup, member_id: str, instance_id: str | None
    ) -> ConsumerMember:
        member = _named(group, member_id, instance_id)
        if member.classic is None:
            raise ApiError(ErrorCode.UNKNOWN_MEMBER_ID)
        return member

    def _hold_session(self, group: ConsumerGroup, member: ConsumerMember, out: Effects) -> None:
        assert member.classic is not None
        timer = session_timer(group.group_id, member.member_id)
        out.set_timer(timer, member.classic.session_timeout_ms)


def _named(group: ConsumerGroup, member_id: str, instance_id: str | None) -> ConsumerMember:
    if instance_id is None:
        return group.member(member_id)
    holder = group.static_member(instance_id)
    if holder is None:
        raise ApiError(ErrorCode.UNKNOWN_MEMBER_ID)
    check_instance(holder, member_id)
    return holder


def _check_protocols(group: ConsumerGroup, request: JoinGroupRequest) -> None:
    """The classic members must have a protocol in common, should they be alone again."""
    names = {protocol.name for protocol in request.protocols}
    if request.protocol_type != PROTOCOL_TYPE or not names:
        raise ApiError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    for member in group.members.values():
        if member.classic is not None and member.member_id != request.member_id:
            names &= {name for name, _ in member.classic.protocols}
    if not names:
        raise ApiError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)


def _subscription(request: JoinGroupRequest) -> ConsumerProtocolSubscription:
    try:
        return decode_subscription(request.protocols[0].metadata)
    except WireError as error:
        raise ApiError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL) from error


def _assignment_bytes(assigned: Assignment, topics: TopicsView, metadata: bytes) -> bytes:
    by_name = {
        topics.names[topic_id]: sorted(partitions)
        for topic_id, partitions in assigned.items()
        if topic_id in topics.names
    }
    return encode_assignment(by_name, version_of(metadata))


# ---- upgrade and downgrade ----


def can_upgrade(group: ClassicGroup, max_size: int) -> bool:
    return group.protocol_type == PROTOCOL_TYPE and len(group.members) <= max_size


def upgrade(group: ClassicGroup, topics: TopicsView, now_ms: int, out: Effects) -> ConsumerGroup:
    """The classic group's members and assignments as a consumer group's; GROUP_ID_NOT_FOUND when
    what they wrote can't be read. Members that wait are told to join again."""
    try:
        members = [_upgraded(member, group, topics) for member in group.members.values()]
    except WireError as error:
        raise ApiError(ErrorCode.GROUP_ID_NOT_FOUND, str(error)) from error
    again = ErrorCode.REBALANCE_IN_PROGRESS
    for waiting in group.members.values():
        promise = group.take_join(waiting)
        if promise is not None:
            refusal = JoinGroupResponse(error_code=again, member_id=waiting.member_id)
            out.reply(promise, refusal)
        if waiting.sync is not None:
            out.reply(waiting.sync, SyncGroupResponse(error_code=again))
            waiting.sync = None
    out.cancel_timer(join_timer(group.group_id))
    out.cancel_timer(sync_timer(group.group_id))
    group.write_tombstones(out)
    return _written(group.group_id, group.generation, members, now_ms, out)


def _upgraded(member: ClassicMember, group: ClassicGroup, topics: TopicsView) -> ConsumerMember:
    protocols = tuple(member.protocols.items())
    subscription = decode_subscription(protocols[0][1])
    assigned = {
        topics.by_name[name].topic_id: frozenset(partitions)
        for name, partitions in decode_assignment(member.assignment).items()
        if name in topics.by_name
    }
    return ConsumerMember(
        member_id=member.member_id,
        instance_id=member.instance_id,
        rack_id=subscription.rack_id,
        client_id=member.client_id,
        client_host=member.client_host,
        rebalance_timeout_ms=member.rebalance_timeout_ms,
        topics=tuple(sorted(set(subscription.topics))),
        classic=ClassicSide(member.session_timeout_ms, protocols),
        epoch=group.generation,
        previous_epoch=group.generation,
        assigned=assigned,
        since={(t, p): group.generation for t, some in assigned.items() for p in some},
    )


def _written(
    group_id: str, epoch: int, members: list[ConsumerMember], now_ms: int, out: Effects
) -> ConsumerGroup:
    """Write a consumer group as it is, and give the group that the replay will make."""
    begin = len(out.records)
    for member in members:
        write_member(group_id, member, out)
    write_epoch(group_id, epoch, 0, out)
    for member in members:
        write_target(group_id, member.member_id, member.assigned, out)
    write_target_epoch(group_id, epoch, now_ms, out)
    for member in members:
        write_current(group_id, member, out)
        assert member.classic is not None
        timer = session_timer(group_id, member.member_id)
        out.set_timer(timer, member.classic.session_timeout_ms)
    group = ConsumerGroup(group_id)
    for record in out.records[begin:]:
        RESTORES[type(record.key)](group, record.key, record.value)
    return group


def can_downgrade(group: ConsumerGroup, gone: set[str], max_size: int) -> bool:
    """Whether only classic members are left, and at least one."""
    left = [m for m in group.members.values() if m.member_id not in gone]
    return 0 < len(left) <= max_size and all(m.classic is not None for m in left)


def downgrade(
    group: ConsumerGroup, gone: set[str], topics: TopicsView, now_ms: int, out: Effects
) -> None:
    """Write the classic group of those that are left; a timer that is due has it rebalance."""
    for member_id in gone:
        out.cancel_timer(session_timer(group.group_id, member_id))
    left = [member for member in group.members.values() if member.member_id not in gone]
    write_classic(group, left, group.target, topics, now_ms, out)
    out.set_timer(downgraded_timer(group.group_id), 0)


def write_classic(
    group: ConsumerGroup,
    members: Iterable[ConsumerMember],
    target: Mapping[str, Assignment],
    topics: TopicsView,
    now_ms: int,
    out: Effects,
) -> None:
    """A stable classic group of these members, each with its target, instead of the group."""
    group.write_tombstones(out)
    classic = ClassicGroup(group.group_id, now_ms)
    classic.generation = group.epoch
    for member in members:
        classic.add(_downgraded(member))
        assert member.classic is not None
        timer = session_timer(group.group_id, member.member_id)
        out.set_timer(timer, member.classic.session_timeout_ms)
    classic.protocol = classic.select_protocol()
    classic.state = ClassicState.STABLE
    assignments = {
        member_id: _assignment_bytes(
            target.get(member_id, {}), topics, member.protocols[classic.protocol]
        )
        for member_id, member in classic.members.items()
    }
    value = classic.stored(assignments, now_ms)
    out.write(GroupMetadataKey(group=group.group_id), value, GROUP_METADATA_VERSION)


def _downgraded(member: ConsumerMember) -> ClassicMember:
    assert member.classic is not None
    return ClassicMember(
        member_id=member.member_id,
        instance_id=member.instance_id,
        client_id=member.client_id,
        client_host=member.client_host,
        rebalance_timeout_ms=member.rebalance_timeout_ms,
        session_timeout_ms=member.classic.session_timeout_ms,
        protocol_type=PROTOCOL_TYPE,
        protocols=dict(member.classic.protocols),
    )
