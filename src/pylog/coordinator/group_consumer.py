"""The consumer group protocol (KIP-848): everything is a heartbeat.

States and moves are drawn in ``consumer_state``; ``reconcile`` has the step of one member. Time
limits, by name of the timer:

    ("session", group, member)    no heartbeat for the session timeout: fenced
    ("rebalance", group, member)  partitions not given up in the member's rebalance timeout: fenced
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from pylog.coordinator.assignors import ASSIGNORS, DEFAULT_ASSIGNOR, Assignment, Subscriber
from pylog.coordinator.consumer_state import (
    LEAVE,
    LEAVE_STATIC,
    ConsumerGroup,
    ConsumerMember,
    MemberState,
    write_current,
    write_epoch,
    write_member,
    write_member_gone,
    write_regex,
    write_target,
    write_target_epoch,
)
from pylog.coordinator.effects import Effects, Promise, TimerName
from pylog.coordinator.group_base import Client
from pylog.coordinator.reconcile import is_subset, reconcile
from pylog.coordinator.topic_regex import BadPattern, TopicRegex
from pylog.coordinator.topics_view import TopicsView
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.consumer_group_heartbeat import (
    Assignment as AssignmentMessage,
)
from pylog.protocol.messages.consumer_group_heartbeat import (
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
    ResponseTopicPartitions,
)

Regexes = dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class ConsumerSettings:
    """What holds for one group: broker settings, or the group's own (resource type GROUP)."""

    session_timeout_ms: int = 45_000
    heartbeat_interval_ms: int = 5_000
    max_size: int = 2**31 - 1


def session_timer(group_id: str, member_id: str) -> TimerName:
    return ("session", group_id, member_id)


def rebalance_timer(group_id: str, member_id: str) -> TimerName:
    return ("rebalance", group_id, member_id)


@dataclass(slots=True)
class Plan:
    """A group as it will be after the step: what later parts of the step go by."""

    group: ConsumerGroup
    members: dict[str, ConsumerMember]
    regexes: Regexes
    epoch: int
    target_epoch: int
    target: Mapping[str, Assignment]


