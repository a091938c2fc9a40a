"""The sticky task assignor: who processes a task and who follows it (KIP-1071).

Active tasks stay where they are, else go where their state is, else to the least loaded process;
no member gets more than its share before all have theirs. Then each task with state gets its
standbys, each on another process.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pylog.coordinator.streams_tasks import Role, Task, Tasks

ASSIGNOR = "sticky"


@dataclass(frozen=True, slots=True)
class AssignableMember:
    """A member, with what it has now; ``offsets`` of tasks whose state it has on disk."""

    process_id: str
    held: Tasks = field(default_factory=Tasks)
    offsets: Mapping[Task, int] = field(default_factory=dict)


class TaskKind(NamedTuple):
    """A subtopology: so many tasks of one kind."""

    subtopology_id: str
    tasks: int
    stateful: bool


def assign(
    members: Mapping[str, AssignableMember], kinds: Sequence[TaskKind], standby_count: int
) -> dict[str, Tasks]:
    """A target for every member."""
    if not members:
        return {}
    balance = _Balance(members, kinds, standby_count)
    balance.assign_active([(kind.subtopology_id, p) for kind in kinds for p in range(kind.tasks)])
    stateful = [kind for kind in kinds if kind.stateful]
    if standby_count:
        tasks = [(kind.subtopology_id, p) for kind in stateful for p in range(kind.tasks)]
        balance.assign_standbys(tasks, standby_count)
    return balance.result()


class _Quota:
    """How many tasks a member may have: the ceiling of what is left over those not yet full."""

    def __init__(self, tasks: int, members: int) -> None:
        self._tasks = tasks
        self._members = members
        self.each = -(-tasks // members)

    def note(self, count: int) -> None:
        """A member has reached so many: a full one leaves the rest to the others."""
        if count != self.each:
            return
        self._members -= 1
        self._tasks -= count
        self.each = -(-self._tasks // self._members) if self._members else 0


class _Process:
    """The members that share a disk: a task is on it once."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.counts: dict[str, int] = {}
        self.tasks: set[Task] = set()
        self._total = 0

    def add(self, member_id: str, task: Task) -> int:
        """The member's new number of tasks."""
        self.tasks.add(task)
        self._total += 1
        self.counts[member_id] += 1
        return self.counts[member_id]

    @property
    def load(self) -> float:
        return self._total / len(self.counts)

    def least_loaded(self) -> str:
        return min(self.counts, key=lambda member_id: self.counts[member_id])


class _Queue:
    """Processes by load. One that was taken comes back at its new place with ``push``."""

    def __init__(self, processes: Iterable[_Process]) -> None:
        self._heap = [(process.load, process.number, process) for process in processes]
        heapq.heapify(self._heap)

    def pop(self) -> _Process | None:
        return heapq.heappop(self._heap)[2] if self._heap else None

    def push(self, process: _Process) -> None:
        heapq.heappush(self._heap, (process.load, process.number, process))


