"""Transactions as dialogues between producers and their coordinator."""

from __future__ import annotations

import pytest
from tests.sim.transactional import EVENTS, NAME, TOTALS, TxnWorld, Writer
from tests.sim.world import Waiting

from pylog.coordinator.effects import Producer
from pylog.coordinator.txn import TxnSettings
from pylog.coordinator.txn_state import Transaction, TxnState, TxnVersion
from pylog.protocol.errors import ErrorCode


@pytest.fixture
def world() -> TxnWorld:
    return TxnWorld()


def transaction(world: TxnWorld) -> Transaction:
    found: Transaction = world.shard.transactions[NAME]
    return found


def refusal(waiting: Waiting) -> ErrorCode:
    assert waiting.error is not None, f"not refused: {waiting.answer}"
    return waiting.error.code


def test_commit_writes_a_marker_to_every_partition_under_the_next_epoch(world: TxnWorld) -> None:
    writer = Writer(world)
    writer.starts()
    assert writer.producer == Producer(1_000, 0)
    assert writer.adds(EVENTS).heard() is None
    assert writer.adds(EVENTS, TOTALS).heard() is None
    ended = writer.ends(True)
    assert ended.waits, "the answer comes when a reader sees the commit"
    assert transaction(world).state == TxnState.PREPARE_COMMIT
    world.write_markers()
    assert ended.heard() == Producer(1_000, 1)
    assert world.markers == [(EVENTS, 1_000, 1, True), (TOTALS, 1_000, 1, True)]
    assert transaction(world).state == TxnState.COMPLETE_COMMIT


def test_producer_of_the_first_version_keeps_its_epoch(world: TxnWorld) -> None:
    writer = Writer(world, version=TxnVersion.V1)
    writer.starts()
    writer.adds(EVENTS)
    ended = writer.ends(False)
    world.write_markers()
    assert ended.heard() == Producer(1_000, 0)
    assert world.markers == [(EVENTS, 1_000, 0, False)]


def test_end_is_answered_before_markers_that_take_long(world: TxnWorld) -> None:
    writer = Writer(world)
    writer.starts()
    writer.adds(EVENTS)
    ended = writer.ends(True)
    world.after(1_000)
    writer.producer = ended.heard()
    assert refusal(writer.adds(EVENTS)) == ErrorCode.CONCURRENT_TRANSACTIONS
    world.write_markers()
    assert writer.adds(EVENTS).heard() is None


@pytest.mark.parametrize("version", [TxnVersion.V1, TxnVersion.V2])
@pytest.mark.parametrize("commit", [True, False])
def test_repeated_end_is_answered_alike_and_its_opposite_refused(
    world: TxnWorld, version: TxnVersion, commit: bool
) -> None:
    writer = Writer(world, version=version)
    writer.starts()
    writer.adds(EVENTS)
    ended = writer.ends(commit)
    assert refusal(writer.ends(commit)) == ErrorCode.CONCURRENT_TRANSACTIONS
    assert refusal(writer.ends(not commit)) == ErrorCode.INVALID_TXN_STATE
    world.write_markers()
    assert writer.ends(commit).heard() == ended.heard()
    assert refusal(writer.ends(not commit)) == ErrorCode.INVALID_TXN_STATE
    assert len(world.markers) == 1, "a repetition writes nothing"


def test_commit_of_nothing_is_refused_and_abort_of_nothing_gives_a_new_epoch(
    world: TxnWorld,
) -> None:
    writer = Writer(world)
    writer.starts()
    assert refusal(writer.ends(True)) == ErrorCode.INVALID_TXN_STATE
    ended = writer.ends(False)
    world.write_markers()
    assert ended.heard() == Producer(1_000, 1)
    assert world.markers == []
    old = Writer(world, "old", TxnVersion.V1)
    old.starts()
    assert refusal(old.ends(False)) == ErrorCode.INVALID_TXN_STATE


def test_transaction_past_its_timeout_is_aborted_and_its_producer_fenced(world: TxnWorld) -> None:
    writer = Writer(world, timeout_ms=10_000)
    writer.starts()
    writer.adds(EVENTS)
    world.after(9_999)
    assert transaction(world).state == TxnState.ONGOING
    world.after(1)
    world.write_markers()
    assert world.markers == [(EVENTS, 1_000, 1, False)]
    assert refusal(writer.adds(TOTALS)) == ErrorCode.PRODUCER_FENCED
    assert refusal(writer.ends(True)) == ErrorCode.INVALID_TXN_STATE


def test_second_producer_of_the_name_fences_the_first(world: TxnWorld) -> None:
    first, second = Writer(world), Writer(world)
    first.starts()
    first.adds(EVENTS)
    assert refusal(second.asks_to_init()) == ErrorCode.CONCURRENT_TRANSACTIONS
    assert refusal(second.asks_to_init()) == ErrorCode.CONCURRENT_TRANSACTIONS
    world.write_markers()
    second.starts()
    assert second.producer == Producer(1_000, 2)
    assert world.markers == [(EVENTS, 1_000, 1, False)]
    assert refusal(first.adds(EVENTS)) == ErrorCode.PRODUCER_FENCED
    assert refusal(first.ends(True)) == ErrorCode.PRODUCER_FENCED


