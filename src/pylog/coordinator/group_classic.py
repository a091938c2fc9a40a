"""The classic group protocol: JoinGroup, SyncGroup, Heartbeat, LeaveGroup and their time limits.

States and moves are drawn in ``classic_state``. Time limits, by name of the timer:

    ("session", group, member)  no heartbeat for session.timeout.ms: the member is removed
    ("join", group)             rebalance: who has not joined is removed; initial: more may come
    ("sync", group)             who has not sent SyncGroup is removed, and the group rebalances
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from pylog.coordinator.classic_state import (
    GROUP_METADATA_VERSION,
    ClassicGroup,
    ClassicMember,
    ClassicState,
    InitialDelay,
)
from pylog.coordinator.effects import Effects, Promise
from pylog.coordinator.group_base import Client, GroupSettings
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.heartbeat import HeartbeatRequest, HeartbeatResponse
from pylog.protocol.messages.join_group import (
    JoinGroupRequest,
    JoinGroupResponse,
    JoinGroupResponseMember,
)
from pylog.protocol.messages.leave_group import (
    LeaveGroupRequest,
    LeaveGroupResponse,
    MemberIdentity,
    MemberResponse,
)
from pylog.protocol.messages.sync_group import SyncGroupRequest, SyncGroupResponse
from pylog.protocol.records.classic_group import GroupMetadataKey

if TYPE_CHECKING:
    from pylog.coordinator.effects import TimerName

_REQUIRES_MEMBER_ID = 4  # JoinGroup version, KIP-394
_SKIPS_ASSIGNMENT = 9  # JoinGroup version, KIP-814

_PREPARING = ClassicState.PREPARING_REBALANCE
_COMPLETING = ClassicState.COMPLETING_REBALANCE
_STABLE = ClassicState.STABLE


def session_timer(group_id: str, member_id: str) -> TimerName:
    return ("session", group_id, member_id)


def join_timer(group_id: str) -> TimerName:
    return ("join", group_id)


def sync_timer(group_id: str) -> TimerName:
    return ("sync", group_id)


class ClassicGroups:
    """The steps of classic groups. Each takes the group it is about; the shard finds it."""

    def __init__(self, settings: GroupSettings, new_id: Callable[[], str]) -> None:
        self._settings = settings
        self._new_id = new_id

    # ---- JoinGroup ----

    def join(
        self,
        group: ClassicGroup,
        request: JoinGroupRequest,
        client: Client,
        promise: Promise,
        now_ms: int,
    ) -> Effects:
        out = Effects()
        if not self._has_room(group, request.member_id):
            self._turn_away(group, request.member_id, now_ms, out)
            _refuse_join(out, promise, ErrorCode.GROUP_MAX_SIZE_REACHED)
        elif not group.supports(request.protocol_type, _protocols(request)):
            _refuse_join(out, promise, ErrorCode.INCONSISTENT_GROUP_PROTOCOL, request.member_id)
        elif request.member_id == "":
            self._join_unknown(group, request, client, promise, now_ms, out)
        else:
            self._join_known(group, request, client, promise, now_ms, out)
        return out

    def _has_room(self, group: ClassicGroup, member_id: str) -> bool:
        if group.is_empty():
            return True
        member = group.members.get(member_id)
        if group.is_in(_PREPARING):
            if member is not None and member.join is not None:
                return True
            return group.awaiting_join_count() < self._settings.max_size
        return member is not None or len(group.members) < self._settings.max_size

    def _turn_away(self, group: ClassicGroup, member_id: str, now_ms: int, out: Effects) -> None:
        """group.max.size was lowered, and this member came last: nobody waits for it."""
        group.remove(member_id)
        if group.is_in(_PREPARING):
            self._rebalance(group, now_ms, out)

    def _join_unknown(
        self,
        group: ClassicGroup,
        request: JoinGroupRequest,
        client: Client,
        promise: Promise,
        now_ms: int,
        out: Effects,
    ) -> None:
        instance_id = request.group_instance_id
        member_id = f"{client.client_id if instance_id is None else instance_id}-{self._new_id()}"
        if instance_id is not None:
            old_id = group.static_members.get(instance_id)
            if old_id is not None:
                self._rejoin_static(group, request, client, old_id, member_id, promise, now_ms, out)
            else:
                self._add(group, request, client, member_id, promise, now_ms, out)
        elif client.version >= _REQUIRES_MEMBER_ID:
            group.pending_members.add(member_id)
            timer = session_timer(group.group_id, member_id)
            out.set_timer(timer, request.session_timeout_ms)
            _refuse_join(out, promise, ErrorCode.MEMBER_ID_REQUIRED, member_id)
        else:
            self._add(group, request, client, member_id, promise, now_ms, out)

    def _join_known(
        self,
        group: ClassicGroup,
        request: JoinGroupRequest,
        client: Client,
        promise: Promise,
        now_ms: int,
        out: Effects,
    ) -> None:
        member_id = request.member_id
        if member_id in group.pending_members and request.group_instance_id is None:
            self._add(group, request, client, member_id, promise, now_ms, out)
            return
        try:
            member = group.check_member(member_id, request.group_instance_id)
        except ApiError as error:
            _refuse_join(out, promise, error.code, member_id)
            return
        changed = not member.has_protocols(_protocols(request))
        leads = group.leader == member_id
        if group.is_in(_PREPARING) or changed or (group.is_in(_STABLE) and leads):
            self._rejoin(group, request, member, promise, now_ms, out)
        else:  # it has missed our answer, most likely: the same again
            out.reply(promise, _joined(group, member, with_members=leads))

    def _add(
        self,
        group: ClassicGroup,
        request: JoinGroupRequest,
        client: Client,
        member_id: str,
        promise: Promise,
        now_ms: int,
        out: Effects,
    ) -> None:
        group.add(
            ClassicMember(
                member_id=member_id,
                instance_id=request.group_instance_id,
                client_id=client.client_id,
                client_host=client.host,
                rebalance_timeout_ms=request.rebalance_timeout_ms,
                session_timeout_ms=request.session_timeout_ms,
                protocol_type=request.protocol_type,
                protocols=_protocols(request),
                is_new=True,
                join=promise,
            )
        )
        if group.initial_delay is not None:
            group.initial_delay.member_added = True
        timer = session_timer(group.group_id, member_id)
        out.set_timer(timer, self._settings.new_member_join_timeout_ms)
        self._rebalance(group, now_ms, out)

    def _rejoin(
        self,
        group: ClassicGroup,
        request: JoinGroupRequest,
        member: ClassicMember,
        promise: Promise,
        now_ms: int,
        out: Effects,
    ) -> None:
        _update(group, member, request)
        _supersede_join(group, member, out)
        group.await_join(member, promise)
        self._rebalance(group, now_ms, out)

    def _rejoin_static(
        self,
        group: ClassicGroup,
        request: JoinGroupRequest,
        client: Client,
        old_id: str,
        new_id: str,
        promise: Promise,
        now_ms: int,
        out: Effects,
    ) -> None:
        """A static member came back: no rebalance when nothing changes for the others."""
        _fence(group, group.members[old_id], out)
        old_leader = group.leader
        member = group.replace_static(old_id, new_id)
        out.cancel_timer(session_timer(group.group_id, old_id))
        _update(group, member, request)
        self._hold_session(group, member, out)
        if group.is_in(_STABLE) and group.select_protocol() == group.protocol:
            assignments = {m.member_id: m.assignment for m in group.members.values()}
            self._store(group, assignments, now_ms, out)
            skips = client.version >= _SKIPS_ASSIGNMENT
            answer = _joined(group, member, with_members=skips and group.leader == new_id)
            answer.skip_assignment = skips and group.leader == new_id
            if not skips:  # or the client would compute an assignment that nobody waits for
                answer.leader = old_leader or ""
            out.reply(promise, answer)
            return
        group.await_join(member, promise)
        self._rebalance(group, now_ms, out)

    # ---- the rebalance ----

    def _rebalance(self, group: ClassicGroup, now_ms: int, out: Effects) -> None:
        """Start one, or finish the one under way when its last member has come."""
        if group.can_rebalance():
            self._prepare(group, now_ms, out)
        elif group.is_in(_PREPARING) and group.initial_delay is None and group.all_joined():
            self._complete_join(group, now_ms, out)

    def _prepare(self, group: ClassicGroup, now_ms: int, out: Effects) -> None:
        if group.is_in(_COMPLETING):
            self._cancel_sync(group, out)
        group.pending_sync.clear()
        out.cancel_timer(sync_timer(group.group_id))
        initial = group.is_empty()
        group.transition(_PREPARING, now_ms)
        if initial:
            delay_ms = self._settings.initial_rebalance_delay_ms
            remaining_ms = max(group.rebalance_timeout_ms() - delay_ms, 0)
            group.initial_delay = InitialDelay(delay_ms, remaining_ms)
            out.set_timer(join_timer(group.group_id), delay_ms)
        elif group.all_joined():
            self._complete_join(group, now_ms, out)
        else:
            out.set_timer(join_timer(group.group_id), group.rebalance_timeout_ms())

    def _cancel_sync(self, group: ClassicGroup, out: Effects) -> None:
        answer = SyncGroupResponse(error_code=ErrorCode.REBALANCE_IN_PROGRESS)
        for member in group.members.values():
            member.assignment = b""
            if member.sync is not None:
                out.reply(member.sync, answer)
                member.sync = None
                self._hold_session(group, member, out)

    def _join_time_is_up(self, group: ClassicGroup, now_ms: int, out: Effects) -> None:
        delay = group.initial_delay
        if delay is not None and delay.member_added and delay.remaining_ms > 0:
            next_ms = min(self._settings.initial_rebalance_delay_ms, delay.remaining_ms)
            remaining_ms = max(delay.remaining_ms - delay.delay_ms, 0)
            group.initial_delay = InitialDelay(next_ms, remaining_ms)
            out.set_timer(join_timer(group.group_id), next_ms)
        elif group.is_in(_PREPARING):
            self._complete_join(group, now_ms, out)

    def _complete_join(self, group: ClassicGroup, now_ms: int, out: Effects) -> None:
        group.initial_delay = None
        out.cancel_timer(join_timer(group.group_id))
        for member in [m for m in group.members.values() if m.join is None]:
            if member.instance_id is None:
                group.remove(member.member_id)
                out.cancel_timer(session_timer(group.group_id, member.member_id))
        if not group.members:
            self._store_empty(group, now_ms, out)
        elif not group.elect_joined_leader():
            # Only static members are left, and none has come: their sessions decide.
            out.set_timer(join_timer(group.group_id), group.rebalance_timeout_ms())
        else:
            self._begin_generation(group, now_ms, out)

    def _begin_generation(self, group: ClassicGroup, now_ms: int, out: Effects) -> None:
        group.next_generation(now_ms)
        for member in group.members.values():
            promise = group.take_join(member)
            if promise is not None:
                leads = group.leader == member.member_id
                out.reply(promise, _joined(group, member, with_members=leads))
            self._hold_session(group, member, out)
            member.is_new = False
            group.pending_sync.add(member.member_id)
        out.set_timer(sync_timer(group.group_id), group.rebalance_timeout_ms())

    # ---- SyncGroup ----

    def sync(
        self, group: ClassicGroup, request: SyncGroupRequest, promise: Promise, now_ms: int
    ) -> Effects:
        out = Effects()
        member = group.check_member(request.member_id, request.group_instance_id)
        if request.generation_id != group.generation:
            raise ApiError(ErrorCode.ILLEGAL_GENERATION)
        _check_same(request.protocol_type, group.protocol_type)
        _check_same(request.protocol_name, group.protocol)
        if group.is_in(_PREPARING):
            raise ApiError(ErrorCode.REBALANCE_IN_PROGRESS)
        group.pending_sync.discard(member.member_id)
        if not group.pending_sync:
            out.cancel_timer(sync_timer(group.group_id))
        if group.is_in(_STABLE):
            out.reply(promise, _synced(group, member.assignment))
            return out
        if member.sync is not None:
            out.reply(member.sync, SyncGroupResponse(error_code=ErrorCode.REBALANCE_IN_PROGRESS))
        member.sync = promise
        if group.leader == member.member_id:
            given = {a.member_id: a.assignment for a in request.assignments}
            self._finish(group, given, now_ms, out)
        return out

    def _finish(
        self, group: ClassicGroup, given: dict[str, bytes], now_ms: int, out: Effects
    ) -> None:
        """The leader has assigned: the group is stored, and stable as the record is replayed."""
        assignments = {member_id: given.get(member_id, b"") for member_id in group.members}
        self._store(group, assignments, now_ms, out)
        for member in group.members.values():
            if member.sync is not None:
                out.reply(member.sync, _synced(group, assignments[member.member_id]))
                member.sync = None
                self._hold_session(group, member, out)

    # ---- Heartbeat, LeaveGroup ----

    def heartbeat(
        self, group: ClassicGroup, request: HeartbeatRequest, promise: Promise
    ) -> Effects:
        out = Effects()
        member = group.check_member(request.member_id, request.group_instance_id)
        if request.generation_id != group.generation:
            raise ApiError(ErrorCode.ILLEGAL_GENERATION)
        self._hold_session(group, member, out)
        rebalances = group.is_in(_PREPARING)
        code = ErrorCode.REBALANCE_IN_PROGRESS if rebalances else ErrorCode.NONE
        out.reply(promise, HeartbeatResponse(error_code=code))
        return out

    def leave(
        self, group: ClassicGroup, request: LeaveGroupRequest, promise: Promise, now_ms: int
    ) -> Effects:
        out = Effects()
        answers = [self._leave_one(group, identity, out) for identity in request.members]
        if any(answer.error_code == ErrorCode.NONE for answer in answers):
            self._rebalance(group, now_ms, out)
        out.reply(promise, LeaveGroupResponse(members=answers))
        return out

    def _leave_one(
        self, group: ClassicGroup, identity: MemberIdentity, out: Effects
    ) -> MemberResponse:
        answer = MemberResponse(
            member_id=identity.member_id, group_instance_id=identity.group_instance_id
        )
        member_id = identity.member_id
        if member_id == "" and identity.group_instance_id is not None:
            member_id = group.static_members.get(identity.group_instance_id, "")
        try:
            if member_id in group.pending_members:
                group.remove(member_id)
                out.cancel_timer(session_timer(group.group_id, member_id))
            else:
                member = group.check_member(member_id, identity.group_instance_id)
                self._remove(group, member, out)
        except ApiError as error:
            answer.error_code = error.code
        return answer

    def _remove(self, group: ClassicGroup, member: ClassicMember, out: Effects) -> None:
        out.cancel_timer(session_timer(group.group_id, member.member_id))
        promise = group.take_join(member)
        if promise is not None:  # a client that still waits shall join anew
            _refuse_join(out, promise, ErrorCode.UNKNOWN_MEMBER_ID)
        if member.sync is not None:
            out.reply(member.sync, SyncGroupResponse(error_code=ErrorCode.UNKNOWN_MEMBER_ID))
        group.remove(member.member_id)

    # ---- time ----

    def hold_session(self, group: ClassicGroup, member_id: str, out: Effects) -> None:
        """The member has shown that it lives in another way: by a commit."""
        member = group.members.get(member_id)
        if member is not None and group.is_in(_STABLE, _PREPARING):
            self._hold_session(group, member, out)

    def _hold_session(self, group: ClassicGroup, member: ClassicMember, out: Effects) -> None:
        timer = session_timer(group.group_id, member.member_id)
        out.set_timer(timer, member.session_timeout_ms)

    def on_loaded(self, groups: Iterable[ClassicGroup], now_ms: int, out: Effects) -> None:
        """Members that the log knows get a whole session to show that they live."""
        for group in groups:
            for member in group.members.values():
                self._hold_session(group, member, out)
            if len(group.members) > self._settings.max_size:
                self._prepare(group, now_ms, out)

    def on_session_timer(
        self, group: ClassicGroup, member_id: str, now_ms: int, out: Effects
    ) -> None:
        member = group.members.get(member_id)
        if member_id in group.pending_members:
            group.remove(member_id)
        elif member is None or member.session_is_held():
            return
        else:
            self._remove(group, member, out)
        if group.is_in(_PREPARING) and group.all_joined():
            self._complete_join(group, now_ms, out)
        elif member is not None and group.is_in(_STABLE, _COMPLETING):
            self._prepare(group, now_ms, out)

    def rebalance(self, group: ClassicGroup, now_ms: int, out: Effects) -> None:
        """From outside: the group has just become a classic one again."""
        self._rebalance(group, now_ms, out)

    def on_join_timer(self, group: ClassicGroup, now_ms: int, out: Effects) -> None:
        self._join_time_is_up(group, now_ms, out)

    def on_sync_timer(self, group: ClassicGroup, now_ms: int, out: Effects) -> None:
        if not group.pending_sync or not group.is_in(_COMPLETING, _STABLE):
            return
        for member_id in list(group.pending_sync):
            group.remove(member_id)
            out.cancel_timer(session_timer(group.group_id, member_id))
        self._prepare(group, now_ms, out)

    # ---- records ----

    def _store(
        self, group: ClassicGroup, assignments: dict[str, bytes], now_ms: int, out: Effects
    ) -> None:
        value = group.stored(assignments, now_ms)
        out.write(GroupMetadataKey(group=group.group_id), value, GROUP_METADATA_VERSION)

    def _store_empty(self, group: ClassicGroup, now_ms: int, out: Effects) -> None:
        group.generation = group.generation % (2**31 - 1) + 1
        group.protocol = None
        self._store(group, {}, now_ms, out)


def _protocols(request: JoinGroupRequest) -> dict[str, bytes]:
    return {protocol.name: protocol.metadata for protocol in request.protocols}


def _update(group: ClassicGroup, member: ClassicMember, request: JoinGroupRequest) -> None:
    group.update(member, _protocols(request))
    member.rebalance_timeout_ms = request.rebalance_timeout_ms
    member.session_timeout_ms = request.session_timeout_ms


def _check_same(asked: str | None, chosen: str | None) -> None:
    if asked is not None and chosen is not None and asked != chosen:
        raise ApiError(ErrorCode.INCONSISTENT_GROUP_PROTOCOL)


def _refuse_join(out: Effects, promise: Promise, code: ErrorCode, member_id: str = "") -> None:
    out.reply(promise, JoinGroupResponse(error_code=code, member_id=member_id))


def _supersede_join(group: ClassicGroup, member: ClassicMember, out: Effects) -> None:
    """The client gave up an earlier JoinGroup and sent another: the first may not wait on."""
    promise = group.take_join(member)
    if promise is not None:
        _refuse_join(out, promise, ErrorCode.REBALANCE_IN_PROGRESS, member.member_id)


def _fence(group: ClassicGroup, member: ClassicMember, out: Effects) -> None:
    promise = group.take_join(member)
    if promise is not None:
        _refuse_join(out, promise, ErrorCode.FENCED_INSTANCE_ID, member.member_id)
    if member.sync is not None:
        out.reply(member.sync, SyncGroupResponse(error_code=ErrorCode.FENCED_INSTANCE_ID))
        member.sync = None


def _joined(group: ClassicGroup, member: ClassicMember, *, with_members: bool) -> JoinGroupResponse:
    members = []
    if with_members:
        assert group.protocol is not None
        members = [
            JoinGroupResponseMember(
                member_id=m.member_id,
                group_instance_id=m.instance_id,
                metadata=m.protocols[group.protocol],
            )
            for m in group.members.values()
        ]
    return JoinGroupResponse(
        generation_id=group.generation,
        protocol_type=group.protocol_type,
        protocol_name=group.protocol,
        leader=group.leader or "",
        member_id=member.member_id,
        members=members,
    )


def _synced(group: ClassicGroup, assignment: bytes) -> SyncGroupResponse:
    return SyncGroupResponse(
        protocol_type=group.protocol_type, protocol_name=group.protocol, assignment=assignment
    )
