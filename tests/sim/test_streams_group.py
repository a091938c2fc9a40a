"""A streams group under random threads, lost answers, delays, topic changes and restarts.

Held at every moment: no task is processed by two threads, nor is it twice on one process; what the
log gives is what the coordinator knows. Threads that keep answering end up with every task, each
its share, and with the standbys that there is room for.
"""

from __future__ import annotations

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule
from tests.sim.members import SEATS, MembersMachine
from tests.sim.streams import WITH_STANDBY, StreamsWorld, Thread, stateful
from tests.sim.world import Waiting

from pylog.coordinator.group_streams import StreamsSettings
from pylog.coordinator.streams_state import StreamsGroup, StreamsMember
from pylog.coordinator.streams_tasks import Role, Task, Tasks
from pylog.protocol.errors import ErrorCode

PROCESSES = st.sampled_from(["p1", "p2", "p3"])
REJOIN = {
    ErrorCode.UNKNOWN_MEMBER_ID,
    ErrorCode.FENCED_MEMBER_EPOCH,
    ErrorCode.GROUP_ID_NOT_FOUND,
    ErrorCode.INVALID_REQUEST,  # it tells of tasks that are no more: the topics are others
}
STORED = ("epoch", "target_epoch", "metadata_hash", "topology", "members", "target", "holders")


def united(left: Tasks, right: Tasks) -> Tasks:
    return Tasks(left.active | right.active, left.standby | right.standby, frozenset())


def common(left: Tasks, right: Tasks) -> Tasks:
    return Tasks(left.active & right.active, left.standby & right.standby, frozenset())


def tasks_of(member: StreamsMember) -> set[Task]:
    """In any role, also those that it is giving up."""
    held = (member.assigned.tasks, member.revoking.tasks)
    return {task for tasks in held for _, some in tasks for task in some}


class Client(Thread):
    """Uses what it was told, until it has given it up; a fenced one gives up everything."""

    heard_at_ms = 0

    def hears(self, waiting: Waiting) -> None:
        if waiting.error is not None:
            assert waiting.error.code in REJOIN, waiting.error
            self.stops()
            return
        super().hears(waiting)
        self.heard_at_ms = self.world.now_ms
        self.owned = united(self.owned, self.assigned)

    def stops(self) -> None:
        self.owned = self.assigned = Tasks()
        self.epoch = 0

    def gives_up(self) -> None:
        self.owned = common(self.owned, self.assigned)

    def heartbeat(self) -> Waiting:
        if self.epoch == 0:
            self.stops()
            return self.asks_to_join()
        return self.asks(**self.owned_fields())


class StreamsGroupMachine(MembersMachine):
    """Each seat has a thread that is replaced when it dies or leaves."""

    world: StreamsWorld
    seats: list[Client]

    def __init__(self) -> None:
        super().__init__()
        self.world = StreamsWorld(WITH_STANDBY, lines=5, counts=5)
        self.names = 0
        self.seats = [self._new(f"p{1 + number % 3}") for number in range(4)]

    def _new(self, process: str) -> Client:
        self.names += 1
        return Client(self.world, f"t{self.names}", process=process, topology=stateful())

    @rule(seat=SEATS, process=PROCESSES)
    def leaves_and_is_replaced(self, seat: int, process: str) -> None:
        if self.seats[seat].epoch > 0:
            self.seats[seat].leaves()
        self.seats[seat] = self._new(process)

    @rule(seat=SEATS, process=PROCESSES)
    def dies_and_is_replaced(self, seat: int, process: str) -> None:
        self.seats[seat] = self._new(process)

    @rule(lines=st.integers(1, 7), there=st.booleans())
    def topics_change(self, lines: int, there: bool) -> None:
        """The source grows, and its changelog with it; or both are gone for a while."""
        self.world.set_topics(**({"lines": lines, "counts": lines} if there else {}))

    @rule(standbys=st.integers(0, 2))
    def standbys_are_set(self, standbys: int) -> None:
        self.world.settings = StreamsSettings(
            initial_rebalance_delay_ms=0, assignment_interval_ms=0, standby_replicas=standbys
        )

    @rule()
    def broker_restarts(self) -> None:
        """What the log tells is what was known."""
        before = self._group()
        super().broker_restarts()
        after = self._group()
        assert (before is None) == (after is None)
        for name in STORED if before is not None else ():
            assert getattr(after, name) == getattr(before, name), name

    def _group(self) -> StreamsGroup | None:
        return next(iter(self.world.shard.groups.values()), None)

    @invariant()
    def no_task_is_processed_twice(self) -> None:
        group = self._group()
        members = group.members if group is not None else {}
        used = [task for c in self.seats if c.name in members for task in c.owned.active]
        assert len(used) == len(set(used)), used

    @invariant()
    def no_task_is_given_twice(self) -> None:
        group = self._group()
        if group is None:
            return
        for (role, task), holders in group.holders.items():
            assert role is not Role.ACTIVE or len(holders) == 1, (task, holders)
        on_process = Counter(
            (member.process_id, task)
            for member in group.members.values()
            for task in tasks_of(member)
        )
        assert all(times == 1 for times in on_process.values()), on_process

    def teardown(self) -> None:
        """Threads that answer get all tasks, and as many standbys as there are other processes."""
        self.broker_restarts()
        self.world.set_topics(lines=5, counts=5)
        for _ in range(16):
            self.world.after(5_000)
            self.all_give_up_and_beat()
        active = Counter(task for client in self.seats for task in client.assigned.active)
        assert active == Counter(("0", number) for number in range(5))
        processes = len({client.process for client in self.seats})
        wanted = min(self.world.settings.standby_replicas, processes - 1)
        standby = Counter(task for client in self.seats for task in client.assigned.standby)
        assert standby == Counter({("0", number): wanted for number in range(5) if wanted})


StreamsGroupMachine.TestCase.settings = settings(
    max_examples=150, stateful_step_count=50, deadline=None
)
TestStreamsGroup = StreamsGroupMachine.TestCase
