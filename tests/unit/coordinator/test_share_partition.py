"""A share partition as a dialogue between members and the leader."""

from __future__ import annotations

import pytest

from pylog.coordinator.share_partition import (
    AcknowledgedBatch,
    AcknowledgeType,
    DeadLetter,
    Failure,
    Limits,
    LogBatch,
    SharePartition,
    StateBatch,
    Wish,
)
from pylog.protocol.errors import ApiError, ErrorCode

LIMITS = Limits(deliveries=3, in_flight=100, lock_ms=1_000)
ACCEPT, RELEASE, REJECT, GAP = (
    AcknowledgeType.ACCEPT,
    AcknowledgeType.RELEASE,
    AcknowledgeType.REJECT,
    AcknowledgeType.GAP,
)
TENS = [LogBatch(first, first + 9, True) for first in range(0, 200, 10)]


def acquire(
    partition: SharePartition,
    member: str,
    records: int = 10,
    batches: list[LogBatch] = TENS,
    *,
    strict: bool = False,
    batch_size: int = 100,
    now_ms: int = 0,
) -> list[tuple[int, int, int]]:
    offset = partition.next_offset(LIMITS)
    if offset is None:
        return []
    rest = [batch for batch in batches if batch.last_offset >= offset]
    wish = Wish(member, records, batch_size, strict)
    return [tuple(a) for a in partition.acquire(wish, offset, rest, LIMITS, now_ms)]


def acknowledge(
    partition: SharePartition, member: str, *batches: tuple[int, int, int], now_ms: int = 0
) -> tuple[int, list[StateBatch]]:
    """Start offset and what is stored."""
    told = [AcknowledgedBatch(first, last, [kind]) for first, last, kind in batches]
    change = partition.acknowledge(member, told, LIMITS, now_ms)
    return change.start_offset, change.batches


def test_members_get_different_batches() -> None:
    partition = SharePartition(0)
    assert acquire(partition, "anna", 5) == [(0, 9, 1)], "a batch is given whole"
    assert acquire(partition, "bob", 15) == [(10, 29, 1)]


def test_strict_member_gets_not_one_record_more() -> None:
    partition = SharePartition(0)
    assert acquire(partition, "anna", 5, strict=True) == [(0, 4, 1)]
    assert acquire(partition, "bob", 15, strict=True) == [(5, 19, 1)]


def test_strict_members_share_one_batch() -> None:
    partition = SharePartition(0)
    for first in (0, 3, 6):
        assert acquire(partition, "anna", 3, strict=True) == [(first, first + 2, 1)]
    assert acquire(partition, "bob", 3, strict=True) == [(9, 11, 1)]
    acknowledge(partition, "anna", (1, 1, RELEASE), (4, 7, RELEASE))
    assert acquire(partition, "bob", 3, strict=True) == [(1, 1, 2), (4, 5, 2)]


def test_acquired_records_are_cut_at_batches_of_the_wanted_size() -> None:
    partition = SharePartition(0)
    assert acquire(partition, "anna", 40, batch_size=15) == [(0, 19, 1), (20, 39, 1)]


def test_start_offset_moves_over_what_is_done() -> None:
    partition = SharePartition(0)
    acquire(partition, "anna", 20)
    assert acknowledge(partition, "anna", (5, 9, ACCEPT)) == (0, [StateBatch(5, 9, 2, 1)])
    assert acknowledge(partition, "anna", (0, 4, REJECT)) == (10, [])


def test_released_records_come_again_until_the_limit() -> None:
    partition = SharePartition(0)
    batches = [LogBatch(0, 0, True)]
    for delivery in (1, 2, 3):
        assert acquire(partition, "anna", batches=batches) == [(0, 0, delivery)]
        stored = acknowledge(partition, "anna", (0, 0, RELEASE))
    assert stored == (1, []), "after the last delivery they are archived"


def test_records_that_come_back_often_are_delivered_apart() -> None:
    partition = SharePartition(0)
    limits = Limits(deliveries=5, in_flight=100, lock_ms=1_000)
    wish = Wish("anna", 100, 100)
    seen = []
    while (offset := partition.next_offset(limits)) is not None and offset < 8:
        [got] = partition.acquire(wish, offset, [LogBatch(0, 7, True)], limits, 0)
        seen.append(tuple(got))
        released = AcknowledgedBatch(got.first_offset, got.last_offset, [RELEASE])
        partition.acknowledge("anna", [released], limits, 0)
    assert seen[:4] == [(0, 7, 1), (0, 7, 2), (0, 7, 3), (0, 3, 4)]
    assert [item for item in seen if item[2] == 5] == [(o, o, 5) for o in range(8)]


def test_fresh_records_do_not_go_with_one_on_its_last_delivery() -> None:
    partition = SharePartition(0)
    for _ in range(2):
        acquire(partition, "anna", batches=TENS[:1])
        acknowledge(partition, "anna", (0, 9, RELEASE))
    assert acquire(partition, "anna", 100) == [(0, 0, 3)]
    assert acquire(partition, "anna", 100) == [(1, 1, 3)]


def test_only_the_holder_may_acknowledge() -> None:
    partition = SharePartition(0)
    acquire(partition, "anna")
    with pytest.raises(ApiError) as refused:
        acknowledge(partition, "bob", (0, 9, ACCEPT))
    assert refused.value.code == ErrorCode.INVALID_RECORD_STATE
    with pytest.raises(ApiError) as refused:
        acknowledge(partition, "anna", (0, 10, ACCEPT))
    assert refused.value.code == ErrorCode.INVALID_REQUEST


