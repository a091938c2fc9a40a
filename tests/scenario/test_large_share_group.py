"""Many members of a share group wait for records: each record goes to one of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.support.broker import QUICK_GROUPS, BrokerProcess
from tests.support.share import ACCEPT, ShareMember, configure_group, new_topic, produce
from tests.support.wire import Wire

MEMBERS = 500
PARTITIONS = 3
WAIT_MS = 60_000


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerProcess]:
    settings = {
        "log.durability": "os",
        "group.share.max.size": str(MEMBERS),
        "group.share.assignment.interval.ms": "100",
    }
    broker = BrokerProcess(tmp_path / "data", QUICK_GROUPS | settings)
    broker.start()
    yield broker
    broker.stop_if_running()


def join(members: Sequence[ShareMember]) -> None:
    """Those that come together share an assignment."""
    while waiting := [member for member in members if not member.assigned]:
        for member in waiting:
            assert member.beats().error_code == 0


def acquired_by(answer: Any) -> list[tuple[int, int]]:
    """Partition and offset of each record."""
    assert answer.error_code == 0
    return [
        (partition.partition_index, offset)
        for topic in answer.responses
        for partition in topic.partitions
        for item in partition.acquired_records
        for offset in range(item.first_offset, item.last_offset + 1)
    ]


def test_each_record_wakes_one_of_many_members(broker: BrokerProcess) -> None:
    with ExitStack() as stack:
        wire = stack.enter_context(Wire(broker.address))
        configure_group(wire, "big", auto_offset_reset="earliest")
        topic_id = new_topic(wire, "events", PARTITIONS)
        members = [
            stack.enter_context(ShareMember(broker.address, "big", ["events"]))
            for _ in range(MEMBERS)
        ]
        join(members)
        readers = Counter(member.assigned[0][1] for member in members)
        assert readers.keys() == set(range(PARTITIONS))
        for member in members:
            member.asks_to_fetch(max_wait_ms=WAIT_MS, max_records=1)
        for partition, count in readers.items():
            for number in range(count):
                assert produce(wire, topic_id, [b"x"], partition) == number
        held = [acquired_by(member.hears_of_fetch()) for member in members]
        assert [len(each) for each in held] == [1] * MEMBERS
        assert len({record for each in held for record in each}) == MEMBERS
        for member, [(partition, offset)] in zip(members, held, strict=True):
            done = [(offset, offset, ACCEPT)]
            member.asks_to_fetch(done, partition=(topic_id, partition), max_wait_ms=0)
        assert not any(acquired_by(member.hears_of_fetch()) for member in members)


def test_a_fetch_waits_for_min_bytes_and_ends_when_they_are_there(broker: BrokerProcess) -> None:
    with (
        Wire(broker.address) as wire,
        ShareMember(broker.address, "small", ["events"]) as anna,
        ShareMember(broker.address, "small", ["events"]) as bob,
    ):
        configure_group(wire, "small", auto_offset_reset="earliest")
        topic_id = new_topic(wire, "events")
        join([anna, bob])
        anna.asks_to_fetch(max_wait_ms=WAIT_MS, min_bytes=2_000)
        produce(wire, topic_id, [b"x" * 1_000])
        produce(wire, topic_id, [b"x" * 1_000])
        assert acquired_by(anna.hears_of_fetch()) == [(0, 0), (0, 1)]
        anna.asks_to_fetch(max_wait_ms=WAIT_MS, min_bytes=2_000)
        bob.asks_to_fetch(max_wait_ms=WAIT_MS, min_bytes=1)
        produce(wire, topic_id, [b"x" * 1_000])
        assert acquired_by(bob.hears_of_fetch()) == [(0, 2)], "who wants less is not held up"
