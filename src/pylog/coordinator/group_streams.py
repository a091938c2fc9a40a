"""The streams group protocol (KIP-1071): threads send heartbeats, the broker assigns tasks.

States and moves are drawn in ``streams_state``; ``streams_reconcile`` has the step of one member,
``streams_topics`` what the topics have to be like. Time limits, by name of the timer:

    ("session", group, member)    no heartbeat for the session timeout: fenced
    ("rebalance", group, member)  tasks not given up in the member's rebalance timeout: fenced
    ("delayed", group)            a group that was empty waits for more members, then assigns
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from pylog.coordinator.effects import Effects, Promise, TimerName
from pylog.coordinator.group_base import Client
from pylog.coordinator.group_consumer import rebalance_timer, session_timer
from pylog.coordinator.streams_answers import (
    StreamsBeat,
    missing_tags,
    partitions_by_endpoint,
    shutdown,
    stale_topology,
    status,
    tell_tasks,
)
from pylog.coordinator.streams_assignor import AssignableMember, TaskKind, assign
from pylog.coordinator.streams_reconcile import reconcile
from pylog.coordinator.streams_records import (
    write_current,
    write_epoch,
    write_member,
    write_member_gone,
    write_target,
    write_target_epoch,
    write_topology,
)
from pylog.coordinator.streams_requests import (
    JOIN,
    changes_assignment,
    check_owned,
    owned_tasks,
    told_offsets,
    updated_member,
)
from pylog.coordinator.streams_state import (
    LEAVE_STATIC,
    NO_EPOCH,
    MemberState,
    StreamsGroup,
    StreamsMember,
    TaskOffsets,
)
from pylog.coordinator.streams_tasks import HeldTasks, Role, Task, Tasks
from pylog.coordinator.streams_topics import ConfiguredTopology, StatusCode, configured
from pylog.coordinator.streams_topology import Topology, read_topology
from pylog.coordinator.topics_view import TopicsView
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.streams_group_heartbeat import (
    Status,
    StreamsGroupHeartbeatRequest,
    StreamsGroupHeartbeatResponse,
)


@dataclass(frozen=True, slots=True)
class StreamsSettings:
    """What holds for one group: broker settings, or the group's own (resource type GROUP)."""

    session_timeout_ms: int = 45_000
    heartbeat_interval_ms: int = 5_000
    max_size: int = 2**31 - 1
    standby_replicas: int = 0
    initial_rebalance_delay_ms: int = 3_000
    assignment_interval_ms: int = 1_000
    task_offset_interval_ms: int = 60_000
    acceptable_recovery_lag: int = 10_000
    rack_aware_tags: tuple[str, ...] = ()

    def assignment_configs(self) -> dict[str, str]:
        """What an assignment depends on: stored with it, so that a change makes another."""
        configs = {"num.standby.replicas": str(self.standby_replicas)}
        if self.rack_aware_tags:
            configs["rack.aware.assignment.tags"] = ",".join(self.rack_aware_tags)
        return configs


def delay_timer(group_id: str) -> TimerName:
    return ("delayed", group_id)


@dataclass(slots=True)
class _Plan:
    """A group as it will be after the step: what later parts of the step go by."""

    group: StreamsGroup
    settings: StreamsSettings
    configured: ConfiguredTopology
    members: dict[str, StreamsMember]
    target: dict[str, Tasks]
    epoch: int
    target_epoch: int
    notes: list[Status] = field(default_factory=list)