class ConsumerGroups:
    """The steps of consumer groups. Each takes the group it is about; the shard finds it."""

    def __init__(
        self,
        settings_of: Callable[[str], ConsumerSettings],
        topics: Callable[[], TopicsView],
        new_id: Callable[[], str],
    ) -> None:
        self._settings_of = settings_of
        self.topics = topics
        self.new_id = new_id
        self._compiled: dict[str, TopicRegex] = {}

    # ---- ConsumerGroupHeartbeat ----

    def heartbeat(
        self,
        group: ConsumerGroup,
        request: ConsumerGroupHeartbeatRequest,
        client: Client,
        promise: Promise,
        now_ms: int,
        out: Effects,
    ) -> None:
        settings = self._settings_of(group.group_id)
        member_id = request.member_id or self.new_id()
        if len(group.members) >= settings.max_size and member_id not in group.members:
            raise ApiError(ErrorCode.GROUP_MAX_SIZE_REACHED)
        owned = _owned(request)
        known, replaced = self._member(group, request, member_id, owned)
        updated = _updated(known, request, client)
        if updated.regex:
            self._compile(updated.regex)
        plan = self._planned(group, known, updated, replaced, now_ms, out)
        after = self.reconciled(plan, updated, owned, out)
        out.set_timer(session_timer(group.group_id, member_id), settings.session_timeout_ms)
        response = ConsumerGroupHeartbeatResponse(
            member_id=member_id,
            member_epoch=after.epoch,
            heartbeat_interval_ms=settings.heartbeat_interval_ms,
        )
        if _is_full(request) or after.assigned != known.assigned:
            response.assignment = _assignment_message(after.assigned)
        out.reply(promise, response)

    def _member(
        self,
        group: ConsumerGroup,
        request: ConsumerGroupHeartbeatRequest,
        member_id: str,
        owned: Assignment | None,
    ) -> tuple[ConsumerMember, ConsumerMember | None]:
        """The member as it was, and the one whose place it takes as the same instance."""
        instance_id, joins = request.instance_id, request.member_epoch == 0
        if instance_id is None:
            known = group.members.get(member_id) if joins else group.member(member_id)
            if known is not None:
                _check_epoch(known, request.member_epoch, owned)
            return known or ConsumerMember(member_id), None
        holder = group.static_member(instance_id)
        if not joins:
            if holder is None:
                raise ApiError(
                    ErrorCode.UNKNOWN_MEMBER_ID, f"Instance id {instance_id} is unknown."
                )
            check_instance(holder, member_id)
            _check_epoch(holder, request.member_epoch, owned)
            return holder, None
        if holder is None:
            return group.members.get(member_id) or ConsumerMember(member_id), None
        if holder.member_id != member_id and not (
            holder.has_left_for_a_while() or holder.classic is not None
        ):
            raise ApiError(
                ErrorCode.UNRELEASED_INSTANCE_ID,
                f"Instance id {instance_id} is owned by member {holder.member_id}.",
            )
        return successor(holder, member_id), holder

    def _planned(
        self,
        group: ConsumerGroup,
        known: ConsumerMember,
        updated: ConsumerMember,
        replaced: ConsumerMember | None,
        now_ms: int,
        out: Effects,
    ) -> Plan:
        if replaced is not None and replaced.member_id != updated.member_id:
            self.write_successor(group, replaced, known, out)
        plan = self.plan(group, updated, replaced)
        if updated != known or updated.member_id not in group.members:
            write_member(group.group_id, updated, out)
        changed = (updated.topics, updated.regex) != (known.topics, known.regex)
        self.advance(plan, changed, now_ms, out)
        return plan

    def plan(
        self, group: ConsumerGroup, updated: ConsumerMember, replaced: ConsumerMember | None
    ) -> Plan:
        members = dict(group.members)
        target: dict[str, Assignment] = dict(group.target)
        if replaced is not None and replaced.member_id != updated.member_id:
            del members[replaced.member_id]
            target[updated.member_id] = target.pop(replaced.member_id, {})
        members[updated.member_id] = updated
        return Plan(group, members, dict(group.regexes), group.epoch, group.target_epoch, target)

    def write_successor(
        self, group: ConsumerGroup, old: ConsumerMember, new: ConsumerMember, out: Effects
    ) -> None:
        """A static member came back under another id: place and target are its own."""
        write_member_gone(group.group_id, old.member_id, out)
        out.cancel_timer(session_timer(group.group_id, old.member_id))
        out.cancel_timer(rebalance_timer(group.group_id, old.member_id))
        write_member(group.group_id, new, out)
        write_target(group.group_id, new.member_id, group.target.get(old.member_id, {}), out)
        write_current(group.group_id, new, out)

    # ---- epoch and target ----

    def advance(self, plan: Plan, changed: bool, now_ms: int, out: Effects) -> None:
        """Raise the group's epoch when subscriptions or topics have changed; then the target."""
        group = plan.group
        topics = self.topics()
        if changed or topics.revision != group.seen_revision:
            changed |= self._resolve(plan, topics, now_ms, out)
            names = group.subscribed_topics(plan.members.values(), plan.regexes)
            fingerprint = topics.fingerprint(names)
            if changed or fingerprint != group.metadata_hash:
                plan.epoch += 1
                write_epoch(group.group_id, plan.epoch, fingerprint, out)
            group.seen_revision = topics.revision
        if plan.epoch > plan.target_epoch:
            self._assign(plan, topics, now_ms, out)

    def _resolve(self, plan: Plan, topics: TopicsView, now_ms: int, out: Effects) -> bool:
        """Look up the topics of every expression in use; whether they are others than before."""
        used = {m.regex for m in plan.members.values() if m.regex}
        before = dict(plan.regexes)
        for regex in before.keys() - used:
            del plan.regexes[regex]
            write_regex(plan.group.group_id, regex, None, now_ms, out)
        for regex in sorted(used):
            matches = self._compile(regex).matches
            found = tuple(sorted(name for name in topics.by_name if matches(name)))
            if plan.regexes.get(regex) != found:
                plan.regexes[regex] = found
                write_regex(plan.group.group_id, regex, found, now_ms, out)
        return plan.regexes != before

    def _compile(self, pattern: str) -> TopicRegex:
        compiled = self._compiled.get(pattern)
        if compiled is None:
            try:
                compiled = TopicRegex(pattern)
            except BadPattern as error:
                raise ApiError(
                    ErrorCode.INVALID_REGULAR_EXPRESSION,
                    f"SubscribedTopicRegex `{pattern}` is not a valid regular expression: {error}.",
                ) from error
            self._compiled[pattern] = compiled
        return compiled

    def _assign(self, plan: Plan, topics: TopicsView, now_ms: int, out: Effects) -> None:
        group_id = plan.group.group_id
        names = {m.member_id: plan.group.topics_of(m, plan.regexes) for m in plan.members.values()}
        subscribers = {
            member_id: Subscriber(topics.ids(names[member_id]), member.instance_id)
            for member_id, member in plan.members.items()
        }
        counts = topics.counts(set().union(*names.values()))
        assignor = ASSIGNORS[preferred_assignor(plan.members.values())]
        target = assignor(subscribers, counts, plan.target)
        for member_id, assignment in target.items():
            if plan.target.get(member_id) != assignment:
                write_target(group_id, member_id, assignment, out)
        plan.target, plan.target_epoch = target, plan.epoch
        write_target_epoch(group_id, plan.epoch, now_ms, out)

    # ---- reconciliation ----

    def reconciled(
        self, plan: Plan, member: ConsumerMember, owned: Assignment | None, out: Effects
    ) -> ConsumerMember:
        group_id, member_id = plan.group.group_id, member.member_id

        def is_free(topic_id: bytes, partition: int) -> bool:
            owner = plan.group.owner(topic_id, partition)
            return owner is None or owner == member_id or owner not in plan.members

        target = plan.target.get(member_id, {})
        after = reconcile(member, plan.target_epoch, target, owned, is_free)
        if after != member:
            write_current(group_id, after, out)
            if after.classic is None and after.state == MemberState.UNREVOKED_PARTITIONS:
                out.set_timer(rebalance_timer(group_id, member_id), after.rebalance_timeout_ms)
            else:
                out.cancel_timer(rebalance_timer(group_id, member_id))
        return after

    # ---- leaving ----

    def leave(
        self,
        group: ConsumerGroup,
        request: ConsumerGroupHeartbeatRequest,
        promise: Promise,
        out: Effects,
    ) -> ConsumerMember | None:
        """The member that is to be fenced; None when a static member leaves for a while."""
        if request.instance_id is None:
            member = group.member(request.member_id)
        else:
            holder = group.static_member(request.instance_id)
            if holder is None:
                raise ApiError(ErrorCode.UNKNOWN_MEMBER_ID)
            check_instance(holder, request.member_id)
            member = holder
        response = ConsumerGroupHeartbeatResponse(
            member_id=request.member_id, member_epoch=request.member_epoch
        )
        out.reply(promise, response)
        if request.instance_id is not None and request.member_epoch == LEAVE_STATIC:
            write_current(group.group_id, replace(member, epoch=LEAVE_STATIC, revoking={}), out)
            return None
        return member

    def fence(self, group: ConsumerGroup, member_ids: Iterable[str], out: Effects) -> None:
        """They are gone; the others get their partitions under the next epoch."""
        gone = set(member_ids)
        for member_id in gone:
            write_member_gone(group.group_id, member_id, out)
            for kind in ("session", "rebalance", "rejoin", "sync"):
                out.cancel_timer((kind, group.group_id, member_id))
        left = [m for m in group.members.values() if m.member_id not in gone]
        names = group.subscribed_topics(left, group.regexes)
        fingerprint = self.topics().fingerprint(names)
        write_epoch(group.group_id, group.epoch + 1, fingerprint, out)

    # ---- time ----

    def on_loaded(self, group: ConsumerGroup, out: Effects) -> None:
        """Members that the log knows get a whole session to show that they live."""
        timeout_ms = self._settings_of(group.group_id).session_timeout_ms
        for member in group.members.values():
            classic = member.classic
            session_ms = timeout_ms if classic is None else classic.session_timeout_ms
            out.set_timer(session_timer(group.group_id, member.member_id), session_ms)
            if classic is None and member.state == MemberState.UNREVOKED_PARTITIONS:
                timer = rebalance_timer(group.group_id, member.member_id)
                out.set_timer(timer, member.rebalance_timeout_ms)


