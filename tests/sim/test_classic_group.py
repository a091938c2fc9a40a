"""A classic group under random joins, deaths, delays, retries and restarts.

Held at every moment: a partition has one owner in a generation; a committed offset is never lost
and never goes back. Members that keep answering end up in one generation that owns everything.
"""

from __future__ import annotations

import json

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.sim.classic import Member, committed, new_world
from tests.sim.world import Waiting

from pylog.protocol.errors import ErrorCode

PARTITIONS = range(4)
REJOIN = {ErrorCode.REBALANCE_IN_PROGRESS, ErrorCode.ILLEGAL_GENERATION}
FORGET_ID = {ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.FENCED_INSTANCE_ID}


class Consumer(Member):
    """A member that acts on its answers as a client does."""

    joining: Waiting | None = None
    syncing: Waiting | None = None
    given: dict[str, bytes] | None = None  # as leader: the assignments it has made
    owned: tuple[int, ...] = ()

    def code(self, waiting: Waiting) -> int:
        """The error code of an answer; an id that is no longer known is forgotten."""
        code = waiting.error.code if waiting.error is not None else waiting.answer.error_code
        if code in FORGET_ID:
            self.id, self.generation = "", -1
        if code:
            self.owned = ()
        return int(code)

    def joins_anew(self) -> None:
        self.owned = ()
        self.joining, self.syncing = self.joins(), None

    def hears(self) -> None:
        """Take what has arrived, and ask what a client asks next."""
        if self.joining is not None and not self.joining.waits:
            joined, self.joining = self.joining, None
            if self.code(joined) == 0:
                self.learns(joined)
                self.given = _assignments(joined)
                self.syncing = self.syncs(self.given)
        if self.syncing is not None and not self.syncing.waits:
            synced, self.syncing = self.syncing, None
            if self.code(synced) == 0:
                self.owned = tuple(json.loads(synced.answer.assignment or b"[]"))


def _assignments(joined: Waiting) -> dict[str, bytes]:
    members = sorted(m.member_id for m in joined.answer.members)
    shares: dict[str, list[int]] = {member: [] for member in members}
    for partition in PARTITIONS if members else ():
        shares[members[partition % len(members)]].append(partition)
    return {member: json.dumps(share).encode() for member, share in shares.items()}


SEATS = st.integers(0, 3)


class ClassicGroupMachine(RuleBasedStateMachine):
    """Four seats, each with a consumer that is replaced when it dies or leaves."""

    def __init__(self) -> None:
        super().__init__()
        self.world = new_world()
        self.owners: dict[tuple[int, int], str] = {}
        self.offset = 0
        self.acknowledged: int | None = None
        self.seats = [self._new(seat, None) for seat in range(4)]

    def _new(self, seat: int, instance: str | None) -> Consumer:
        consumer = Consumer(self.world, f"c{seat}", instance=instance, rebalance_timeout_ms=30_000)
        consumer.joins_anew()
        return consumer

    @rule(seat=SEATS, instance=st.sampled_from([None, None, "desk-1", "desk-2"]))
    def dies_and_is_replaced(self, seat: int, instance: str | None) -> None:
        self.seats[seat] = self._new(seat, instance)

    @rule(seat=SEATS, instance=st.sampled_from([None, "desk-1"]))
    def leaves_and_is_replaced(self, seat: int, instance: str | None) -> None:
        self.seats[seat].leaves()
        self.seats[seat] = self._new(seat, instance)

    @rule(seat=SEATS)
    def joins_again(self, seat: int) -> None:
        self.seats[seat].joins_anew()

    @rule(seat=SEATS)
    def hears(self, seat: int) -> None:
        consumer = self.seats[seat]
        consumer.hears()
        for partition in consumer.owned:
            key = consumer.generation, partition
            owner = self.owners.setdefault(key, consumer.instance or consumer.id)
            assert owner == (consumer.instance or consumer.id), f"{key} has two owners"

    @rule(seat=SEATS)
    def beats(self, seat: int) -> None:
        waiting = self.seats[seat].beats()
        assert not waiting.waits, "a heartbeat never waits"
        if self.seats[seat].code(waiting):
            self.seats[seat].joins_anew()

    @rule()
    def all_hear_and_beat(self) -> None:
        for seat in (*range(4), *range(4)):
            self.hears(seat)
        for seat, consumer in enumerate(self.seats):
            if consumer.joining is None and consumer.syncing is None:
                self.beats(seat)

    @rule(seat=SEATS)
    def syncs_again(self, seat: int) -> None:
        consumer = self.seats[seat]
        if consumer.generation >= 0 and consumer.joining is None:
            consumer.syncing = consumer.syncs(consumer.given)

    @rule(seat=SEATS)
    def commits(self, seat: int) -> None:
        self.offset += 1
        waiting = self.seats[seat].commits(self.offset)
        if waiting.error is None and waiting.answer == [ErrorCode.NONE]:
            self.acknowledged = self.offset

    @rule(ms=st.sampled_from([1, 3_000, 3_000, 6_000, 12_000]))
    def time_passes(self, ms: int) -> None:
        self.world.after(ms)

    @rule()
    def broker_restarts(self) -> None:
        self.world.restart()
        self._connections_break()

    @rule(seat=SEATS)
    def broker_dies_during_a_sync(self, seat: int) -> None:
        world, lost = self.world, Waiting()
        world.ask = lambda step: world.dies_during(step) or lost  # type: ignore[method-assign]
        try:
            self.seats[seat].syncs(self.seats[seat].given)
        finally:
            del world.ask  # type: ignore[method-assign]
        self._connections_break()

    def _connections_break(self) -> None:
        for consumer in self.seats:
            consumer.joining = consumer.syncing = None

    @invariant()
    def no_committed_offset_is_lost(self) -> None:
        assert committed(self.world) == self.acknowledged

    def teardown(self) -> None:
        """Whoever is left and behaves becomes stable. One instance has one consumer here."""
        survivors = list({c.instance or c.client.client_id: c for c in self.seats}.values())
        for consumer in survivors:
            consumer.joins_anew()
        for _ in range(60):
            for consumer in survivors:
                consumer.hears()
                if consumer.joining is None and consumer.syncing is None:
                    waiting = consumer.beats()
                    if consumer.code(waiting):
                        consumer.joins_anew()
            self.world.after(2_000)
        assert len({c.generation for c in survivors}) == 1
        assert sorted(p for c in survivors for p in c.owned) == list(PARTITIONS)


ClassicGroupMachine.TestCase.settings = settings(
    max_examples=80, stateful_step_count=50, deadline=None
)
TestClassicGroup = ClassicGroupMachine.TestCase