class StreamsGroups:
    """The steps of streams groups. Each takes the group it is about; the shard finds it."""

    def __init__(
        self,
        settings_of: Callable[[str], StreamsSettings],
        topics: Callable[[], TopicsView],
    ) -> None:
        self._settings_of = settings_of
        self._topics = topics

    # ---- StreamsGroupHeartbeat ----

    def heartbeat(
        self,
        group: StreamsGroup,
        request: StreamsGroupHeartbeatRequest,
        client: Client,
        promise: Promise,
        now_ms: int,
        out: Effects,
    ) -> None:
        """Every refusal comes before the first change; the answer is a StreamsBeat."""
        settings = self._settings_of(group.group_id)
        _check_room(group, request, settings.max_size)
        owned = owned_tasks(request)
        known, replaced = _member(group, request, owned)
        updated = updated_member(known, request, client)
        topology = _topology(group, request)
        fitted, fingerprint = self._configured(group, topology)
        if fitted.is_ready:
            check_owned(owned, fitted)
        before = group.task_offsets.get(updated.member_id, TaskOffsets())
        offsets = told_offsets(request, before)

        plan = _plan(group, settings, fitted, updated, replaced)
        changed = _write_description(plan, known, updated, replaced, topology, out)
        self._remember(group, updated.member_id, fitted, offsets)
        plan.notes += stale_topology(updated, topology.epoch)
        self._advance(plan, changed, fingerprint, now_ms, out)
        after = self._reconciled(plan, updated, owned, out)
        out.set_timer(session_timer(group.group_id, updated.member_id), settings.session_timeout_ms)
        if request.shutdown_application:
            group.shutdown_by = group.shutdown_by or updated.member_id
        response = self._response(plan, known, after, request, client.version)
        out.reply(promise, StreamsBeat(response, fitted.missing))

    def _configured(
        self, group: StreamsGroup, topology: Topology
    ) -> tuple[ConfiguredTopology, int]:
        """The topology beside the topics of now, and a fingerprint of these."""
        topics, last = self._topics(), group.configured
        same = last is not None and last.topology is topology
        if last is not None and same and topics.revision == group.seen_revision:
            return last, group.metadata_hash
        fingerprint = topics.fingerprint(topology.required_topics())
        if last is not None and same and fingerprint == group.metadata_hash:
            return last, fingerprint
        return configured(topology, topics), fingerprint

    def _remember(
        self, group: StreamsGroup, member_id: str, fitted: ConfiguredTopology, offsets: TaskOffsets
    ) -> None:
        if fitted is not group.configured:
            group.endpoints.clear()
        group.configured = fitted
        group.seen_revision = self._topics().revision
        if offsets != group.task_offsets.get(member_id, TaskOffsets()):
            group.task_offsets[member_id] = offsets

    # ---- epoch and target ----

    def _advance(
        self, plan: _Plan, changed: bool, fingerprint: int, now_ms: int, out: Effects
    ) -> None:
        """Raise the epoch when members, topics or settings have changed; then the target."""
        group, configs = plan.group, plan.settings.assignment_configs()
        validated = plan.configured.topology.epoch if plan.configured.is_ready else NO_EPOCH
        changed |= fingerprint != group.metadata_hash
        changed |= validated != group.validated_topology_epoch
        changed |= configs != group.assignment_configs
        if changed:
            plan.epoch += 1
            write_epoch(group, plan.epoch, fingerprint, validated, configs, out)
        delay_ms = plan.settings.initial_rebalance_delay_ms
        if group.is_empty() and delay_ms > 0 and not group.delayed:
            group.delayed = True
            out.set_timer(delay_timer(group.group_id), delay_ms)
        if group.delayed:
            plan.target = {}
            reason = "Assignment delayed due to the configured initial rebalance delay."
            plan.notes.append(status(StatusCode.ASSIGNMENT_DELAYED, reason))
        elif plan.epoch > plan.target_epoch:
            self._assign_if_due(plan, now_ms, out)

    def _assign_if_due(self, plan: _Plan, now_ms: int, out: Effects) -> None:
        last_ms, interval_ms = plan.group.target_time_ms, plan.settings.assignment_interval_ms
        if last_ms and interval_ms and now_ms < last_ms + interval_ms:
            reason = "Assignment delayed due to the configured assignment interval."
            plan.notes.append(status(StatusCode.ASSIGNMENT_DELAYED, reason))
        else:
            _assign(plan, now_ms, out)

    def on_timer(self, group: StreamsGroup, name: TimerName, now_ms: int, out: Effects) -> None:
        if name == delay_timer(group.group_id):
            self._on_delay_timer(group, now_ms, out)
        elif name[-1] in group.members:
            self.fence(group, name[-1], out)

    def _on_delay_timer(self, group: StreamsGroup, now_ms: int, out: Effects) -> None:
        """Who has come by now is assigned to."""
        group.delayed = False
        if not group.members or group.configured is None or group.epoch <= group.target_epoch:
            return
        settings = self._settings_of(group.group_id)
        _assign(_plan(group, settings, group.configured), now_ms, out)

    # ---- reconciliation ----

    def _reconciled(
        self, plan: _Plan, member: StreamsMember, owned: Tasks | None, out: Effects
    ) -> StreamsMember:
        group_id, member_id = plan.group.group_id, member.member_id
        others = _Others(plan, member)
        target = plan.target.get(member_id, Tasks())
        after = reconcile(member, plan.target_epoch, target, owned, others.leave_free)
        if after != member:
            write_current(group_id, after, out)
            if after.state is MemberState.UNREVOKED_TASKS:
                out.set_timer(rebalance_timer(group_id, member_id), after.rebalance_timeout_ms)
            else:
                out.cancel_timer(rebalance_timer(group_id, member_id))
        plan.members[member_id] = after
        return after

    # ---- the answer ----

    def _response(
        self,
        plan: _Plan,
        known: StreamsMember,
        after: StreamsMember,
        request: StreamsGroupHeartbeatRequest,
        version: int,
    ) -> StreamsGroupHeartbeatResponse:
        group, settings = plan.group, plan.settings
        response = StreamsGroupHeartbeatResponse(
            member_id=after.member_id,
            member_epoch=after.epoch,
            heartbeat_interval_ms=settings.heartbeat_interval_ms,
            task_offset_interval_ms=settings.task_offset_interval_ms,
            acceptable_recovery_lag=settings.acceptable_recovery_lag,
        )
        moved = after.assigned != known.assigned
        if moved or request.member_epoch == JOIN or _missed_an_answer(request, after):
            tell_tasks(response, after)
        if after.endpoint != known.endpoint or (moved and after.endpoint is not None):
            group.endpoint_epoch += 1
        if group.endpoint_epoch != request.endpoint_information_epoch:
            response.partitions_by_user_endpoint = partitions_by_endpoint(
                group, plan.members, after, plan.configured, self._topics()
            )
        response.endpoint_information_epoch = group.endpoint_epoch
        problem = plan.configured.problem
        if problem is not None:
            plan.notes.append(status(*problem))
        plan.notes += shutdown(group)
        plan.notes += missing_tags(after, settings.rack_aware_tags, version)
        response.status = plan.notes
        return response

    # ---- leaving ----

    def leave(
        self,
        group: StreamsGroup,
        request: StreamsGroupHeartbeatRequest,
        promise: Promise,
        out: Effects,
    ) -> None:
        if request.instance_id is None:
            member = group.member(request.member_id)
        else:
            member = _holder(group, request)
        if request.shutdown_application:
            group.shutdown_by = group.shutdown_by or member.member_id
        if request.instance_id is not None and request.member_epoch == LEAVE_STATIC:
            kept = member.assigned.with_epochs_forgotten()
            gone = replace(member, epoch=LEAVE_STATIC, assigned=kept, revoking=HeldTasks())
            write_current(group.group_id, gone, out)
        else:
            self.fence(group, member.member_id, out)
        response = StreamsGroupHeartbeatResponse(
            member_id=request.member_id, member_epoch=request.member_epoch
        )
        out.reply(promise, StreamsBeat(response))

    def fence(self, group: StreamsGroup, member_id: str, out: Effects) -> None:
        """It is gone; the others get its tasks under the next epoch."""
        _write_gone(group.group_id, member_id, out)
        validated, configs = group.validated_topology_epoch, group.assignment_configs
        write_epoch(group, group.epoch + 1, group.metadata_hash, validated, configs, out)
        if len(group.members) == 1:
            write_target_epoch(group.group_id, group.epoch + 1, 0, out)

    # ---- time ----

    def on_loaded(self, group: StreamsGroup, out: Effects) -> None:
        """Members that the log knows get a whole session to show that they live."""
        timeout_ms = self._settings_of(group.group_id).session_timeout_ms
        for member in group.members.values():
            out.set_timer(session_timer(group.group_id, member.member_id), timeout_ms)
            if member.state is MemberState.UNREVOKED_TASKS:
                timer = rebalance_timer(group.group_id, member.member_id)
                out.set_timer(timer, member.rebalance_timeout_ms)