def check_heartbeat(request: ConsumerGroupHeartbeatRequest, version: int) -> None:
    """INVALID_REQUEST for fields that don't go together; as Kafka says it."""
    _refuse_if(request.group_id == "", "GroupId can't be empty.")
    _refuse_if(request.instance_id == "", "InstanceId can't be empty.")
    _refuse_if(request.rack_id == "", "RackId can't be empty.")
    known = request.member_epoch > 0 or request.member_epoch in (LEAVE, LEAVE_STATIC)
    _refuse_if((known or version >= 1) and request.member_id == "", "MemberId can't be empty.")
    if request.member_epoch == 0:
        _refuse_if(
            request.rebalance_timeout_ms == -1,
            "RebalanceTimeoutMs must be provided in first request.",
        )
        _refuse_if(
            request.topic_partitions is None or len(request.topic_partitions) > 0,
            "TopicPartitions must be empty when (re-)joining.",
        )
        _refuse_if(
            request.subscribed_topic_names is None and not request.subscribed_topic_regex,
            "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when "
            "(re-)joining.",
        )
    elif request.member_epoch == LEAVE_STATIC:
        _refuse_if(request.instance_id is None, "InstanceId can't be null.")
    else:
        _refuse_if(not known, "MemberEpoch is invalid.")
    if request.server_assignor is not None and request.server_assignor not in ASSIGNORS:
        raise ApiError(
            ErrorCode.UNSUPPORTED_ASSIGNOR,
            f"ServerAssignor {request.server_assignor} is not supported. "
            f"Supported assignors: {', '.join(ASSIGNORS)}.",
        )