def test_nothing_can_be_acknowledged_where_nothing_is_in_flight() -> None:
    with pytest.raises(ApiError) as refused:
        acknowledge(SharePartition(0), "anna", (0, 0, ACCEPT))
    assert refused.value.code == ErrorCode.INVALID_RECORD_STATE


def test_a_refused_acknowledgement_changes_nothing() -> None:
    partition = SharePartition(0)
    acquire(partition, "anna")
    acquire(partition, "bob")
    with pytest.raises(ApiError):
        acknowledge(partition, "anna", (0, 9, ACCEPT), (10, 19, ACCEPT))
    assert acknowledge(partition, "anna", (0, 9, ACCEPT)) == (10, [])


def test_acknowledging_twice_below_the_start_offset_is_no_error() -> None:
    partition = SharePartition(0)
    acquire(partition, "anna")
    acknowledge(partition, "anna", (0, 9, ACCEPT))
    acquire(partition, "anna")
    assert acknowledge(partition, "anna", (0, 19, ACCEPT)) == (20, [])


def test_one_type_for_each_offset() -> None:
    partition = SharePartition(0)
    acquire(partition, "anna", batches=[LogBatch(0, 3, True)])
    types = [ACCEPT, RELEASE, GAP, ACCEPT]
    change = partition.acknowledge("anna", [AcknowledgedBatch(0, 3, types)], LIMITS, 0)
    assert change.start_offset == 1
    assert change.batches == [
        StateBatch(1, 1, 0, 1),
        StateBatch(2, 2, 4, 1),
        StateBatch(3, 3, 2, 1),
    ]
    assert change.done_count == 2


def test_lock_that_is_over_gives_records_back_and_renewing_keeps_them() -> None:
    partition = SharePartition(0)
    acquire(partition, "anna", now_ms=0)
    assert partition.next_lock_end_ms() == 1_000
    acknowledge(partition, "anna", (0, 4, AcknowledgeType.RENEW), now_ms=900)
    assert partition.expire(LIMITS, 999).batches == []
    assert partition.expire(LIMITS, 1_000).batches == [StateBatch(5, 9, 0, 1)]
    assert partition.next_lock_end_ms() == 1_900


def test_holes_markers_and_aborted_batches_are_passed_over() -> None:
    partition = SharePartition(0)
    batches = [LogBatch(5, 9, True), LogBatch(10, 10, False), LogBatch(11, 12, True)]
    assert acquire(partition, "anna", 100, batches) == [(5, 9, 1), (11, 12, 1)]
    assert partition.start_offset == 5
    assert acknowledge(partition, "anna", (5, 9, ACCEPT), (11, 12, ACCEPT)) == (13, [])


def test_no_more_than_the_limit_is_in_flight() -> None:
    partition = SharePartition(0)
    acquire(partition, "anna", 1_000)
    assert partition.end_offset == 100
    assert partition.next_offset(LIMITS) is None
    acknowledge(partition, "anna", (0, 9, ACCEPT))
    assert partition.next_offset(LIMITS) == 100


def test_deleted_records_are_nobodys() -> None:
    partition = SharePartition(0)
    acquire(partition, "anna", 20)
    assert partition.log_starts_at(15).start_offset == 15
    assert acknowledge(partition, "anna", (10, 19, ACCEPT)) == (20, [])


def test_a_dead_letter_is_on_its_way_until_it_is_buried() -> None:
    limits = Limits(deliveries=2, in_flight=100, lock_ms=1_000, dead_letters=True)
    partition = SharePartition(0, [StateBatch(0, 1, 0, 1)])
    partition.acquire(Wish("anna", 3, 9), 0, [LogBatch(0, 3, True)], limits, 0)
    acks = [AcknowledgedBatch(0, 3, [RELEASE, REJECT, REJECT, ACCEPT])]
    change = partition.acknowledge("anna", acks, limits, 0)
    assert change.start_offset == 0
    assert change.batches == [
        StateBatch(0, 0, 3, 2),
        StateBatch(1, 1, 3, 2),
        StateBatch(2, 2, 3, 1),
        StateBatch(3, 3, 2, 1),
    ]
    assert change.letters == [
        DeadLetter(0, 0, 2, Failure.TOO_OFTEN),
        DeadLetter(1, 1, 2, Failure.REJECTED),
        DeadLetter(2, 2, 1, Failure.REJECTED),
    ]
    assert partition.buried(change.letters).start_offset == 4


def test_a_dead_letter_outlives_a_restart() -> None:
    partition = SharePartition(0, [StateBatch(0, 4, 3, 2)])
    assert acquire(partition, "anna") == [(5, 19, 1)]
    left = partition.undelivered()
    assert left == [DeadLetter(0, 4, 2, Failure.UNTOLD)]
    assert partition.buried(left).start_offset == 5


def test_what_was_stored_is_where_a_restart_goes_on() -> None:
    stored = [StateBatch(0, 4, 2, 1), StateBatch(5, 9, 0, 1), StateBatch(20, 29, 2, 1)]
    partition = SharePartition(0, stored)
    assert partition.start_offset == 5
    assert acquire(partition, "anna", 15) == [(5, 9, 2), (10, 19, 1)]
    assert partition.next_offset(LIMITS) == 30


def test_a_hole_as_long_as_the_limit_is_not_in_flight() -> None:
    partition = SharePartition(0)
    assert acquire(partition, "anna", 10, [LogBatch(100, 104, True)]) == [(100, 104, 1)]
    assert partition.start_offset == 100