# ---- who asks ----


def _check_room(group: StreamsGroup, request: StreamsGroupHeartbeatRequest, max_size: int) -> None:
    if request.member_epoch != JOIN or request.instance_id in group.static_members:
        return
    if len(group.members) >= max_size and request.member_id not in group.members:
        raise ApiError(
            ErrorCode.GROUP_MAX_SIZE_REACHED,
            f"The streams group has reached its maximum capacity of {max_size} members.",
        )


def _member(
    group: StreamsGroup, request: StreamsGroupHeartbeatRequest, owned: Tasks | None
) -> tuple[StreamsMember, StreamsMember | None]:
    """The member as it was, and the one whose place it takes as the same instance."""
    joins = request.member_epoch == JOIN
    if not joins:
        if request.instance_id is None:
            known = group.member(request.member_id)
        else:
            known = _holder(group, request)
        _check_epoch(known, request.member_epoch, owned)
        return known, None
    holder = None if request.instance_id is None else group.static_member(request.instance_id)
    if holder is None:
        return group.members.get(request.member_id) or StreamsMember(request.member_id), None
    if not holder.has_left_for_a_while():
        raise ApiError(
            ErrorCode.UNRELEASED_INSTANCE_ID,
            f"Static member {request.member_id} with instance id {request.instance_id} cannot "
            f"join the group because the instance id is owned by {holder.member_id} member.",
        )
    return replace(holder, member_id=request.member_id, epoch=0, previous_epoch=0), holder