def _refuse_if(wrong: bool, message: str) -> None:
    if wrong:
        raise ApiError(ErrorCode.INVALID_REQUEST, message)


def check_instance(holder: ConsumerMember, member_id: str) -> None:
    if holder.member_id != member_id:
        raise ApiError(
            ErrorCode.FENCED_INSTANCE_ID,
            f"Static member {member_id} was fenced by member {holder.member_id}.",
        )


def _check_epoch(member: ConsumerMember, epoch: int, owned: Assignment | None) -> None:
    """An older epoch is the retry of a request whose answer was lost, or of a zombie."""
    if epoch in (0, member.epoch):
        return
    if epoch == member.previous_epoch and is_subset(owned, member.assigned):
        return
    raise ApiError(
        ErrorCode.FENCED_MEMBER_EPOCH,
        f"The consumer group member has member epoch {epoch}, the group coordinator knows "
        f"{member.epoch}. The member must abandon all its partitions and rejoin.",
    )


def successor(old: ConsumerMember, member_id: str) -> ConsumerMember:
    """The same instance under another member id, which has been told nothing yet."""
    return replace(old, member_id=member_id, epoch=0, previous_epoch=0)


def _updated(
    member: ConsumerMember, request: ConsumerGroupHeartbeatRequest, client: Client
) -> ConsumerMember:
    """What a heartbeat does not say stays as it was."""
    names, regex = request.subscribed_topic_names, request.subscribed_topic_regex
    timeout_ms = request.rebalance_timeout_ms
    return replace(
        member,
        instance_id=request.instance_id or member.instance_id,
        rack_id=request.rack_id or member.rack_id,
        client_id=client.client_id,
        client_host=client.host,
        rebalance_timeout_ms=member.rebalance_timeout_ms if timeout_ms == -1 else timeout_ms,
        topics=member.topics if names is None else tuple(sorted(set(names))),
        regex=member.regex if regex is None else regex or None,
        assignor=request.server_assignor or member.assignor,
        classic=None,
    )


def _owned(request: ConsumerGroupHeartbeatRequest) -> Assignment | None:
    if request.topic_partitions is None:
        return None
    return {part.topic_id: frozenset(part.partitions) for part in request.topic_partitions}


def _is_full(request: ConsumerGroupHeartbeatRequest) -> bool:
    """A member that joins, or is not sure what its last requests have done, says everything."""
    said = request.subscribed_topic_names is not None or request.subscribed_topic_regex is not None
    return request.member_epoch == 0 or (
        request.rebalance_timeout_ms != -1 and said and request.topic_partitions is not None
    )


def _assignment_message(assigned: Assignment) -> AssignmentMessage:
    return AssignmentMessage(
        topic_partitions=[
            ResponseTopicPartitions(topic_id=topic_id, partitions=sorted(partitions))
            for topic_id, partitions in assigned.items()
        ]
    )


def preferred_assignor(members: Iterable[ConsumerMember]) -> str:
    """What most members ask for."""
    votes: dict[str, int] = {}
    for member in members:
        if member.assignor is not None:
            votes[member.assignor] = votes.get(member.assignor, 0) + 1
    return max(votes, key=lambda name: votes[name], default=DEFAULT_ASSIGNOR)
