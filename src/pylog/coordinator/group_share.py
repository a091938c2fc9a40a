"""Share groups (KIP-932): their members, epochs and assignments, as a pure state machine.

    EMPTY ──a member's first heartbeat──▶ STABLE ──the last one left──▶ EMPTY ──deleted──▶ (gone)

A member is known by the id that it has made for itself. Each of its heartbeats brings the group as
far as that member needs:

    group epoch     rises when subscriptions or their topics change, or a member comes or goes
    target epoch    the group epoch that the assignment was computed for; there is some time between
                    two assignments, so that many members that come together share one
    member epoch    the target epoch that the member was told of

A partition is assigned once its share state is initialized; ``heartbeat`` tells which are not yet.
Timer: ("share-session", group, member), after which a silent member is removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from pylog.coordinator.effects import Effects, Promise, TimerName
from pylog.coordinator.group_base import Client
from pylog.coordinator.share_assignor import Assignment, assign
from pylog.coordinator.share_group_state import (
    SharedTopic,
    ShareGroup,
    ShareMember,
    by_topic,
    united,
    write_current,
    write_epoch,
    write_member,
    write_member_gone,
    write_shared,
    write_target,
)
from pylog.coordinator.topics_view import TopicsView
from pylog.protocol.errors import ApiError, ErrorCode
from pylog.protocol.messages.share_group_heartbeat import (
    Assignment as AnsweredAssignment,
)
from pylog.protocol.messages.share_group_heartbeat import (
    ShareGroupHeartbeatRequest,
    ShareGroupHeartbeatResponse,
    TopicPartitions,
)
from pylog.protocol.records import share_group as records

LEAVE_EPOCH = -1
JOIN_EPOCH = 0


@dataclass(frozen=True, slots=True)
class ShareSettings:
    """Settings of one group."""

    heartbeat_interval_ms: int = 5_000
    session_timeout_ms: int = 45_000
    assignment_interval_ms: int = 0
    max_size: int = 200


@dataclass(frozen=True, slots=True)
class Beat:
    """The answer to a heartbeat, and the share partitions that have to be initialized first."""

    response: ShareGroupHeartbeatResponse
    uninitialized: dict[bytes, SharedTopic]
    state_epoch: int


# ---- steps ----


class ShareGroups:
    """The steps of share groups in one shard."""

    def __init__(
        self, settings: Callable[[str], ShareSettings], topics: Callable[[], TopicsView]
    ) -> None:
        self._settings = settings
        self._topics = topics

    def heartbeat(
        self,
        group: ShareGroup,
        request: ShareGroupHeartbeatRequest,
        client: Client,
        promise: Promise,
        now_ms: int,
    ) -> Effects:
        """The answer is a :class:`Beat`. The group is new when it has epoch 0."""
        if request.member_epoch == LEAVE_EPOCH:
            return self._leave(group, request.member_id, promise)
        known, settings = group.members.get(request.member_id), self._settings(group.group_id)
        self._check(group, known, request, settings)
        step = _Step(group, self._topics(), now_ms)
        step.update(_updated(known, request, client))
        wait_ms = step.assignment_wait_ms(settings.assignment_interval_ms)
        member = step.reconcile(request.member_id, assigns=wait_ms == 0)
        timer = _session(group.group_id, request.member_id)
        step.out.set_timer(timer, settings.session_timeout_ms)
        told = known is not None and known.assigned == member.assigned
        full = request.subscribed_topic_names is not None or request.member_epoch == JOIN_EPOCH
        response = ShareGroupHeartbeatResponse(
            member_id=member.member_id,
            member_epoch=member.epoch,
            heartbeat_interval_ms=_next_heartbeat_ms(wait_ms, settings),
            assignment=_answered(member.assigned) if full or not told else None,
        )
        step.out.reply(promise, Beat(response, step.uninitialized(), step.epoch))
        return step.out

    def _check(
        self,
        group: ShareGroup,
        known: ShareMember | None,
        request: ShareGroupHeartbeatRequest,
        settings: ShareSettings,
    ) -> None:
        if known is None:
            if request.member_epoch != JOIN_EPOCH:
                raise ApiError(ErrorCode.UNKNOWN_MEMBER_ID)
            if len(group.members) >= settings.max_size:
                raise ApiError(ErrorCode.GROUP_MAX_SIZE_REACHED)
        elif request.member_epoch > known.epoch:
            raise ApiError(ErrorCode.FENCED_MEMBER_EPOCH, "The member epoch is from the future.")
        elif request.member_epoch not in (JOIN_EPOCH, known.epoch, known.previous_epoch):
            raise ApiError(ErrorCode.FENCED_MEMBER_EPOCH, "The member epoch is too old.")

    def _leave(self, group: ShareGroup, member_id: str, promise: Promise) -> Effects:
        if member_id not in group.members:
            raise ApiError(ErrorCode.UNKNOWN_MEMBER_ID)
        out = Effects()
        self._remove(group, member_id, out)
        response = ShareGroupHeartbeatResponse(member_id=member_id, member_epoch=LEAVE_EPOCH)
        out.reply(promise, Beat(response, {}, group.epoch))
        return out

    def _remove(self, group: ShareGroup, member_id: str, out: Effects) -> None:
        write_member_gone(group.group_id, member_id, out)
        write_epoch(group.group_id, group.epoch + 1, group.metadata_hash, out)
        out.cancel_timer(_session(group.group_id, member_id))

    def initialized(
        self, group: ShareGroup, partitions: Mapping[bytes, SharedTopic], promise: Promise
    ) -> Effects:
        """The share state of these exists: they can be assigned."""
        out = Effects()
        write_shared(
            group.group_id,
            _without(group.initializing, partitions),
            united(group.initialized, partitions),
            group.deleting,
            out,
        )
        write_epoch(group.group_id, group.epoch + 1, group.metadata_hash, out)
        out.reply(promise, None)
        return out

    def forget_topics(
        self, group: ShareGroup, topic_ids: Iterable[bytes], promise: Promise
    ) -> Effects:
        """Their share state is deleted: a group that reads them again begins anew."""
        out = Effects()
        self.write_forgotten(group, set(topic_ids), out)
        out.reply(promise, None)
        return out

    def write_forgotten(self, group: ShareGroup, gone: set[bytes], out: Effects) -> None:
        write_shared(
            group.group_id,
            {topic: shared for topic, shared in group.initializing.items() if topic not in gone},
            {topic: shared for topic, shared in group.initialized.items() if topic not in gone},
            {topic: name for topic, name in group.deleting.items() if topic not in gone},
            out,
        )

    def on_loaded(self, groups: Iterable[ShareGroup], out: Effects) -> None:
        """Sessions begin anew."""
        for group in groups:
            timeout_ms = self._settings(group.group_id).session_timeout_ms
            for member_id in group.members:
                out.set_timer(_session(group.group_id, member_id), timeout_ms)

    def on_session_timer(self, group: ShareGroup, member_id: str, out: Effects) -> None:
        if member_id in group.members:
            self._remove(group, member_id, out)


class _Step:
    """What one heartbeat changes, before the records are replayed."""

    def __init__(self, group: ShareGroup, topics: TopicsView, now_ms: int) -> None:
        self._group = group
        self._topics = topics
        self._now_ms = now_ms
        self._members: Mapping[str, ShareMember] = group.members
        self.epoch = group.epoch
        self.out = Effects()

    def update(self, member: ShareMember) -> None:
        """The member as its request tells; a change of what the group reads raises its epoch."""
        group, known = self._group, self._group.members.get(member.member_id)
        if member != known:
            self._members = {**group.members, member.member_id: member}
            write_member(group.group_id, member, self.out)
        names = {name for each in self._members.values() for name in each.topics}
        metadata_hash = self._topics.fingerprint(names)
        if known is None or known.topics != member.topics or metadata_hash != group.metadata_hash:
            self.epoch += 1
            write_epoch(group.group_id, self.epoch, metadata_hash, self.out)

    def assignment_wait_ms(self, interval_ms: int) -> int:
        """How long the next assignment has to wait; 0 when it may be now, or is not needed."""
        group = self._group
        if self.epoch == group.target_epoch or not any(group.target.values()):
            return 0
        return max(group.assigned_ms + interval_ms - self._now_ms, 0)

    def reconcile(self, member_id: str, assigns: bool) -> ShareMember:
        """The member with its part of the newest assignment, which may be made now."""
        group, target, epoch = self._group, self._group.target, self._group.target_epoch
        if assigns and self.epoch > group.target_epoch:
            target, epoch = self._new_target(), self.epoch
        member = self._members[member_id]
        assigned = target.get(member_id, frozenset())
        if member.epoch == epoch and member.assigned == assigned:
            return member
        member = replace(member, epoch=epoch, previous_epoch=member.epoch, assigned=assigned)
        write_current(group.group_id, member, self.out)
        return member

    def _new_target(self) -> dict[str, Assignment]:
        group = self._group
        partitions = {
            topic: [i for i in shared.partitions if i < self._count(shared.name, topic)]
            for topic, shared in group.initialized.items()
        }
        target: dict[str, Assignment] = dict.fromkeys(self._members, frozenset())
        if any(partitions.values()):  # else it would cost each of many that come first
            subscriptions = {
                m.member_id: self._topics.ids(m.topics) for m in self._members.values()
            }
            target = assign(subscriptions, partitions, group.target)
        for member_id, share in target.items():
            if group.target.get(member_id) != share:
                write_target(group.group_id, member_id, share, self.out)
        key = records.ShareGroupTargetAssignmentMetadataKey(group_id=group.group_id)
        self.out.write(
            key,
            records.ShareGroupTargetAssignmentMetadataValue(
                assignment_epoch=self.epoch, assignment_timestamp=self._now_ms
            ),
        )
        return target

    def _count(self, name: str, topic_id: bytes) -> int:
        topic = self._topics.by_name.get(name)
        return 0 if topic is None or topic.topic_id != topic_id else topic.partition_count

    def uninitialized(self) -> dict[bytes, SharedTopic]:
        """Subscribed partitions without share state; from now on they count as initializing."""
        group = self._group
        missing: dict[bytes, SharedTopic] = {}
        for name in {name for member in self._members.values() for name in member.topics}:
            topic = self._topics.by_name.get(name)
            if topic is None:
                continue
            shared = group.initialized.get(topic.topic_id)
            there = frozenset[int]() if shared is None else shared.partitions
            lacking = frozenset(range(topic.partition_count)) - there
            if lacking:
                missing[topic.topic_id] = SharedTopic(name, lacking)
        initializing = united(group.initializing, missing)
        if initializing != group.initializing:
            write_shared(group.group_id, initializing, group.initialized, group.deleting, self.out)
        return missing


def _session(group_id: str, member_id: str) -> TimerName:
    return ("share-session", group_id, member_id)


def _updated(
    known: ShareMember | None, request: ShareGroupHeartbeatRequest, client: Client
) -> ShareMember:
    names = request.subscribed_topic_names
    topics = () if known is None else known.topics
    before = known or ShareMember(request.member_id, None, "", "", ())
    return replace(
        before,
        rack_id=request.rack_id if request.rack_id is not None else before.rack_id,
        client_id=client.client_id,
        client_host=client.host,
        topics=topics if names is None else tuple(sorted(set(names))),
    )


def _next_heartbeat_ms(wait_ms: int, settings: ShareSettings) -> int:
    """Sooner, for a member that waits for an assignment."""
    usual_ms = settings.heartbeat_interval_ms
    return min(wait_ms, usual_ms) if wait_ms else usual_ms


def _answered(assignment: Assignment) -> AnsweredAssignment:
    return AnsweredAssignment(
        topic_partitions=[
            TopicPartitions(topic_id=topic_id, partitions=partitions)
            for topic_id, partitions in by_topic(assignment).items()
        ]
    )


def _without(
    left: Mapping[bytes, SharedTopic], right: Mapping[bytes, SharedTopic]
) -> dict[bytes, SharedTopic]:
    rest = {}
    for topic_id, shared in left.items():
        taken = right[topic_id].partitions if topic_id in right else frozenset()
        if shared.partitions - taken:
            rest[topic_id] = SharedTopic(shared.name, shared.partitions - taken)
    return rest