def test_producer_that_names_its_epoch_goes_on_and_a_zombie_does_not(world: TxnWorld) -> None:
    writer = Writer(world)
    writer.starts()
    before = writer.producer
    raised = writer.asks_to_init(before).heard()
    assert raised == Producer(1_000, 1)
    assert writer.asks_to_init(before).heard() == raised, "asked again: the answer was lost"
    writer.asks_to_init(raised).heard()
    assert refusal(writer.asks_to_init(before)) == ErrorCode.PRODUCER_FENCED
    assert refusal(writer.asks_to_init(Producer(7, 0))) == ErrorCode.PRODUCER_FENCED


def test_last_epoch_moves_the_producer_to_another_id(world: TxnWorld) -> None:
    writer = Writer(world)
    writer.starts()
    transaction(world).epoch = 32_766
    writer.producer = last = Producer(1_000, 32_766)
    writer.adds(EVENTS)
    ended = writer.ends(True)
    world.write_markers()
    assert world.markers == [(EVENTS, 1_000, 32_767, True)]
    assert ended.heard() == Producer(1_001, 0)
    writer.producer = last
    assert writer.ends(True).heard() == Producer(1_001, 0), "asked again: the answer was lost"


def test_initialising_at_the_last_epoch_takes_another_id(world: TxnWorld) -> None:
    writer = Writer(world)
    writer.starts()
    transaction(world).epoch = 32_766
    last = Producer(1_000, 32_766)
    assert writer.asks_to_init(last).heard() == Producer(1_001, 0)
    assert writer.asks_to_init(last).heard() == Producer(1_001, 0)


@pytest.mark.parametrize("timeout_ms", [0, -1, 900_001, 2**31 - 1])
def test_timeout_out_of_range_is_refused(world: TxnWorld, timeout_ms: int) -> None:
    writer = Writer(world, timeout_ms=timeout_ms)
    assert refusal(writer.asks_to_init()) == ErrorCode.INVALID_TRANSACTION_TIMEOUT


def test_unknown_names_and_foreign_producers_are_refused(world: TxnWorld) -> None:
    stranger = Writer(world, "stranger")
    assert refusal(stranger.adds(EVENTS)) == ErrorCode.INVALID_PRODUCER_ID_MAPPING
    assert refusal(stranger.ends(True)) == ErrorCode.INVALID_PRODUCER_ID_MAPPING
    assert refusal(Writer(world, "").asks_to_init()) == ErrorCode.INVALID_REQUEST
    assert refusal(Writer(world, "").adds(EVENTS)) == ErrorCode.INVALID_REQUEST
    Writer(world).starts()
    thief = Writer(world)
    thief.producer = Producer(4_711, 0)
    assert refusal(thief.adds(EVENTS)) == ErrorCode.INVALID_PRODUCER_ID_MAPPING
    assert refusal(thief.ends(True)) == ErrorCode.INVALID_PRODUCER_ID_MAPPING


def test_restart_goes_on_writing_the_markers_of_a_decided_transaction(world: TxnWorld) -> None:
    writer = Writer(world)
    writer.starts()
    writer.adds(EVENTS)
    ended = writer.ends(True)
    world.restart()
    world.write_markers()
    assert ended.waits, "its answer was lost with the broker"
    assert world.markers == [(EVENTS, 1_000, 1, True)]
    assert writer.ends(True).heard() == Producer(1_000, 1)


def test_restart_keeps_the_time_that_an_open_transaction_has(world: TxnWorld) -> None:
    writer = Writer(world, timeout_ms=10_000)
    writer.starts()
    writer.adds(EVENTS)
    world.after(6_000)
    world.restart()
    world.after(4_000)
    assert transaction(world).state == TxnState.PREPARE_ABORT


def test_late_markers_of_an_earlier_end_complete_nothing_else(world: TxnWorld) -> None:
    writer = Writer(world)
    writer.starts()
    writer.adds(EVENTS)
    writer.ends(True)
    stale = list(world.orders)
    world.write_markers()
    writer.producer = Producer(1_000, 1)
    writer.adds(EVENTS)
    writer.ends(False)
    fresh, world.orders = world.orders, stale
    world.write_markers()
    assert transaction(world).state == TxnState.PREPARE_ABORT
    world.orders = fresh
    world.write_markers()
    assert transaction(world).state == TxnState.COMPLETE_ABORT


def test_verify_tells_which_partitions_take_part(world: TxnWorld) -> None:
    writer = Writer(world)
    writer.starts()

    def verified() -> object:
        return world.ask(
            lambda shard, p, now: shard.verify(NAME, writer.producer, [EVENTS, TOTALS], p)
        ).heard()

    assert verified() == set()
    writer.adds(EVENTS)
    assert verified() == {EVENTS}
    writer.commits()
    assert verified() == set()


def test_idle_name_is_forgotten_and_a_busy_one_is_not() -> None:
    world = TxnWorld(TxnSettings(id_expiration_ms=100_000, expiry_interval_ms=10_000))
    idle, busy = Writer(world, "idle"), Writer(world, "busy", timeout_ms=800_000)
    idle.starts()
    busy.starts()
    busy.adds(EVENTS)
    world.after(110_000)
    assert set(world.shard.transactions) == {"busy"}
    world.restart()
    assert set(world.shard.transactions) == {"busy"}
