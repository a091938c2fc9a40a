"""ListOffsets, DeleteRecords and OffsetForLeaderEpoch."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.wire import Wire
from tests.unit.apis.topics import make_topic, produce

from pylog.protocol.errors import ErrorCode
from pylog.protocol.messages.delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsRequest,
    DeleteRecordsTopic,
)
from pylog.protocol.messages.list_offsets import (
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsTopic,
)
from pylog.protocol.messages.offset_for_leader_epoch import (
    OffsetForLeaderEpochRequest,
    OffsetForLeaderPartition,
    OffsetForLeaderTopic,
)
from pylog.testing import Broker

LATEST, EARLIEST, MAX_TIMESTAMP, LOCAL, REMOTE, PENDING = -1, -2, -3, -4, -5, -6


def list_offset(wire: Wire, name: str, time: int, version: int = 11, **fields: int) -> Any:
    epoch = fields.pop("current_leader_epoch", -1)
    item = ListOffsetsPartition(
        partition_index=fields.pop("index", 0), timestamp=time, current_leader_epoch=epoch
    )
    topic = ListOffsetsTopic(name=name, partitions=[item])
    request = ListOffsetsRequest(replica_id=-1, topics=[topic], **fields)
    return wire.ask(request, version).topics[0].partitions[0]


def delete_records(wire: Wire, name: str, offset: int, index: int = 0) -> tuple[int, int]:
    item = DeleteRecordsPartition(partition_index=index, offset=offset)
    request = DeleteRecordsRequest(topics=[DeleteRecordsTopic(name=name, partitions=[item])])
    answer = wire.ask(request).topics[0].partitions[0]
    return answer.error_code, answer.low_watermark


def test_an_empty_log_starts_and_ends_at_zero(wire: Wire, unique: str) -> None:
    make_topic(wire, unique)
    for time in (LATEST, EARLIEST, LOCAL):
        answer = list_offset(wire, unique, time)
        assert (answer.error_code, answer.offset, answer.timestamp) == (0, 0, -1)
    for time in (0, MAX_TIMESTAMP, REMOTE, PENDING):
        answer = list_offset(wire, unique, time)
        assert (answer.error_code, answer.offset, answer.leader_epoch) == (0, -1, -1)


@pytest.mark.parametrize("version", range(1, 12))
def test_offsets_are_found_by_time(wire: Wire, unique: str, version: int) -> None:
    make_topic(wire, unique)
    produce(wire, unique, [1000, 1010])
    produce(wire, unique, [1030, 1020])
    found = {
        time: (answer.offset, answer.timestamp)
        for time in (0, 1000, 1001, 1011, 1030, 1031)
        if not (answer := list_offset(wire, unique, time, version)).error_code
    }
    assert found == {
        0: (0, 1000),
        1000: (0, 1000),
        1001: (1, 1010),
        1011: (2, 1030),
        1030: (2, 1030),
        1031: (-1, -1),
    }
    assert list_offset(wire, unique, LATEST, version).offset == 4
    assert list_offset(wire, unique, EARLIEST, version).offset == 0


def test_the_highest_time_is_found_wherever_it_is(wire: Wire, unique: str) -> None:
    make_topic(wire, unique)
    produce(wire, unique, [5, 90, 7])
    produce(wire, unique, [6])
    answer = list_offset(wire, unique, MAX_TIMESTAMP)
    assert (answer.offset, answer.timestamp, answer.leader_epoch) == (1, 90, 0)


@pytest.mark.parametrize(
    ("time", "first_version"), [(MAX_TIMESTAMP, 7), (LOCAL, 8), (REMOTE, 9), (PENDING, 11)]
)
def test_special_times_belong_to_versions(
    wire: Wire, unique: str, time: int, first_version: int
) -> None:
    make_topic(wire, unique)
    produce(wire, unique, [1])
    old = list_offset(wire, unique, time, first_version - 1)
    assert old.error_code == ErrorCode.UNSUPPORTED_VERSION
    assert list_offset(wire, unique, time, first_version).error_code == ErrorCode.NONE
    assert list_offset(wire, unique, -7).error_code == ErrorCode.UNSUPPORTED_VERSION


def test_partitions_that_are_not_there_are_refused(wire: Wire, unique: str) -> None:
    make_topic(wire, unique)
    for name, index in ((unique, 1), (unique, -1), (f"{unique}-no", 0)):
        answer = list_offset(wire, name, LATEST, index=index)
        assert answer.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_leader_epochs_are_compared(wire: Wire, unique: str) -> None:
    make_topic(wire, unique)
    assert list_offset(wire, unique, LATEST, current_leader_epoch=0).error_code == 0
    newer = list_offset(wire, unique, LATEST, current_leader_epoch=1)
    assert newer.error_code == ErrorCode.UNKNOWN_LEADER_EPOCH


def test_a_partition_is_asked_about_once(wire: Wire, unique: str) -> None:
    make_topic(wire, unique)
    twice = [ListOffsetsPartition(timestamp=LATEST)] * 2
    request = ListOffsetsRequest(
        replica_id=-1, topics=[ListOffsetsTopic(name=unique, partitions=twice)]
    )
    answers = wire.ask(request).topics[0].partitions
    assert [answer.error_code for answer in answers] == [ErrorCode.INVALID_REQUEST]


def test_deleted_records_are_gone_and_stay_so(unique: str) -> None:
    with Broker() as broker:
        with Wire(broker.bootstrap) as wire:
            make_topic(wire, unique)
            produce(wire, unique, range(1, 11))
            assert delete_records(wire, unique, 4) == (ErrorCode.NONE, 4)
            assert list_offset(wire, unique, EARLIEST).offset == 4
            assert delete_records(wire, unique, 2) == (ErrorCode.NONE, 4)
        checkpoint = broker.folder / "log-start-offset-checkpoint"
        assert f"{unique} 0 4" in checkpoint.read_text()
        broker.restart()
        with Wire(broker.bootstrap) as wire:
            assert list_offset(wire, unique, EARLIEST).offset == 4
            assert delete_records(wire, unique, -1) == (ErrorCode.NONE, 10)


@pytest.mark.parametrize(
    ("offset", "index", "code"),
    [
        (3, 0, ErrorCode.OFFSET_OUT_OF_RANGE),
        (-2, 0, ErrorCode.OFFSET_OUT_OF_RANGE),
        (0, 5, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION),
    ],
)
def test_records_that_are_not_there_are_not_deleted(
    wire: Wire, unique: str, offset: int, index: int, code: ErrorCode
) -> None:
    make_topic(wire, unique)
    produce(wire, unique, [1, 2])
    assert delete_records(wire, unique, offset, index) == (code, -1)


def test_a_compacted_topic_loses_no_record_by_request(wire: Wire, unique: str) -> None:
    make_topic(wire, unique, cleanup_policy="compact")
    produce(wire, unique, [1])
    assert delete_records(wire, unique, 1) == (ErrorCode.POLICY_VIOLATION, -1)


def end_of(wire: Wire, name: str, epoch: int, current: int = -1) -> tuple[int, int, int]:
    item = OffsetForLeaderPartition(partition=0, leader_epoch=epoch, current_leader_epoch=current)
    request = OffsetForLeaderEpochRequest(
        replica_id=-1, topics=[OffsetForLeaderTopic(topic=name, partitions=[item])]
    )
    answer = wire.ask(request).topics[0].partitions[0]
    return answer.error_code, answer.leader_epoch, answer.end_offset


def test_an_epoch_ends_where_the_next_begins(wire: Wire, unique: str) -> None:
    make_topic(wire, unique)
    produce(wire, unique, [1, 2, 3])
    assert end_of(wire, unique, 0) == (ErrorCode.NONE, 0, 3)
    assert end_of(wire, unique, 5) == (ErrorCode.NONE, -1, -1)
    assert end_of(wire, unique, 0, current=0) == (ErrorCode.NONE, 0, 3)
    assert end_of(wire, unique, 0, current=4)[0] == ErrorCode.UNKNOWN_LEADER_EPOCH
    assert end_of(wire, f"{unique}-no", 0)[0] == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


def test_a_broker_that_did_not_stop_well_leads_in_a_new_epoch(unique: str) -> None:
    with Broker() as broker:
        with Wire(broker.bootstrap) as wire:
            make_topic(wire, unique)
            produce(wire, unique, [1, 2, 3])
        broker.restart()
        with Wire(broker.bootstrap) as wire:
            assert list_offset(wire, unique, LATEST).leader_epoch == 0
        crash(broker)
        with Wire(broker.bootstrap) as wire:
            produce(wire, unique, [4])
            assert list_offset(wire, unique, LATEST).leader_epoch == 1
            assert list_offset(wire, unique, EARLIEST).leader_epoch == 0
            assert end_of(wire, unique, 0) == (ErrorCode.NONE, 0, 3)
            fenced = list_offset(wire, unique, LATEST, current_leader_epoch=0)
            assert fenced.error_code == ErrorCode.FENCED_LEADER_EPOCH


def crash(broker: Broker) -> None:
    """A restart that finds no mark of a clean stop."""
    take = broker.server.dirs.first.leave_clean_mark
    broker.server.dirs.first.leave_clean_mark = lambda: None  # type: ignore[method-assign]
    broker.restart()
    assert broker.server.dirs.first.leave_clean_mark != take
