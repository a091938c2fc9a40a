"""Share groups over sockets: members, records, acknowledgements, restarts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from confluent_kafka import Producer
from tests.support.broker import QUICK_GROUPS, BrokerProcess
from tests.support.share import (
    ACCEPT,
    RELEASE,
    RENEW,
    ShareMember,
    acquired,
    configure_group,
    find_coordinator,
    new_topic,
    produce,
    refusals,
    values,
)
from tests.support.wait import wait_until
from tests.support.wire import Wire

from pylog.coordinator.share_state import SharePartitionKey
from pylog.protocol.errors import ErrorCode
from pylog.protocol.messages.alter_share_group_offsets import (
    AlterShareGroupOffsetsRequest,
    AlterShareGroupOffsetsRequestPartition,
    AlterShareGroupOffsetsRequestTopic,
)
from pylog.protocol.messages.delete_groups import DeleteGroupsRequest
from pylog.protocol.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
)
from pylog.protocol.messages.delete_share_group_offsets import (
    DeleteShareGroupOffsetsRequest,
    DeleteShareGroupOffsetsRequestTopic,
)
from pylog.protocol.messages.describe_share_group_offsets import (
    DescribeShareGroupOffsetsRequest,
    DescribeShareGroupOffsetsRequestGroup,
)
from pylog.protocol.messages.find_coordinator import FindCoordinatorRequest
from pylog.protocol.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsTopic,
)

EARLIEST = -2  # a time that ListOffsets knows


@pytest.fixture
def group(bootstrap: str, unique: str) -> str:
    """A group that begins at the earliest offset."""
    with Wire(bootstrap) as wire:
        configure_group(wire, unique, auto_offset_reset="earliest")
    return unique


def test_member_gets_records_and_what_it_accepts_is_done(
    bootstrap: str, unique: str, group: str
) -> None:
    with Wire(bootstrap) as wire, ShareMember(bootstrap, group, [unique]) as anna:
        topic_id = new_topic(wire, unique)
        produce(wire, topic_id, [b"a", b"b", b"c"])
        assert anna.beats().error_code == 0
        assert anna.assigned == [(topic_id, 0)], "the first heartbeat brings the assignment"
        answer = anna.fetches()
        assert acquired(answer) == [(0, 2, 1)]
        assert values(answer) == [b"a", b"b", b"c"]
        assert refusals(anna.acknowledges((0, 1, ACCEPT), (2, 2, RELEASE))) == [0]
        answer = anna.fetches()
        assert acquired(answer) == [(2, 2, 2)]
        assert values(answer) == [b"c"]


def test_two_members_never_hold_one_record(bootstrap: str, unique: str, group: str) -> None:
    with (
        Wire(bootstrap) as wire,
        ShareMember(bootstrap, group, [unique]) as anna,
        ShareMember(bootstrap, group, [unique]) as bob,
    ):
        topic_id = new_topic(wire, unique)
        for number in range(4):
            produce(wire, topic_id, [b"%d" % number])
        anna.beats()
        bob.beats()
        assert acquired(anna.fetches(max_records=2)) == [(0, 1, 1)]
        assert acquired(bob.fetches(max_records=2)) == [(2, 3, 1)]
        assert acquired(anna.fetches()) == []
        assert refusals(anna.acknowledges((2, 2, ACCEPT))) == [ErrorCode.INVALID_RECORD_STATE]
        assert refusals(bob.acknowledges((2, 3, ACCEPT))) == [0]


def test_fetch_waits_until_something_is_produced(bootstrap: str, unique: str, group: str) -> None:
    with Wire(bootstrap) as wire, ShareMember(bootstrap, group, [unique]) as anna:
        topic_id = new_topic(wire, unique)
        anna.beats()
        assert acquired(anna.fetches()) == []
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(anna.fetches, max_wait_ms=30_000)
            produce(wire, topic_id, [b"late"])
            assert acquired(waiting.result(30)) == [(0, 0, 1)]


def test_lock_that_is_over_gives_the_record_to_another_member(
    bootstrap: str, unique: str, group: str
) -> None:
    with (
        Wire(bootstrap) as wire,
        ShareMember(bootstrap, group, [unique]) as anna,
        ShareMember(bootstrap, group, [unique]) as bob,
    ):
        configure_group(wire, group, record_lock_duration_ms="1000")
        topic_id = new_topic(wire, unique)
        produce(wire, topic_id, [b"a"])
        anna.beats()
        bob.beats()
        assert acquired(anna.fetches()) == [(0, 0, 1)]
        assert acquired(bob.fetches(max_wait_ms=30_000)) == [(0, 0, 2)]
        assert refusals(anna.acknowledges((0, 0, ACCEPT))) == [ErrorCode.INVALID_RECORD_STATE]


def test_record_whose_last_lock_is_over_is_done(bootstrap: str, unique: str, group: str) -> None:
    with Wire(bootstrap) as wire, ShareMember(bootstrap, group, [unique]) as anna:
        configure_group(wire, group, record_lock_duration_ms="1000", delivery_count_limit="2")
        topic_id = new_topic(wire, unique)
        produce(wire, topic_id, [b"a"])
        anna.beats()
        assert acquired(anna.fetches()) == [(0, 0, 1)]
        assert acquired(anna.fetches(max_wait_ms=30_000)) == [(0, 0, 2)]
        wait_until(lambda: start_and_lag(wire, group) == (1, 0), 30)


def test_end_of_a_session_releases_what_its_member_holds(
    bootstrap: str, unique: str, group: str
) -> None:
    with (
        Wire(bootstrap) as wire,
        ShareMember(bootstrap, group, [unique]) as anna,
        ShareMember(bootstrap, group, [unique]) as bob,
    ):
        topic_id = new_topic(wire, unique)
        produce(wire, topic_id, [b"a", b"b"])
        anna.beats()
        bob.beats()
        assert acquired(anna.fetches()) == [(0, 1, 1)]
        assert refusals(anna.acknowledges((0, 0, ACCEPT), last=True)) == [0]
        assert acquired(bob.fetches()) == [(1, 1, 2)]
        bob.wire.close()
        assert acquired(anna.fetches(max_wait_ms=30_000)) == [(1, 1, 3)]


def test_share_partition_has_a_coordinator(bootstrap: str, unique: str) -> None:
    with Wire(bootstrap) as wire:
        key = SharePartitionKey(unique, bytes(range(16)), 0).text()
        asked = FindCoordinatorRequest(key_type=2, coordinator_keys=[key, unique])
        found, malformed = wire.ask(asked).coordinators
        assert found.error_code == 0
        assert malformed.error_code == ErrorCode.INVALID_REQUEST


def test_session_epochs_follow_each_other(bootstrap: str, unique: str, group: str) -> None:
    with Wire(bootstrap) as wire, ShareMember(bootstrap, group, [unique]) as anna:
        new_topic(wire, unique)
        anna.beats()
        anna.session_epoch = 7
        assert anna.fetches().error_code == ErrorCode.SHARE_SESSION_NOT_FOUND
        anna.session_epoch = 0
        assert anna.fetches().error_code == 0
        anna.session_epoch = 7
        assert anna.fetches().error_code == ErrorCode.INVALID_SHARE_SESSION_EPOCH


def test_renewed_lock_is_kept(bootstrap: str, unique: str, group: str) -> None:
    with Wire(bootstrap) as wire, ShareMember(bootstrap, group, [unique]) as anna:
        topic_id = new_topic(wire, unique)
        produce(wire, topic_id, [b"a"])
        anna.beats()
        anna.fetches()
        assert refusals(anna.acknowledges((0, 0, RENEW))) == [ErrorCode.INVALID_REQUEST]
        assert refusals(anna.acknowledges((0, 0, RENEW), renews=True)) == [0]
        assert refusals(anna.acknowledges((0, 0, ACCEPT))) == [0]


def test_read_committed_skips_what_was_aborted(bootstrap: str, unique: str, group: str) -> None:
    with Wire(bootstrap) as wire, ShareMember(bootstrap, group, [unique]) as anna:
        configure_group(wire, group, isolation_level="read_committed")
        new_topic(wire, unique)
        producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": unique})
        producer.init_transactions(30)
        ends_of = {b"no": producer.abort_transaction, b"yes": producer.commit_transaction}
        for value, ends in ends_of.items():
            producer.begin_transaction()
            producer.produce(unique, value)
            producer.flush(30)
            ends(30)
        anna.beats()
        answer = anna.fetches(max_wait_ms=30_000)
        assert values(answer) == [b"yes"]
        assert acquired(answer) == [(2, 2, 1)]
        assert refusals(anna.acknowledges((2, 2, ACCEPT))) == [0]
        assert acquired(anna.fetches()) == []


def test_offsets_are_described_altered_and_deleted(bootstrap: str, unique: str, group: str) -> None:
    with Wire(bootstrap) as wire, ShareMember(bootstrap, group, [unique]) as anna:
        topic_id = new_topic(wire, unique)
        produce(wire, topic_id, [b"a", b"b", b"c"])
        anna.beats()
        anna.fetches()
        anna.acknowledges((0, 0, ACCEPT), (2, 2, ACCEPT))
        assert start_and_lag(wire, group) == (1, 1)
        move = AlterShareGroupOffsetsRequest(
            group_id=group,
            topics=[
                AlterShareGroupOffsetsRequestTopic(
                    topic_name=unique,
                    partitions=[
                        AlterShareGroupOffsetsRequestPartition(partition_index=0, start_offset=2)
                    ],
                )
            ],
        )
        assert wire.ask(move).error_code == ErrorCode.NON_EMPTY_GROUP
        anna.acknowledges(last=True)
        assert anna.leaves().error_code == 0
        [moved] = wire.ask(move).responses
        assert moved.partitions[0].error_code == 0
        assert start_and_lag(wire, group) == (2, 1)
        forget = DeleteShareGroupOffsetsRequest(
            group_id=group, topics=[DeleteShareGroupOffsetsRequestTopic(topic_name=unique)]
        )
        [forgotten] = wire.ask(forget).responses
        assert forgotten.error_code == 0
        assert start_and_lag(wire, group) is None
        [forgotten] = wire.ask(forget).responses
        assert forgotten.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, "nothing is left"
        [deleted] = wire.ask(DeleteGroupsRequest(groups_names=[group])).results
        assert deleted.error_code == 0


def test_group_that_is_moved_beyond_the_end_waits(bootstrap: str, unique: str, group: str) -> None:
    with Wire(bootstrap) as wire, ShareMember(bootstrap, group, [unique]) as anna:
        topic_id = new_topic(wire, unique)
        partition = AlterShareGroupOffsetsRequestPartition(partition_index=0, start_offset=2)
        topic = AlterShareGroupOffsetsRequestTopic(topic_name=unique, partitions=[partition])
        move = AlterShareGroupOffsetsRequest(group_id=group, topics=[topic])
        anna.beats()
        anna.leaves()
        assert wire.ask(move).responses[0].partitions[0].error_code == 0
        produce(wire, topic_id, [b"passed over"])
        anna.member_epoch = 0
        anna.beats()
        assert acquired(anna.fetches()) == []
        produce(wire, topic_id, [b"passed over", b"a"])
        assert acquired(anna.fetches(max_wait_ms=10_000)) == [(2, 2, 1)]


def test_offsets_of_a_group_that_is_not_there_are_unknown_and_may_be_set(
    bootstrap: str, unique: str
) -> None:
    with Wire(bootstrap) as wire, ShareMember(bootstrap, unique, [unique]) as anna:
        topic_id = new_topic(wire, unique)
        produce(wire, topic_id, [b"a", b"b"])
        find_coordinator(wire, unique)
        assert start_and_lag(wire, unique) is None
        partition = AlterShareGroupOffsetsRequestPartition(partition_index=0, start_offset=1)
        topic = AlterShareGroupOffsetsRequestTopic(topic_name=unique, partitions=[partition])
        moved = wire.ask(AlterShareGroupOffsetsRequest(group_id=unique, topics=[topic]))
        assert moved.responses[0].partitions[0].error_code == 0
        assert start_and_lag(wire, unique) == (1, 1)
        anna.beats()
        assert acquired(anna.fetches(max_wait_ms=10_000)) == [(1, 1, 1)]


def start_and_lag(wire: Wire, group: str) -> tuple[int, int] | None:
    """Of the only partition of the group; None when it has none."""
    asked = DescribeShareGroupOffsetsRequestGroup(group_id=group, topics=None)
    [told] = wire.ask(DescribeShareGroupOffsetsRequest(groups=[asked])).groups
    assert told.error_code == 0
    if not told.topics:
        return None
    [partition] = told.topics[0].partitions
    return partition.start_offset, partition.lag


@pytest.mark.parametrize("kills", [False, True])
def test_nothing_accepted_comes_back_after_a_restart(
    tmp_path: Path, unique: str, kills: bool
) -> None:
    broker = BrokerProcess(tmp_path / "data")
    broker.start()
    with Wire(broker.address) as wire, ShareMember(broker.address, unique, [unique]) as anna:
        configure_group(wire, unique, auto_offset_reset="earliest")
        topic_id = new_topic(wire, unique)
        produce(wire, topic_id, [b"%d" % number for number in range(10)])
        anna.beats()
        assert acquired(anna.fetches()) == [(0, 9, 1)]
        accepted = anna.acknowledges((0, 2, ACCEPT), (4, 4, RELEASE), (6, 7, ACCEPT))
        assert refusals(accepted) == [0]
    if kills:
        broker.kill()
    else:
        assert broker.terminate() == 0
    broker.start()
    try:
        with ShareMember(broker.address, unique, [unique]) as bob:
            bob.beats()
            again = acquired(bob.fetches(max_wait_ms=10_000))
            offsets = {o: count for first, last, count in again for o in range(first, last + 1)}
            assert set(offsets) == {3, 4, 5, 8, 9}
            assert offsets[4] == 2, "a delivery that was told of counts"
    finally:
        assert broker.terminate() == 0


def test_large_and_small_batches_of_several_partitions_share_an_answer(
    bootstrap: str, unique: str, group: str
) -> None:
    with Wire(bootstrap) as wire, ShareMember(bootstrap, group, [unique]) as anna:
        topic_id = new_topic(wire, unique, 2)
        sent = [b"a" * 50_000, b"b", b"c" * 30_000, b"d"]
        for number, value in enumerate(sent):
            produce(wire, topic_id, [value], number // 2)
        anna.beats()
        assert sorted(anna.assigned) == [(topic_id, 0), (topic_id, 1)]
        answer = anna.fetches()
        assert acquired(answer) == [(0, 1, 1), (0, 1, 1)]
        assert sorted(values(answer)) == sorted(sent)


def test_deleted_records_are_passed_over(bootstrap: str, unique: str, group: str) -> None:
    with Wire(bootstrap) as wire, ShareMember(bootstrap, group, [unique]) as anna:
        topic_id = new_topic(wire, unique)
        for value in (b"a", b"b", b"c"):
            produce(wire, topic_id, [value])
        anna.beats()
        assert acquired(anna.fetches(max_records=1)) == [(0, 0, 1)]
        partition = DeleteRecordsPartition(partition_index=0, offset=2)
        topic = DeleteRecordsTopic(name=unique, partitions=[partition])
        wire.ask(DeleteRecordsRequest(topics=[topic], timeout_ms=10_000))
        answer = anna.fetches()
        assert acquired(answer) == [(2, 2, 1)]
        assert values(answer) == [b"c"]
        assert refusals(anna.acknowledges((0, 0, ACCEPT))) == [0], "it is done anyway"


def test_stored_state_is_pruned_and_a_restart_goes_on(tmp_path: Path, unique: str) -> None:
    settings = {
        "share.coordinator.state.topic.num.partitions": "1",
        "share.coordinator.snapshot.update.records.per.snapshot": "3",
        "share.coordinator.state.topic.prune.interval.ms": "50",
    }
    broker = BrokerProcess(tmp_path / "data", QUICK_GROUPS | settings)
    broker.start()
    with Wire(broker.address) as wire, ShareMember(broker.address, unique, [unique]) as anna:
        configure_group(wire, unique, auto_offset_reset="earliest")
        topic_id = new_topic(wire, unique)
        anna.beats()
        for offset in range(20):
            produce(wire, topic_id, [b"a"])
            assert acquired(anna.fetches(max_wait_ms=10_000)) == [(offset, offset, 1)]
            assert refusals(anna.acknowledges((offset, offset, ACCEPT))) == [0]
        wait_until(lambda: log_start(wire, "__share_group_state") > 15, 30)
    assert broker.terminate() == 0
    broker.start()
    try:
        with Wire(broker.address) as wire, ShareMember(broker.address, unique, [unique]) as bob:
            find_coordinator(wire, unique)
            assert start_and_lag(wire, unique) == (20, 0)
            produce(wire, topic_id, [b"b"])
            bob.beats()
            assert acquired(bob.fetches(max_wait_ms=10_000)) == [(20, 20, 1)]
    finally:
        assert broker.terminate() == 0


def log_start(wire: Wire, topic: str) -> int:
    partition = ListOffsetsPartition(partition_index=0, timestamp=EARLIEST)
    asked = ListOffsetsTopic(name=topic, partitions=[partition])
    [told] = wire.ask(ListOffsetsRequest(replica_id=-1, topics=[asked])).topics
    return int(told.partitions[0].offset)