def _holder(group: StreamsGroup, request: StreamsGroupHeartbeatRequest) -> StreamsMember:
    """The member that the instance is, which has to be the one that asks."""
    holder = group.static_member(request.instance_id or "")
    if holder is None:
        raise ApiError(
            ErrorCode.UNKNOWN_MEMBER_ID, f"Instance id {request.instance_id} is unknown."
        )
    if holder.member_id != request.member_id:
        raise ApiError(
            ErrorCode.FENCED_INSTANCE_ID,
            f"Static member {request.member_id} with instance id {request.instance_id} was "
            f"fenced by member {holder.member_id}.",
        )
    return holder


def _check_epoch(member: StreamsMember, epoch: int, owned: Tasks | None) -> None:
    """An older epoch is the retry of a request whose answer was lost, or of a zombie."""
    if epoch == member.epoch:
        return
    retries = owned is not None and owned.within(member.assigned.tasks)
    if epoch < member.epoch and epoch == member.previous_epoch and retries:
        return
    than = "greater" if epoch > member.epoch else "smaller"
    raise ApiError(
        ErrorCode.FENCED_MEMBER_EPOCH,
        f"The streams group member has a {than} member epoch ({epoch}) than the one known by the "
        f"group coordinator ({member.epoch}). The member must abandon all its partitions and "
        "rejoin.",
    )


def _topology(group: StreamsGroup, request: StreamsGroupHeartbeatRequest) -> Topology:
    """The first member's holds; a later one may be behind it, but not ahead of it or different."""
    now = group.topology
    if request.topology is None:
        if now is None:
            raise ApiError(ErrorCode.UNKNOWN_SERVER_ERROR, "The group has lost its topology.")
        return now
    told = read_topology(request.topology)
    if now is None:
        return told
    if now.epoch <= told.epoch and now != told:
        raise ApiError(ErrorCode.INVALID_REQUEST, "Topology updates are not supported yet.")
    return now


