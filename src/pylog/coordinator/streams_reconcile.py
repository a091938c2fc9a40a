"""One step of a member of a streams group towards its target (KIP-1071).

As in a consumer group, what a member has to give up goes first, and what another one still has is
waited for. Besides, a process may have a task once only, so a standby waits too; and a task that
changes its role on the same member is not given up in between, for its state stays where it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from pylog.coordinator.streams_state import MemberState, StreamsMember
from pylog.coordinator.streams_tasks import NO_TASKS, HeldTasks, Role, Task, Tasks
from pylog.protocol.errors import ApiError, ErrorCode

IsFree = Callable[[Role, Task], bool]


@dataclass(slots=True)
class _Change:
    """Of the tasks of one role: what stays, what goes, what may come."""

    kept: frozenset[Task]
    going: frozenset[Task]
    coming: frozenset[Task]
    waits: bool  # some are still with somebody else

    def grant(self, tasks: frozenset[Task]) -> None:
        """Give now what the member has in another role."""
        now = self.coming & tasks
        self.kept |= now
        self.coming -= now


def reconcile(
    member: StreamsMember,
    target_epoch: int,
    target: Tasks,
    owned: Tasks | None,
    is_free: IsFree,
) -> StreamsMember:
    """The member after this heartbeat.

    ``owned`` is what it says it has; None when it did not say. ``is_free`` tells whether no other
    member stands in the way of its having a task in a role. FENCED_MEMBER_EPOCH for a member that
    has something in a state that this release does not know.
    """
    if member.is_reconciled_to(target_epoch):
        return member
    epoch = member.epoch
    if member.state is MemberState.UNREVOKED_TASKS:
        if _has_any(owned, member.revoking.tasks):
            return member
        epoch += 1
    if member.state is MemberState.UNKNOWN and (owned is None or owned):
        raise ApiError(ErrorCode.FENCED_MEMBER_EPOCH, "The member is in an unknown state.")
    held = member.assigned.tasks
    active, standby, warmup = _changes(held, target, is_free)
    going = Tasks(active.going, standby.going, warmup.going)
    must_wait = bool(going) and _has_any(owned, going)
    _keep_until_promoted(held, target, NO_TASKS if must_wait else active.coming, standby, warmup)
    if must_wait:
        kept = _held(member, active.kept, standby.kept, warmup.kept, epoch)
        revoking = _held(member, active.going, standby.going, warmup.going, epoch)
        return _moved(member, MemberState.UNREVOKED_TASKS, epoch, kept, revoking)
    waits = active.waits or standby.waits or warmup.waits
    state = MemberState.UNRELEASED_TASKS if waits else MemberState.STABLE
    everything = _held(
        member,
        active.kept | active.coming,
        standby.kept | standby.coming,
        warmup.kept | warmup.coming,
        target_epoch,
    )
    return _moved(member, state, target_epoch, everything, HeldTasks())


def _changes(held: Tasks, target: Tasks, is_free: IsFree) -> tuple[_Change, _Change, _Change]:
    active = _change(Role.ACTIVE, held.active, target.active, is_free)
    standby = _change(Role.STANDBY, held.standby, target.standby, is_free)
    warmup = _change(Role.WARMUP, held.warmup, target.warmup, is_free)
    _convert(held, target, standby, warmup)
    return active, standby, warmup


def _change(role: Role, held: frozenset[Task], target: frozenset[Task], is_free: IsFree) -> _Change:
    wanted = target - held
    coming = frozenset(task for task in wanted if is_free(role, task))
    return _Change(held & target, held - target, coming, coming != wanted)


def _convert(held: Tasks, target: Tasks, standby: _Change, warmup: _Change) -> None:
    """A replica becomes another kind of replica, or an active task one, without a gap."""
    standby.grant(held.active)
    warmup_of_standby, standby_of_warmup = (
        warmup.coming & held.standby,
        standby.coming & held.warmup,
    )
    warmup.grant(held.standby)
    standby.grant(held.warmup)
    standby.going -= warmup_of_standby | target.active
    warmup.going -= standby_of_warmup | target.active


def _keep_until_promoted(
    held: Tasks, target: Tasks, promoted: frozenset[Task], standby: _Change, warmup: _Change
) -> None:
    """A replica that is to become active stays one until the task is free."""
    waiting = target.active - promoted
    standby.kept |= held.standby & waiting
    warmup.kept |= held.warmup & waiting


def _has_any(owned: Tasks | None, tasks: Tasks) -> bool:
    """Unsaid counts as owned: nothing is taken from a member behind its back."""
    return owned is None or owned.overlaps(tasks)


def _held(
    member: StreamsMember,
    active: frozenset[Task],
    standby: frozenset[Task],
    warmup: frozenset[Task],
    epoch: int,
) -> HeldTasks:
    """An active task keeps the epoch at which it came."""
    before = member.assigned.active
    return HeldTasks({task: before.get(task, epoch) for task in active}, standby, warmup)


def _moved(
    member: StreamsMember, state: MemberState, epoch: int, assigned: HeldTasks, revoking: HeldTasks
) -> StreamsMember:
    previous = member.previous_epoch if epoch == member.epoch else member.epoch
    return replace(
        member,
        state=state,
        epoch=epoch,
        previous_epoch=previous,
        assigned=assigned,
        revoking=revoking,
    )
