"""A share partition under random members, times, restarts and failed stores.

Held at every moment: no two members hold one record; what was accepted and stored is never
delivered again, nor is anything delivered more often than the limit allows; and when everybody
acknowledges in the end, every record was accepted, rejected, or delivered as often as allowed.
"""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.sim.world import World

from pylog.coordinator.share_partition import (
    AcknowledgedBatch,
    AcknowledgeType,
    Acquired,
    Change,
    Limits,
    LogBatch,
    SharePartition,
    Wish,
)
from pylog.coordinator.share_state import SharePartitionKey, ShareStateShard, StateWrite
from pylog.protocol.errors import ApiError, ErrorCode

KEY = SharePartitionKey("group", bytes(16), 0)
LIMITS = Limits(deliveries=3, in_flight=30, lock_ms=1_000)
MEMBERS = st.sampled_from(["anna", "bob", "carl"])
TYPES = st.sampled_from(list(AcknowledgeType))


class SharePartitionMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.states: World[ShareStateShard] = World(lambda: ShareStateShard(3))
        self.states.ask(lambda shard, p, now: shard.initialize(KEY, 1, 0, p, now))
        self.leader_epochs = itertools.count()
        self.now_ms = 0
        self.log: list[LogBatch] = []
        self.held: dict[int, str] = {}  # by offset, as the members believe
        self.locks: dict[int, int] = {}  # when they end
        self.deliveries: Counter[int] = Counter()  # since a restart forgot the last ones
        self.done: set[int] = set()
        self.load()

    def load(self) -> None:
        """As a leader that begins: what it reads is all that it knows."""
        self.epoch = next(self.leader_epochs)
        state = self.states.ask(lambda s, p, now: s.read(KEY, self.epoch, p, now)).heard()
        self.partition = SharePartition(state.start_offset, state.batches)
        self.held.clear()
        self.deliveries = Counter()
        for batch in state.batches:
            for offset in range(batch.first_offset, batch.last_offset + 1):
                self.deliveries[offset] = batch.deliveries

    def store(self, change: Change) -> None:
        write = StateWrite(self.epoch, 1, change.start_offset, change.done_count, change.batches)
        self.states.ask(lambda s, p, now: s.write(KEY, write, p, now)).heard()

    # ---- what happens ----

    @rule(size=st.integers(1, 8), hole=st.integers(0, 3), deliverable=st.booleans())
    def append(self, size: int, hole: int, deliverable: bool) -> None:
        first = (self.log[-1].last_offset + 1 if self.log else 0) + hole
        self.log.append(LogBatch(first, first + size - 1, deliverable))

    @rule(member=MEMBERS, records=st.integers(1, 12), strict=st.booleans())
    def fetch(self, member: str, records: int, strict: bool) -> None:
        self.get(member, records, strict)

    def get(self, member: str, records: int, strict: bool = False) -> list[Acquired]:
        offset = self.partition.next_offset(LIMITS)
        if offset is None:
            return []
        batches = [batch for batch in self.log if batch.last_offset >= offset]
        wish = Wish(member, records, 4, strict)
        got = self.partition.acquire(wish, offset, batches, LIMITS, self.now_ms)
        deliverable = {
            o for b in self.log if b.deliverable for o in range(b.first_offset, b.last_offset + 1)
        }
        for item in got:
            for at in range(item.first_offset, item.last_offset + 1):
                assert at in deliverable
                assert at not in self.done, "what is done came back"
                assert at not in self.held, "two members hold one record"
                self.deliveries[at] += 1
                assert self.deliveries[at] == item.deliveries <= LIMITS.deliveries
                self.held[at] = member
                self.locks[at] = self.now_ms + LIMITS.lock_ms
        if strict:
            assert sum(i.last_offset - i.first_offset + 1 for i in got) <= records
        return got

    @rule(
        member=MEMBERS,
        kind=TYPES,
        skip=st.integers(0, 3),
        count=st.integers(1, 10),
        stored=st.sampled_from([True, True, True, False]),
    )
    def acknowledge(
        self, member: str, kind: AcknowledgeType, skip: int, count: int, stored: bool
    ) -> None:
        mine = [offset for offset, holder in sorted(self.held.items()) if holder == member]
        mine = mine[skip : skip + count]
        batches = [AcknowledgedBatch(offset, offset, [kind]) for offset in mine]
        if not batches:
            return
        change = self.partition.acknowledge(member, batches, LIMITS, self.now_ms)
        if not stored:
            self.states.restart()
            self.load()
            return
        self.store(change)
        if kind is AcknowledgeType.RENEW:
            self.locks.update(dict.fromkeys(mine, self.now_ms + LIMITS.lock_ms))
            return
        for offset in mine:
            del self.held[offset]
            if kind is not AcknowledgeType.RELEASE or self.is_last_delivery(offset):
                self.done.add(offset)

    def is_last_delivery(self, offset: int) -> bool:
        return self.deliveries[offset] >= LIMITS.deliveries

    @rule(member=MEMBERS, other=MEMBERS)
    def acknowledge_of_another(self, member: str, other: str) -> None:
        theirs = [offset for offset, holder in self.held.items() if holder == other != member]
        if theirs:
            batch = AcknowledgedBatch(theirs[0], theirs[0], [AcknowledgeType.ACCEPT])
            with pytest.raises(ApiError) as refused:
                self.partition.acknowledge(member, [batch], LIMITS, self.now_ms)
            assert refused.value.code == ErrorCode.INVALID_RECORD_STATE

    @rule(member=MEMBERS)
    def leave(self, member: str) -> None:
        self.store(self.partition.release(member, LIMITS))
        self.give_back({o for o, holder in self.held.items() if holder == member})

    @rule(ms=st.integers(1, 1_500))
    def wait(self, ms: int) -> None:
        self.now_ms += ms
        self.store(self.partition.expire(LIMITS, self.now_ms))
        self.give_back({o for o in self.held if self.locks[o] <= self.now_ms})

    def give_back(self, offsets: set[int]) -> None:
        for offset in offsets:
            del self.held[offset]
            if self.is_last_delivery(offset):
                self.done.add(offset)

    @rule()
    def restart(self) -> None:
        self.states.restart()
        self.load()

    @invariant()
    def start_offset_is_at_what_is_not_done(self) -> None:
        for offset in range(self.partition.start_offset):
            batch = next((b for b in self.log if b.first_offset <= offset <= b.last_offset), None)
            assert offset in self.done or batch is None or not batch.deliverable

    def teardown(self) -> None:
        """Everybody accepts what comes: in the end nothing is left."""
        self.wait(LIMITS.lock_ms)
        while self.get("anna", 10):
            self.acknowledge("anna", AcknowledgeType.ACCEPT, 0, 1_000, True)
        offsets = {
            o for b in self.log if b.deliverable for o in range(b.first_offset, b.last_offset + 1)
        }
        assert offsets == self.done, "a record was lost, or is stuck"


SharePartitionMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestSharePartition = SharePartitionMachine.TestCase
