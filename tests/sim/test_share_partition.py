"""A share partition under random members, times, restarts, failed and repeated requests.

Held at every moment: no two members hold one record; what was accepted and stored is never
delivered again, nor is anything delivered more often than the limit allows; the start offset and
the search for free records pass over nothing that is still to be delivered; and when everybody
acknowledges in the end, every record was accepted, rejected, delivered as often as allowed, or
deleted from the log. With a dead letter queue each record that is given up has its letter.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.sim.world import World

from pylog.coordinator.share_partition import (
    AcknowledgedBatch,
    AcknowledgeType,
    Acquired,
    Change,
    DeadLetter,
    Limits,
    LogBatch,
    SharePartition,
    Wish,
)
from pylog.coordinator.share_state import SharePartitionKey, ShareStateShard, StateWrite
from pylog.protocol.errors import ApiError, ErrorCode

KEY = SharePartitionKey("group", bytes(16), 0)
MEMBERS = st.sampled_from(["anna", "bob", "carl"])
TYPES = st.sampled_from(list(AcknowledgeType))
# What becomes of a change: it is stored; it is not, and the leader begins anew; it is stored, and
# the leader dies before it can say so.
FATES = st.sampled_from(["stored", "stored", "stored", "lost", "unheard"])


def offsets_of(batches: Iterable[LogBatch | Acquired | DeadLetter]) -> list[int]:
    return [o for b in batches for o in range(b.first_offset, b.last_offset + 1)]


class SharePartitionMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.limits = Limits(deliveries=3, in_flight=30, lock_ms=1_000)
        self.states: World[ShareStateShard] = World(lambda: ShareStateShard(3))
        self.states.ask(lambda shard, p, now: shard.initialize(KEY, 1, 0, p, now))
        self.leader_epochs = itertools.count()
        self.now_ms = 0
        self.log: list[LogBatch] = []
        self.log_start = 0
        self.held: dict[int, str] = {}  # by offset, as the members believe
        self.locks: dict[int, int] = {}  # when they end
        self.deliveries: Counter[int] = Counter()  # since a restart forgot the last ones
        self.done: set[int] = set()
        self.given_up: set[int] = set()  # of these, what nobody accepted
        self.letters: set[int] = set()
        self.sent: list[tuple[str, list[AcknowledgedBatch]]] = []
        self.load()

    @initialize(dead_letters=st.booleans(), deliveries=st.integers(2, 5))
    def configure(self, dead_letters: bool, deliveries: int) -> None:
        self.limits = replace(self.limits, dead_letters=dead_letters, deliveries=deliveries)

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
        self.write_letters(self.partition.undelivered())

    def store(self, change: Change) -> None:
        self.check_done_count(change)
        write = StateWrite(self.epoch, 1, change.start_offset, change.done_count, change.batches)
        self.states.ask(lambda s, p, now: s.write(KEY, write, p, now)).heard()
        self.write_letters(change.letters)

    def check_done_count(self, change: Change) -> None:
        span = range(change.start_offset, self.partition.end_offset)
        done = len(self.done.intersection(span) - set(offsets_of(change.letters)))
        nothing_there = len(set(span).difference(self.deliverable()))
        assert done <= change.done_count <= done + nothing_there

    def write_letters(self, letters: Sequence[DeadLetter]) -> None:
        self.letters.update(offsets_of(letters))
        if letters:
            self.store(self.partition.buried(letters))

    def deliverable(self) -> list[int]:
        return [
            offset
            for offset in offsets_of(batch for batch in self.log if batch.deliverable)
            if offset >= self.log_start
        ]

    # ---- what happens ----

    @rule(size=st.integers(1, 8), hole=st.integers(0, 3), deliverable=st.booleans())
    def append(self, size: int, hole: int, deliverable: bool) -> None:
        first = (self.log[-1].last_offset + 1 if self.log else 0) + hole
        self.log.append(LogBatch(first, first + size - 1, deliverable))

    @rule(number=st.integers(0, 5))
    def delete_records(self, number: int) -> None:
        """Up to the end of a batch, as retention does."""
        if number < len(self.log):
            self.log_start = max(self.log_start, self.log[number].last_offset + 1)
            self.store(self.partition.log_starts_at(self.log_start))
            for offset in [o for o in self.held if o < self.log_start]:
                del self.held[offset]

    @rule(member=MEMBERS, records=st.integers(1, 12), strict=st.booleans())
    def fetch(self, member: str, records: int, strict: bool) -> None:
        self.get(member, records, strict)

    def get(self, member: str, records: int, strict: bool = False) -> list[Acquired]:
        offset = self.partition.next_offset(self.limits)
        if offset is None:
            return []
        batches = [b for b in self.log if b.last_offset >= max(offset, self.log_start)]
        wish = Wish(member, records, 4, strict)
        got = self.partition.acquire(wish, offset, batches, self.limits, self.now_ms)
        deliverable = set(self.deliverable())
        for item in got:
            for at in range(item.first_offset, item.last_offset + 1):
                assert at in deliverable
                assert at not in self.done, "what is done came back"
                assert at not in self.held, "two members hold one record"
                self.deliveries[at] += 1
                assert self.deliveries[at] == item.deliveries <= self.limits.deliveries
                self.held[at] = member
                self.locks[at] = self.now_ms + self.limits.lock_ms
        if strict:
            assert len(offsets_of(got)) <= records
        return got

    @rule(member=MEMBERS, kind=TYPES, skip=st.integers(0, 3), count=st.integers(1, 10), fate=FATES)
    def acknowledge(
        self, member: str, kind: AcknowledgeType, skip: int, count: int, fate: str
    ) -> None:
        mine = [offset for offset, holder in sorted(self.held.items()) if holder == member]
        mine = mine[skip : skip + count]
        batches = [AcknowledgedBatch(offset, offset, [kind]) for offset in mine]
        if not batches:
            return
        self.sent.append((member, batches))
        change = self.partition.acknowledge(member, batches, self.limits, self.now_ms)
        if fate != "lost":
            self.take_note(mine, kind)
            self.store(change)
        if fate != "stored":
            self.states.restart()
            self.load()

    def take_note(self, offsets: Sequence[int], kind: AcknowledgeType) -> None:
        """What was acknowledged so is stored."""
        if kind is AcknowledgeType.RENEW:
            self.locks.update(dict.fromkeys(offsets, self.now_ms + self.limits.lock_ms))
            return
        for offset in offsets:
            del self.held[offset]
            if kind is AcknowledgeType.RELEASE:
                self.end_delivery(offset)
                continue
            self.done.add(offset)
            if kind is AcknowledgeType.REJECT:
                self.given_up.add(offset)

    def end_delivery(self, offset: int) -> None:
        if self.deliveries[offset] >= self.limits.deliveries:
            self.done.add(offset)
            self.given_up.add(offset)

    @rule(number=st.integers(0, 20))
    def acknowledge_again(self, number: int) -> None:
        """A request that comes twice does nothing, or is refused."""
        if number >= len(self.sent):
            return
        member, batches = self.sent[number]
        if any(self.held.get(batch.first_offset) == member for batch in batches):
            return  # it has been given that again: this would count
        if batches[-1].last_offset < self.partition.start_offset:
            again = self.partition.acknowledge(member, batches, self.limits, self.now_ms)
            assert not again.batches
            return
        with pytest.raises(ApiError) as refused:
            self.partition.acknowledge(member, batches, self.limits, self.now_ms)
        refusals = (ErrorCode.INVALID_RECORD_STATE, ErrorCode.INVALID_REQUEST)
        assert refused.value.code in refusals

    @rule(member=MEMBERS, other=MEMBERS)
    def acknowledge_of_another(self, member: str, other: str) -> None:
        theirs = [offset for offset, holder in self.held.items() if holder == other != member]
        if theirs:
            batch = AcknowledgedBatch(theirs[0], theirs[0], [AcknowledgeType.ACCEPT])
            with pytest.raises(ApiError) as refused:
                self.partition.acknowledge(member, [batch], self.limits, self.now_ms)
            assert refused.value.code == ErrorCode.INVALID_RECORD_STATE

    @rule(member=MEMBERS)
    def leave(self, member: str) -> None:
        self.give_back({o for o, holder in self.held.items() if holder == member})
        self.store(self.partition.release(member, self.limits))

    @rule(ms=st.integers(1, 1_500))
    def wait(self, ms: int) -> None:
        self.now_ms += ms
        self.give_back({o for o in self.held if self.locks[o] <= self.now_ms})
        self.store(self.partition.expire(self.limits, self.now_ms))

    def give_back(self, offsets: set[int]) -> None:
        for offset in offsets:
            del self.held[offset]
            self.end_delivery(offset)

    @rule()
    def restart(self) -> None:
        self.states.restart()
        self.load()

    # ---- what holds ----

    @invariant()
    def nothing_that_is_still_to_be_delivered_is_passed_over(self) -> None:
        passed = self.partition.next_offset(self.limits)
        start = self.partition.start_offset
        if passed is None:
            passed = self.partition.end_offset
        for offset in self.deliverable():
            if offset < start:
                assert offset in self.done
            elif offset < passed:
                assert offset in self.done or offset in self.held

    @invariant()
    def locks_end_when_members_think(self) -> None:
        ends = [self.locks[offset] for offset in self.held]
        assert self.partition.next_lock_end_ms() == min(ends, default=None)

    @invariant()
    def what_is_given_up_has_a_letter_where_there_is_a_queue(self) -> None:
        wanted = self.given_up if self.limits.dead_letters else set[int]()
        assert {o for o in wanted if o >= self.log_start} <= self.letters <= self.given_up

    def teardown(self) -> None:
        """Everybody accepts what comes: in the end nothing is left."""
        self.wait(self.limits.lock_ms)
        while self.get("anna", 10):
            self.acknowledge("anna", AcknowledgeType.ACCEPT, 0, 1_000, "stored")
        assert set(self.deliverable()) <= self.done, "a record was lost, or is stuck"


SharePartitionMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestSharePartition = SharePartitionMachine.TestCase