class _Balance:
    """The assignment as it grows."""

    def __init__(
        self, members: Mapping[str, AssignableMember], kinds: Sequence[TaskKind], standbys: int
    ) -> None:
        self._members = members
        self._processes: dict[str, _Process] = {}
        self._active: dict[str, set[Task]] = {member_id: set() for member_id in members}
        self._standby: dict[str, set[Task]] = {member_id: set() for member_id in members}
        self._active_before: dict[Task, str] = {}
        self._state_before: dict[Task, list[tuple[bool, int, str]]] = {}
        for member_id, member in members.items():
            self._note_before(member_id, member)
        actives = sum(kind.tasks for kind in kinds)
        followers = standbys * sum(kind.tasks for kind in kinds if kind.stateful)
        self._active_quota = _Quota(actives, len(members))
        self._quota = _Quota(actives + followers, len(members))

    def _note_before(self, member_id: str, member: AssignableMember) -> None:
        number = len(self._processes)
        process = self._processes.setdefault(member.process_id, _Process(number))
        process.counts[member_id] = 0
        self._active_before.update(dict.fromkeys(member.held.active, member_id))
        standby = member.held.standby | member.held.warmup
        for task in sorted(standby | member.offsets.keys()):
            rank = (task not in standby, -member.offsets.get(task, 0), member_id)
            self._state_before.setdefault(task, []).append(rank)

    def result(self) -> dict[str, Tasks]:
        return {
            member_id: Tasks(
                frozenset(self._active[member_id]), frozenset(self._standby[member_id])
            )
            for member_id in self._members
        }

    def _process_of(self, member_id: str) -> _Process:
        return self._processes[self._members[member_id].process_id]

    def _count(self, member_id: str) -> int:
        return self._process_of(member_id).counts[member_id]

    def _give(self, member_id: str, task: Task, role: Role) -> None:
        count = self._process_of(member_id).add(member_id, task)
        (self._active if role is Role.ACTIVE else self._standby)[member_id].add(task)
        if role is Role.ACTIVE:
            self._active_quota.note(count)
        self._quota.note(count)

    # ---- active tasks ----

    def assign_active(self, tasks: list[Task]) -> None:
        """Partition by partition first, so that a subtopology is spread over its old owners."""
        left = sorted(tasks, key=lambda task: (task[1], task[0]))
        left = [task for task in left if not self._stays(task, self._active_before.get(task))]
        left = [task for task in left if not self._stays(task, self._with_state(task))]
        queue = _Queue(self._processes.values())
        for task in sorted(left):
            process = queue.pop()
            assert process is not None
            self._give(process.least_loaded(), task, Role.ACTIVE)
            queue.push(process)

    def _stays(self, task: Task, member_id: str | None) -> bool:
        if member_id is None or self._count(member_id) >= self._active_quota.each:
            return False
        self._give(member_id, task, Role.ACTIVE)
        return True

    def _with_state(self, task: Task, *, not_on: bool = False) -> str | None:
        """Who had its state, and has little to do; ``not_on``: on a process without this task."""
        best: tuple[float, int] | None = None
        found = None
        for _, _, member_id in sorted(self._state_before.get(task, ())):
            process = self._process_of(member_id)
            if not_on and task in process.tasks:
                continue
            load = (process.load, process.counts[member_id])
            if best is None or (load[0] < best[0] and load[1] < best[1]):
                best, found = load, member_id
        return found

    # ---- standbys ----

    def assign_standbys(self, tasks: list[Task], standby_count: int) -> None:
        """Where the state is already, as far as members have room; the rest to who has least."""
        left: list[tuple[Task, int]] = []
        for task in sorted(tasks, key=lambda task: (task[1], task[0]), reverse=True):
            given = 0
            while given < standby_count and self._follows(task):
                given += 1
            left.append((task, standby_count - given))
        queue = _Queue(self._processes.values())
        for task, count in sorted(left, reverse=True):
            for _ in range(count):
                if not self._give_to_least_loaded(queue, task):
                    break  # fewer processes than replicas

    def _follows(self, task: Task) -> bool:
        before = self._active_before.get(task)
        if before is not None and self._has_room_for(before, task):
            self._give(before, task, Role.STANDBY)
            return True
        before = self._with_state(task, not_on=True)
        if before is None or not self._has_room_for(before, task):
            return False
        self._give(before, task, Role.STANDBY)
        return True

    def _has_room_for(self, member_id: str, task: Task) -> bool:
        process = self._process_of(member_id)
        return task not in process.tasks and process.counts[member_id] < self._quota.each

    def _give_to_least_loaded(self, queue: _Queue, task: Task) -> bool:
        passed = []
        process = queue.pop()
        while process is not None and task in process.tasks:
            passed.append(process)
            process = queue.pop()
        if process is not None:
            self._give(process.least_loaded(), task, Role.STANDBY)
            passed.append(process)
        for one in passed:
            queue.push(one)
        return process is not None
