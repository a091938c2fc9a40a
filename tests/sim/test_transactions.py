"""Transactions under random producers, twins, retries, delays and restarts.

Held at every moment: no transaction is open past its timeout; an epoch of a producer id never goes
back; a transaction is decided once, the same way on every partition, and only the way that its
producer was told; who was fenced can't add anything.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.sim.transactional import EVENTS, NAME, TOTALS, TxnWorld, Writer
from tests.sim.world import Waiting

from pylog.coordinator.effects import Producer
from pylog.coordinator.txn_state import PREPARED, TxnState, TxnVersion, WriteMarkers
from pylog.protocol.errors import ErrorCode

TIMEOUT_MS = 30_000
SEATS = st.integers(0, 1)
PARTITIONS = st.sampled_from([EVENTS, TOTALS])


class TransactionMachine(RuleBasedStateMachine):
    """Two producers that share a transactional id: each may be the other's zombie."""

    def __init__(self) -> None:
        super().__init__()
        self.world = TxnWorld()
        self.writers = [
            Writer(self.world, NAME, version, TIMEOUT_MS) for version in (TxnVersion.V2,) * 2
        ]
        self.ending: list[tuple[Waiting, Producer, bool]] = []
        self.decisions: dict[tuple[int, int], bool] = {}  # by producer id and marker's epoch
        self.epochs: dict[int, int] = {}

    @rule(seat=SEATS, names_itself=st.booleans())
    def initialises(self, seat: int, names_itself: bool) -> None:
        writer = self.writers[seat]
        known = writer.producer.producer_id >= 0
        waiting = writer.asks_to_init(writer.producer if names_itself and known else None)
        if waiting.error is None:
            writer.producer = waiting.heard()
        else:
            fenced, busy = ErrorCode.PRODUCER_FENCED, ErrorCode.CONCURRENT_TRANSACTIONS
            assert waiting.error.code in (fenced, busy)

    @rule(seat=SEATS, partition=PARTITIONS)
    def adds(self, seat: int, partition: tuple[str, int]) -> None:
        writer = self.writers[seat]
        owner = self.world.shard.transactions.get(NAME)
        waiting = writer.adds(partition)
        if waiting.error is None:
            assert owner is not None
            assert writer.producer == Producer(owner.producer_id, owner.epoch), "a zombie writes"

    @rule(seat=SEATS, commit=st.booleans())
    def ends(self, seat: int, commit: bool) -> None:
        waiting = self.writers[seat].ends(commit)
        if waiting.error is None:
            self.ending.append((waiting, self.writers[seat].producer, commit))
            self._hear()

    @rule(seat=SEATS)
    def goes_on_after_its_end(self, seat: int) -> None:
        """Take the epoch of the newest answer to an end of this producer."""
        writer = self.writers[seat]
        for waiting, producer, _ in self.ending:
            if producer == writer.producer and not waiting.waits and waiting.error is None:
                writer.producer = waiting.answer

    @rule()
    def markers_are_written(self) -> None:
        self.world.write_markers()
        self._hear()

    @rule()
    def markers_are_written_but_the_broker_dies_before_it_knows(self) -> None:
        for order in self.world.orders:
            assert isinstance(order, WriteMarkers)
            self.world.markers += [
                (p, order.producer_id, order.epoch, order.commit) for p in order.partitions
            ]
        self.world.restart()

    @rule(ms=st.sampled_from([1, 900, 10_000, TIMEOUT_MS]))
    def time_passes(self, ms: int) -> None:
        self.world.after(ms)

    @rule()
    def broker_restarts(self) -> None:
        self.world.restart()

    @rule(seat=SEATS, commit=st.booleans())
    def broker_dies_during_an_end(self, seat: int, commit: bool) -> None:
        world, lost = self.world, Waiting()
        world.ask = lambda step: world.dies_during(step) or lost  # type: ignore[method-assign]
        try:
            self.writers[seat].ends(commit)
        finally:
            del world.ask  # type: ignore[method-assign]

    def _hear(self) -> None:
        for waiting, producer, commit in self.ending:
            if waiting.waits or waiting.error is not None:
                continue
            decided = self.decisions.get((producer.producer_id, producer.epoch + 1))
            assert decided in (None, commit), "the producer was told otherwise"

    @invariant()
    def decided_once_and_everywhere_alike(self) -> None:
        for _, producer_id, epoch, commit in self.world.markers:
            assert self.decisions.setdefault((producer_id, epoch), commit) == commit

    @invariant()
    def not_open_past_its_timeout(self) -> None:
        for txn in self.world.shard.transactions.values():
            if txn.state == TxnState.ONGOING:
                assert self.world.now_ms - txn.start_ms < txn.timeout_ms

    @invariant()
    def decided_ones_are_on_their_way(self) -> None:
        txn = self.world.shard.transactions.get(NAME)
        if txn is not None and txn.state in PREPARED:
            assert txn.markers() in self.world.orders

    @invariant()
    def epochs_never_go_back(self) -> None:
        txn = self.world.shard.transactions.get(NAME)
        if txn is not None:
            assert txn.epoch >= self.epochs.get(txn.producer_id, 0)
            self.epochs[txn.producer_id] = txn.epoch

    def teardown(self) -> None:
        """Whoever begins anew, and is alone, commits."""
        self.world.write_markers()
        writer = self.writers[0]
        writer.starts()
        writer.adds(EVENTS).heard()
        writer.commits()
        assert self.world.markers[-1][3], "the last end was a commit"


TransactionMachine.TestCase.settings = settings(
    max_examples=80, stateful_step_count=50, deadline=None
)
TestTransactions = TransactionMachine.TestCase
