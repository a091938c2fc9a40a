"""A consumer group under random members, lost answers, delays, topic changes and restarts.

Held at every moment: no partition is used by two members; what a member is told it may use is what
the coordinator has it down for; no committed offset goes back, however late a commit arrives.
Members that keep answering end up with everything, each its share.
"""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule
from tests.sim.consumer import GROUP, Consumer, ConsumerWorld
from tests.sim.members import SEATS, SESSION_TIMEOUT_MS, MembersMachine
from tests.sim.world import Waiting

from pylog.coordinator.group_base import Committer
from pylog.coordinator.offsets import OffsetToCommit
from pylog.protocol.errors import ErrorCode

REJOIN = {ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.FENCED_MEMBER_EPOCH, ErrorCode.GROUP_ID_NOT_FOUND}

Offsets = dict[tuple[str, int], int]  # the next one to read, of topic and partition


class Client(Consumer):
    """Uses what it was told, until it has given it up; a fenced one gives up everything."""

    heard_at_ms = 0

    def __init__(self, world: ConsumerWorld, name: str, committed: Offsets, **options: Any) -> None:
        super().__init__(world, name, **options)
        self.committed = committed
        self.positions: Offsets = {}
        self.on_the_way: list[tuple[int, tuple[str, int], int]] = []  # commits, as they were sent

    def reads_and_commits(self) -> None:
        """Reads one record of each partition from where it, or its predecessor, has got to."""
        held = self.owned & self.assigned
        self.positions = {
            partition: self.positions.get(partition, self.committed.get(partition, 0)) + 1
            for partition in sorted(held)
        }
        for partition, offset in self.positions.items():
            self.on_the_way.append((self.epoch, partition, offset))

    def commits_arrive(self) -> None:
        for epoch, (topic, index), offset in self.on_the_way:
            item = OffsetToCommit(topic, index, offset, -1, "", self.world.ids[topic])
            committer = Committer(self.name, None, epoch, 9)
            waiting = self.world.ask(
                lambda shard, p, now, c=committer, i=item: shard.commit(GROUP, c, [i], -1, p, now)
            )
            if waiting.error is None and waiting.heard() == [ErrorCode.NONE]:
                assert offset > self.committed.get((topic, index), 0), "an offset goes back"
                self.committed[topic, index] = offset
        self.on_the_way = []

    def loses_what_it_had(self) -> None:
        self.positions = {p: at for p, at in self.positions.items() if p in self.owned}

    def hears(self, waiting: Waiting) -> None:
        if waiting.error is not None:
            assert waiting.error.code in REJOIN, waiting.error
            self.stops()
            return
        super().hears(waiting)
        self.heard_at_ms = self.world.now_ms
        self.owned |= self.assigned

    def stops(self) -> None:
        self.owned, self.assigned, self.epoch = set(), set(), 0
        self.loses_what_it_had()

    def gives_up(self) -> None:
        self.owned &= self.assigned
        self.loses_what_it_had()

    def heartbeat(self) -> Waiting:
        if self.epoch == 0:
            self.stops()
            return self.asks_to_join()
        return self.asks(topic_partitions=self._partitions())


class ConsumerGroupMachine(MembersMachine):
    """Each seat has a consumer that is replaced when it dies or leaves."""

    world: ConsumerWorld
    seats: list[Client]

    def __init__(self) -> None:
        super().__init__()
        self.world = ConsumerWorld(events=5)
        self.names = 0
        self.committed: Offsets = {}
        self.gone: list[Client] = []
        self.seats = [self._new(["events"]) for _ in range(4)]

    def _new(self, topics: list[str]) -> Client:
        self.names += 1
        name = f"c{self.names}"
        options = {"topics": topics, "rebalance_timeout_ms": 40_000}
        return Client(self.world, name, self.committed, **options)

    @rule(seat=SEATS, late=st.booleans())
    def reads_and_commits(self, seat: int, late: bool) -> None:
        self.seats[seat].reads_and_commits()
        if not late:
            self.commits_arrive(seat)

    @rule(seat=SEATS)
    def commits_arrive(self, seat: int) -> None:
        self.seats[seat].commits_arrive()

    @rule(seat=SEATS, other=SEATS)
    def commits_arrive_when_partitions_have_moved(self, seat: int, other: int) -> None:
        self.seats[seat].reads_and_commits()
        if other != seat:
            self.leaves_and_is_replaced(other, ["events"])
        for _ in range(3):
            self.all_give_up_and_beat()
        for client in self.seats:
            if client is not self.seats[seat]:
                client.reads_and_commits()
                client.commits_arrive()
        self.seats[seat].commits_arrive()

    @rule()
    def commits_of_the_gone_arrive(self) -> None:
        for client in self.gone:
            client.commits_arrive()

    @rule(seat=SEATS, topics=st.sampled_from([["events"], ["events", "totals"], ["totals"]]))
    def leaves_and_is_replaced(self, seat: int, topics: list[str]) -> None:
        if self.seats[seat].epoch > 0:
            self.seats[seat].leaves()
        self.gone.append(self.seats[seat])
        self.seats[seat] = self._new(topics)

    @rule(seat=SEATS)
    def dies_and_is_replaced(self, seat: int) -> None:
        self.gone.append(self.seats[seat])
        self.seats[seat] = self._new(["events"])

    @rule(events=st.integers(1, 7), totals=st.integers(0, 3))
    def topics_change(self, events: int, totals: int) -> None:
        grown = max(events, self.world.view.by_name["events"].partition_count)
        self.world.set_topics(events=grown, **({"totals": totals} if totals else {}))

    @invariant()
    def nothing_is_used_twice(self) -> None:
        used = [
            partition
            for client in self.seats
            for partition in client.owned & client.assigned
            if self._is_member(client)
        ]
        assert len(used) == len(set(used)), used

    def _is_member(self, client: Client) -> bool:
        group = self.world.shard.groups.get("orders")
        return group is not None and client.name in group.members

    def teardown(self) -> None:
        self.world.after(SESSION_TIMEOUT_MS)
        for client in self.seats:
            client.epoch = 0
        for _ in range(14):
            self.all_give_up_and_beat()
        view = self.world.view
        wanted = {
            (name, index)
            for client in self.seats
            for name in client.topics or ()
            if name in view.by_name
            for index in range(view.by_name[name].partition_count)
        }
        held = [partition for client in self.seats for partition in client.assigned]
        assert sorted(held) == sorted(wanted)
        assert self.world.group.state_name() == "Stable"


ConsumerGroupMachine.TestCase.settings = settings(
    max_examples=80, stateful_step_count=50, deadline=None
)
TestConsumerGroup = ConsumerGroupMachine.TestCase
