"""One step of a member of a consumer group towards its target (KIP-848)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from pylog.coordinator.assignors import Assignment
from pylog.coordinator.consumer_state import ConsumerMember, MemberState

IsFree = Callable[[bytes, int], bool]


def reconcile(
    member: ConsumerMember,
    target_epoch: int,
    target: Assignment,
    owned: Assignment | None,
    is_free: IsFree,
) -> ConsumerMember:
    """The member after this heartbeat.

    ``owned`` is what it says it uses; None when it did not say. ``is_free`` tells whether a
    partition is used by nobody, or by this member only.
    """
    if member.state == MemberState.STABLE:
        if member.epoch == target_epoch:
            return member
        return _next(member, member.epoch, target_epoch, target, owned, is_free)
    if member.state == MemberState.UNREVOKED_PARTITIONS:
        if _owns_any(owned, member.revoking):
            return member
        return _next(member, member.epoch + 1, target_epoch, target, owned, is_free)
    return _next(member, member.epoch, target_epoch, target, owned, is_free)


def _next(
    member: ConsumerMember,
    epoch: int,
    target_epoch: int,
    target: Assignment,
    owned: Assignment | None,
    is_free: IsFree,
) -> ConsumerMember:
    kept = _cut(member.assigned, target)
    revoking = _minus(member.assigned, kept)
    if revoking and _owns_any(owned, revoking):
        return _moved(member, MemberState.UNREVOKED_PARTITIONS, epoch, kept, revoking)
    wanted = _minus(target, kept)
    free = {
        topic_id: frozenset(p for p in partitions if is_free(topic_id, p))
        for topic_id, partitions in wanted.items()
    }
    waits = any(free[topic_id] != partitions for topic_id, partitions in wanted.items())
    state = MemberState.UNRELEASED_PARTITIONS if waits else MemberState.STABLE
    return _moved(member, state, target_epoch, _plus(kept, free), {})


def _moved(
    member: ConsumerMember,
    state: MemberState,
    epoch: int,
    assigned: Assignment,
    revoking: Assignment,
) -> ConsumerMember:
    previous = member.previous_epoch if epoch == member.epoch else member.epoch
    held = [(t, p) for part in (assigned, revoking) for t, some in part.items() for p in some]
    return replace(
        member,
        state=state,
        epoch=epoch,
        previous_epoch=previous,
        assigned=assigned,
        revoking=revoking,
        since={partition: member.since.get(partition, epoch) for partition in held},
    )


def _owns_any(owned: Assignment | None, partitions: Assignment) -> bool:
    """Unsaid counts as owned: nothing is taken from a member behind its back."""
    if owned is None:
        return True
    return any(owned.get(topic_id, frozenset()) & some for topic_id, some in partitions.items())


def is_subset(owned: Assignment | None, assigned: Assignment) -> bool:
    if owned is None:
        return False
    return all(some <= assigned.get(topic_id, frozenset()) for topic_id, some in owned.items())


def _cut(left: Assignment, right: Assignment) -> Assignment:
    both = {topic_id: some & right.get(topic_id, frozenset()) for topic_id, some in left.items()}
    return _without_empty(both)


def _minus(left: Assignment, right: Assignment) -> Assignment:
    rest = {topic_id: some - right.get(topic_id, frozenset()) for topic_id, some in left.items()}
    return _without_empty(rest)


def _plus(left: Assignment, right: Assignment) -> Assignment:
    topics = left.keys() | right.keys()
    nothing: frozenset[int] = frozenset()
    return _without_empty({t: left.get(t, nothing) | right.get(t, nothing) for t in topics})


def _without_empty(assignment: Mapping[bytes, frozenset[int]]) -> Assignment:
    return {topic_id: some for topic_id, some in assignment.items() if some}