def _missed_an_answer(request: StreamsGroupHeartbeatRequest, member: StreamsMember) -> bool:
    """Whether it says that it has other tasks than it was told: a client does so after an error.

    Kafka's broker leaves it there until its rebalance timeout.
    """
    owned = owned_tasks(request)
    return owned is not None and owned != member.assigned.tasks


# ---- parts of a step ----


def _plan(
    group: StreamsGroup,
    settings: StreamsSettings,
    fitted: ConfiguredTopology,
    updated: StreamsMember | None = None,
    replaced: StreamsMember | None = None,
) -> _Plan:
    members, target = dict(group.members), dict(group.target)
    if updated is not None:
        if replaced is not None and replaced.member_id != updated.member_id:
            del members[replaced.member_id]
            target[updated.member_id] = target.pop(replaced.member_id, Tasks())
        members[updated.member_id] = updated
    return _Plan(group, settings, fitted, members, target, group.epoch, group.target_epoch)


def _write_description(
    plan: _Plan,
    known: StreamsMember,
    updated: StreamsMember,
    replaced: StreamsMember | None,
    topology: Topology,
    out: Effects,
) -> bool:
    """What the member has said of itself; whether it asks for another assignment."""
    group, new = plan.group, updated.member_id not in plan.group.members
    if replaced is not None:
        _write_gone(group.group_id, replaced.member_id, out)
        write_member(group.group_id, known, out)
        write_target(
            group.group_id, known.member_id, plan.target.get(known.member_id, Tasks()), out
        )
        write_current(group.group_id, known, out)
        new = False
    if new or updated != known:
        write_member(group.group_id, updated, out)
    if group.topology is None:
        write_topology(group.group_id, topology, out)
    if updated.instance_id is None:
        return new or updated != known
    return new or changes_assignment(known, updated)


def _write_gone(group_id: str, member_id: str, out: Effects) -> None:
    write_member_gone(group_id, member_id, out)
    out.cancel_timer(session_timer(group_id, member_id))
    out.cancel_timer(rebalance_timer(group_id, member_id))


def _assign(plan: _Plan, now_ms: int, out: Effects) -> None:
    """A new target for all members: nothing, while the topics are not in order."""
    group = plan.group
    kinds = [
        TaskKind(name, part.task_count, part.is_stateful)
        for name, part in plan.configured.subtopologies.items()
        if plan.configured.is_ready
    ]
    told = group.task_offsets
    members = {
        member_id: AssignableMember(
            member.process_id,
            member.assigned.tasks,
            told[member_id].offsets if member_id in told else {},
        )
        for member_id, member in plan.members.items()
    }
    target = assign(members, kinds, plan.settings.standby_replicas)
    for member_id, tasks in target.items():
        if plan.target.get(member_id) != tasks:
            write_target(group.group_id, member_id, tasks, out)
    plan.target, plan.target_epoch = target, plan.epoch
    write_target_epoch(group.group_id, plan.epoch, now_ms, out)


class _Others:
    """The other members, as far as they stand in the way of one."""

    def __init__(self, plan: _Plan, member: StreamsMember) -> None:
        self._holders = plan.group.holders
        self._members = plan.members
        self._member_id = member.member_id
        self._process_id = member.process_id

    def leave_free(self, role: Role, task: Task) -> bool:
        """Active: nobody processes it; and in any role: nobody else of the process has it."""
        if role is Role.ACTIVE and self._with(Role.ACTIVE, task):
            return False
        return not any(
            other.process_id == self._process_id
            for held_as in Role
            for other in self._with(held_as, task)
        )

    def _with(self, role: Role, task: Task) -> list[StreamsMember]:
        return [
            self._members[member_id]
            for member_id in self._holders.get((role, task), ())
            if member_id != self._member_id and member_id in self._members
        ]
