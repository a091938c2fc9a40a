"""Requests of an administrator about one broker: folders, leaders, moves, features."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.wait import wait_until
from tests.support.wire import Wire
from tests.unit.apis.topics import make_topic, produce

from pylog.protocol.errors import ErrorCode
from pylog.protocol.messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    ReassignablePartition,
    ReassignableTopic,
)
from pylog.protocol.messages.api_versions import ApiVersionsRequest
from pylog.protocol.messages.describe_log_dirs import (
    DescribableLogDirTopic,
    DescribeLogDirsRequest,
)
from pylog.protocol.messages.elect_leaders import ElectLeadersRequest, TopicPartitions
from pylog.protocol.messages.list_partition_reassignments import (
    ListPartitionReassignmentsRequest,
)
from pylog.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from pylog.protocol.messages.update_features import FeatureUpdateKey, UpdateFeaturesRequest
from pylog.testing import Broker

UPGRADE, SAFE_DOWNGRADE = 1, 2


@pytest.mark.parametrize("version", range(1, 6))
def test_logs_are_described_with_their_sizes(
    wire: Wire, broker: Broker, unique: str, version: int
) -> None:
    make_topic(wire, unique, 2)
    produce(wire, unique, [1], index=1)
    (result,) = wire.ask(DescribeLogDirsRequest(topics=None), version).results
    assert (result.error_code, result.log_dir) == (0, str(broker.folder))
    (topic,) = (topic for topic in result.topics if topic.name == unique)
    sizes = {item.partition_index: item.partition_size for item in topic.partitions}
    log = broker.folder / f"{unique}-1" / "00000000000000000000.log"
    assert sizes == {0: 0, 1: log.stat().st_size}
    assert (result.total_bytes > result.usable_bytes > 0) == (version >= 4)


def test_only_the_logs_that_are_asked_for_are_described(wire: Wire, unique: str) -> None:
    make_topic(wire, unique, 3)
    asked = [
        DescribableLogDirTopic(topic=unique, partitions=[2, 9]),
        DescribableLogDirTopic(topic=f"{unique}-no", partitions=[0]),
    ]
    (result,) = wire.ask(DescribeLogDirsRequest(topics=asked)).results
    found = [(t.name, [p.partition_index for p in t.partitions]) for t in result.topics]
    assert found == [(unique, [2])]


def elect(wire: Wire, kind: int, *partitions: tuple[str, int]) -> list[int]:
    topics = [TopicPartitions(topic=topic, partitions=[index]) for topic, index in partitions]
    answer = wire.ask(ElectLeadersRequest(election_type=kind, topic_partitions=topics))
    return [r.error_code for t in answer.replica_election_results for r in t.partition_result]


def test_a_leader_that_leads_is_not_elected(wire: Wire, unique: str) -> None:
    make_topic(wire, unique)
    for kind in (0, 1):
        assert elect(wire, kind, (unique, 0), (unique, 1), (f"{unique}-no", 0)) == [
            ErrorCode.ELECTION_NOT_NEEDED,
            ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
            ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ]
    answer = wire.ask(ElectLeadersRequest(topic_partitions=None))
    assert answer.error_code == 0
    assert all(not topic.partition_result for topic in answer.replica_election_results)
    wrong = wire.ask(ElectLeadersRequest(election_type=5, topic_partitions=None))
    assert wrong.error_code == ErrorCode.INVALID_REQUEST


def test_a_log_that_can_not_be_used_has_no_leader_and_nobody_to_elect(unique: str) -> None:
    with Broker() as broker, Wire(broker.bootstrap) as wire:
        make_topic(wire, unique)
        partition = broker.server.partitions.get(unique, 0)
        assert partition is not None
        broker.server.engine.fail_partitions([partition])
        wait_until(lambda: broker.server.partitions.is_offline(unique, 0))
        (topic,) = wire.ask(MetadataRequest(topics=[MetadataRequestTopic(name=unique)])).topics
        (state,) = topic.partitions
        assert (state.error_code, state.leader_id) == (ErrorCode.LEADER_NOT_AVAILABLE, -1)
        assert (state.offline_replicas, state.replica_nodes) == ([1], [1])
        assert elect(wire, 0, (unique, 0)) == [ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE]
        assert elect(wire, 1, (unique, 0)) == [ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE]


def move(wire: Wire, name: str, index: int, to: list[int] | None) -> int:
    partition = ReassignablePartition(partition_index=index, replicas=to)
    request = AlterPartitionReassignmentsRequest(
        topics=[ReassignableTopic(name=name, partitions=[partition])]
    )
    code: int = wire.ask(request).responses[0].partitions[0].error_code
    return code


def test_a_partition_can_only_be_where_it_is(wire: Wire, unique: str) -> None:
    make_topic(wire, unique)
    assert move(wire, unique, 0, [1]) == ErrorCode.NONE
    assert move(wire, unique, 0, [2]) == ErrorCode.INVALID_REPLICA_ASSIGNMENT
    assert move(wire, unique, 0, [1, 1]) == ErrorCode.INVALID_REPLICA_ASSIGNMENT
    assert move(wire, unique, 0, []) == ErrorCode.INVALID_REPLICA_ASSIGNMENT
    assert move(wire, unique, 0, [1, 2]) == ErrorCode.INVALID_REPLICA_ASSIGNMENT
    assert move(wire, unique, 0, None) == ErrorCode.NO_REASSIGNMENT_IN_PROGRESS
    assert move(wire, unique, 1, [1]) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    listed = wire.ask(ListPartitionReassignmentsRequest())
    assert (listed.error_code, listed.topics) == (0, [])


def update(wire: Wire, *levels: tuple[str, int, int], version: int = 2, **fields: Any) -> int:
    updates = [
        FeatureUpdateKey(feature=name, max_version_level=level, upgrade_type=kind)
        for name, level, kind in levels
    ]
    request = UpdateFeaturesRequest(feature_updates=updates, **fields)
    code: int = wire.ask(request, version).error_code
    return code


def features(wire: Wire) -> dict[str, int]:
    request = ApiVersionsRequest(client_software_name="t", client_software_version="1")
    return {item.name: item.max_version_level for item in wire.ask(request).finalized_features}


def test_features_go_down_and_up_again(wire: Wire) -> None:
    before = features(wire)
    level = before["transaction.version"]
    lower = ("transaction.version", level - 1, SAFE_DOWNGRADE)
    assert update(wire, lower, validate_only=True) == ErrorCode.NONE
    assert features(wire) == before
    assert update(wire, lower) == ErrorCode.NONE
    assert features(wire)["transaction.version"] == level - 1
    assert update(wire, ("transaction.version", level, UPGRADE)) == ErrorCode.NONE
    assert features(wire) == before


@pytest.mark.parametrize("version", [0, 1, 2])
def test_an_election_without_time_is_not_held(wire: Wire, unique: str, version: int) -> None:
    make_topic(wire, unique)
    topics = [TopicPartitions(topic=unique, partitions=[0])]
    answer = wire.ask(ElectLeadersRequest(topic_partitions=topics, timeout_ms=0), version)
    [result] = answer.replica_election_results[0].partition_result
    assert result.error_code == ErrorCode.REQUEST_TIMED_OUT
    assert answer.error_code == (ErrorCode.REQUEST_TIMED_OUT if version else ErrorCode.NONE)


@pytest.mark.parametrize(
    ("levels", "code"),
    [
        ([("no.such", 1, UPGRADE)], ErrorCode.INVALID_UPDATE_VERSION),
        ([("metadata.version", 999, UPGRADE)], ErrorCode.INVALID_UPDATE_VERSION),
        ([("metadata.version", 8, UPGRADE)], ErrorCode.INVALID_UPDATE_VERSION),
        ([("metadata.version", 8, SAFE_DOWNGRADE)], ErrorCode.INVALID_UPDATE_VERSION),
        ([("kraft.version", 0, SAFE_DOWNGRADE)], ErrorCode.INVALID_UPDATE_VERSION),
        (
            [("transaction.version", 1, SAFE_DOWNGRADE), ("metadata.version", 999, UPGRADE)],
            ErrorCode.INVALID_UPDATE_VERSION,
        ),
        (
            [("transaction.version", 1, SAFE_DOWNGRADE), ("no.such", 1, UPGRADE)],
            ErrorCode.INVALID_UPDATE_VERSION,
        ),
    ],
)
def test_features_are_updated_together_or_not_at_all(
    wire: Wire, levels: list[tuple[str, int, int]], code: ErrorCode
) -> None:
    before = features(wire)
    assert update(wire, *levels) == code
    assert features(wire) == before
