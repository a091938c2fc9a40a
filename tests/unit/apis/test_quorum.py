"""Who holds the metadata, and where replicas may be moved to: a broker alone."""

from __future__ import annotations

import time

import pytest
from tests.support.wire import Wire
from tests.unit.apis.topics import make_topic

from pylog.log.layout import read_identity
from pylog.protocol.errors import ErrorCode
from pylog.protocol.messages.alter_replica_log_dirs import (
    AlterReplicaLogDir,
    AlterReplicaLogDirsRequest,
    AlterReplicaLogDirTopic,
)
from pylog.protocol.messages.describe_quorum import (
    DescribeQuorumRequest,
    RequestPartitionData,
    RequestTopicData,
    ResponsePartitionData,
)
from pylog.protocol.uuids import uuid_from_text
from pylog.testing import Broker

METADATA = "__cluster_metadata"


def quorum_request(*asked: tuple[str, int]) -> DescribeQuorumRequest:
    return DescribeQuorumRequest(
        topics=[
            RequestTopicData(
                topic_name=topic, partitions=[RequestPartitionData(partition_index=index)]
            )
            for topic, index in asked
        ]
    )


def described(wire: Wire, *asked: tuple[str, int], version: int = 2) -> list[ResponsePartitionData]:
    answer = wire.ask(quorum_request(*asked), version)
    assert answer.error_code == ErrorCode.NONE
    return [item for topic in answer.topics for item in topic.partitions]


@pytest.mark.parametrize("version", range(3))
def test_the_broker_alone_is_the_quorum(wire: Wire, broker: Broker, version: int) -> None:
    answer = wire.ask(quorum_request((METADATA, 0)), version)
    ((state,),) = (topic.partitions for topic in answer.topics)
    (voter,) = state.current_voters
    assert (state.error_code, state.leader_id, state.leader_epoch) == (0, 1, 1)
    assert (voter.replica_id, state.observers) == (1, [])
    identity = read_identity(broker.folder)
    assert identity is not None
    directory = uuid_from_text(identity.directory_id) if version == 2 else bytes(16)
    assert voter.replica_directory_id == directory
    told_ms = [voter.last_fetch_timestamp, voter.last_caught_up_timestamp]
    if version == 0:
        assert told_ms == [-1, -1]
    else:
        assert all(0 < told <= time.time() * 1000 for told in told_ms)
    listeners = [(n.node_id, item.host, item.port) for n in answer.nodes for item in n.listeners]
    host, _, port = broker.bootstrap.rpartition(":")
    assert listeners == ([(1, host, int(port))] if version == 2 else [])


def test_the_quorum_is_as_far_as_the_last_change(wire: Wire, unique: str) -> None:
    (before,) = described(wire, (METADATA, 0))
    make_topic(wire, unique)
    (after,) = described(wire, (METADATA, 0))
    assert after.high_watermark > before.high_watermark
    assert after.current_voters[0].log_end_offset == after.high_watermark


@pytest.mark.parametrize("asked", [[(METADATA, 1)], [("t", 0)], [(METADATA, 0), ("t", 0)]])
def test_no_other_quorum_is_known(wire: Wire, asked: list[tuple[str, int]]) -> None:
    states = described(wire, *asked)
    assert [state.error_code for state in states] == [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION] * len(
        asked
    )
    assert all(not state.current_voters for state in states)


@pytest.mark.parametrize("version", [1, 2])
def test_a_replica_is_moved_to_the_only_folder_or_to_none(
    wire: Wire, broker: Broker, unique: str, version: int
) -> None:
    make_topic(wire, unique)

    def moved(path: str) -> dict[tuple[str, int], int]:
        topics = [
            AlterReplicaLogDirTopic(name=unique, partitions=[0, 1]),
            AlterReplicaLogDirTopic(name=f"{unique}-no", partitions=[0]),
        ]
        request = AlterReplicaLogDirsRequest(dirs=[AlterReplicaLogDir(path=path, topics=topics)])
        results = wire.ask(request, version).results
        return {
            (t.topic_name, p.partition_index): p.error_code for t in results for p in t.partitions
        }

    known = moved(str(broker.folder))
    assert known == {
        (unique, 0): ErrorCode.NONE,
        (unique, 1): ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        (f"{unique}-no", 0): ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    }
    assert moved("/nowhere") == dict.fromkeys(known, ErrorCode.LOG_DIR_NOT_FOUND)
