"""CreateTopics, CreatePartitions and DeleteTopics."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.wire import Wire
from tests.unit.apis.topics import make_topic, produce

from pylog.protocol.errors import ErrorCode
from pylog.protocol.message import ZERO_UUID
from pylog.protocol.messages.create_partitions import (
    CreatePartitionsAssignment,
    CreatePartitionsRequest,
    CreatePartitionsTopic,
)
from pylog.protocol.messages.create_topics import (
    CreatableReplicaAssignment,
    CreatableTopic,
    CreatableTopicConfig,
    CreateTopicsRequest,
)
from pylog.protocol.messages.delete_topics import DeleteTopicsRequest, DeleteTopicState
from pylog.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from pylog.testing import Broker

TIMEOUT_MS = 30_000


def create(wire: Wire, name: str, *, validate_only: bool = False, **fields: Any) -> Any:
    topic = CreatableTopic(**{"name": name, "num_partitions": 1, "replication_factor": 1, **fields})
    request = CreateTopicsRequest(topics=[topic], validate_only=validate_only)
    (result,) = wire.ask(request).topics
    return result


def partitions_of(wire: Wire, name: str) -> int | None:
    request = MetadataRequest(
        topics=[MetadataRequestTopic(name=name)], allow_auto_topic_creation=False
    )
    (topic,) = wire.ask(request).topics
    return None if topic.error_code else len(topic.partitions)


def delete(wire: Wire, *names: str, version: int = 6) -> list[int]:
    request = DeleteTopicsRequest(timeout_ms=TIMEOUT_MS)
    if version >= 6:
        request.topics = [DeleteTopicState(name=name) for name in names]
    else:
        request.topic_names = list(names)
    return [item.error_code for item in wire.ask(request, version).responses]


@pytest.mark.parametrize("version", range(2, 8))
def test_a_topic_can_be_produced_to_when_it_is_made(wire: Wire, unique: str, version: int) -> None:
    topic = CreatableTopic(name=unique, num_partitions=2, replication_factor=1)
    (result,) = wire.ask(CreateTopicsRequest(topics=[topic]), version).topics
    assert (result.name, result.error_code) == (unique, 0)
    assert (result.topic_id != ZERO_UUID) == (version >= 7)
    assert (result.num_partitions, result.replication_factor) == (
        (2, 1) if version >= 5 else (-1, -1)
    )
    assert produce(wire, unique, [1], index=1) == 0


def test_the_answer_tells_the_settings_with_their_sources(wire: Wire, unique: str) -> None:
    configs = [CreatableTopicConfig(name="retention.ms", value="5")]
    result = create(wire, unique, configs=configs)
    settings = {item.name: (item.value, item.config_source) for item in result.configs}
    assert settings["retention.ms"] == ("5", 1)
    assert settings["cleanup.policy"] == ("delete", 5)


def test_counts_of_minus_one_take_the_defaults(unique: str) -> None:
    with Broker({"num.partitions": "3"}) as broker, Wire(broker.bootstrap) as wire:
        result = create(wire, unique, num_partitions=-1, replication_factor=-1)
        assert (result.num_partitions, result.replication_factor) == (3, 1)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"num_partitions": 0}, ErrorCode.INVALID_PARTITIONS),
        ({"num_partitions": -2}, ErrorCode.INVALID_PARTITIONS),
        ({"num_partitions": 10_001}, ErrorCode.POLICY_VIOLATION),
        ({"replication_factor": 0}, ErrorCode.INVALID_REPLICATION_FACTOR),
        ({"replication_factor": 2}, ErrorCode.INVALID_REPLICATION_FACTOR),
        ({"name": "a b"}, ErrorCode.INVALID_TOPIC_EXCEPTION),
        ({"name": ""}, ErrorCode.INVALID_TOPIC_EXCEPTION),
        ({"configs": [("no.such", "1")]}, ErrorCode.INVALID_CONFIG),
        ({"configs": [("retention.ms", "soon")]}, ErrorCode.INVALID_CONFIG),
        ({"configs": [("retention.ms", None)]}, ErrorCode.INVALID_CONFIG),
        ({"configs": [("remote.storage.enable", "true")]}, ErrorCode.INVALID_CONFIG),
        ({"assignments": {0: [1]}}, ErrorCode.INVALID_REQUEST),  # and a count
    ],
)
def test_a_topic_that_is_not_in_order_is_refused_and_not_made(
    wire: Wire, unique: str, fields: dict[str, Any], code: ErrorCode
) -> None:
    result = create(wire, **({"name": unique} | shaped(fields)))
    assert result.error_code == code
    assert result.error_message
    assert partitions_of(wire, unique) is None


def shaped(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a topic, from plain pairs."""
    fields = dict(fields)
    if "configs" in fields:
        fields["configs"] = [CreatableTopicConfig(name=k, value=v) for k, v in fields["configs"]]
    if "assignments" in fields:
        fields["assignments"] = [
            CreatableReplicaAssignment(partition_index=index, broker_ids=brokers)
            for index, brokers in fields["assignments"].items()
        ]
    return fields


@pytest.mark.parametrize(
    ("assignments", "code"),
    [
        ({0: [1], 1: [1]}, ErrorCode.NONE),
        ({1: [1]}, ErrorCode.INVALID_REPLICA_ASSIGNMENT),  # does not begin at 0
        ({0: [7]}, ErrorCode.INVALID_REPLICA_ASSIGNMENT),  # no such broker
        ({0: [1, 1]}, ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        ({0: []}, ErrorCode.INVALID_REPLICA_ASSIGNMENT),
    ],
)
def test_replicas_may_be_given(
    wire: Wire, unique: str, assignments: dict[int, list[int]], code: ErrorCode
) -> None:
    fields = shaped({"assignments": assignments})
    result = create(wire, unique, num_partitions=-1, replication_factor=-1, **fields)
    assert result.error_code == code
    assert partitions_of(wire, unique) == (None if code else len(assignments))


def test_validate_only_makes_nothing(wire: Wire, unique: str) -> None:
    result = create(wire, unique, validate_only=True)
    assert (result.error_code, result.num_partitions) == (0, 1)
    assert partitions_of(wire, unique) is None


def test_a_topic_exists_once(wire: Wire, unique: str) -> None:
    make_topic(wire, unique)
    assert create(wire, unique).error_code == ErrorCode.TOPIC_ALREADY_EXISTS


def test_dots_and_underscores_count_as_the_same(wire: Wire, unique: str) -> None:
    make_topic(wire, f"{unique}.a")
    result = create(wire, f"{unique}_a")
    assert result.error_code == ErrorCode.INVALID_TOPIC_EXCEPTION
    assert f"{unique}.a" in result.error_message


def test_a_request_makes_what_it_can(wire: Wire, unique: str) -> None:
    names = [unique, f"{unique}-b", f"{unique}-b", "a b"]
    topics = [CreatableTopic(name=n, num_partitions=1, replication_factor=1) for n in names]
    answer = wire.ask(CreateTopicsRequest(topics=topics))
    assert {topic.name: topic.error_code for topic in answer.topics} == {
        unique: ErrorCode.NONE,
        f"{unique}-b": ErrorCode.INVALID_REQUEST,
        "a b": ErrorCode.INVALID_TOPIC_EXCEPTION,
    }
    assert partitions_of(wire, unique) == 1
    assert partitions_of(wire, f"{unique}-b") is None


def grow(wire: Wire, name: str, count: int, given: Any = None, validate_only: bool = False) -> int:
    assignments = given and [CreatePartitionsAssignment(broker_ids=item) for item in given]
    topic = CreatePartitionsTopic(name=name, count=count, assignments=assignments)
    request = CreatePartitionsRequest(
        topics=[topic], validate_only=validate_only, timeout_ms=TIMEOUT_MS
    )
    (result,) = wire.ask(request).results
    code: int = result.error_code
    return code


def test_partitions_that_are_added_can_be_produced_to(wire: Wire, unique: str) -> None:
    make_topic(wire, unique)
    produce(wire, unique, [1])
    assert grow(wire, unique, 3) == ErrorCode.NONE
    assert produce(wire, unique, [1], index=2) == 0
    assert produce(wire, unique, [1]) == 1
    assert grow(wire, unique, 4, given=[[1]]) == ErrorCode.NONE
    assert partitions_of(wire, unique) == 4


@pytest.mark.parametrize(
    ("count", "given", "code"),
    [
        (2, None, ErrorCode.INVALID_PARTITIONS),
        (1, None, ErrorCode.INVALID_PARTITIONS),
        (-1, None, ErrorCode.INVALID_PARTITIONS),
        (20_000, None, ErrorCode.POLICY_VIOLATION),
        (4, [[1]], ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (3, [[1, 2]], ErrorCode.INVALID_REPLICA_ASSIGNMENT),
        (3, [[9]], ErrorCode.INVALID_REPLICA_ASSIGNMENT),
    ],
)
def test_growth_that_is_not_in_order_is_refused(
    wire: Wire, unique: str, count: int, given: list[list[int]] | None, code: ErrorCode
) -> None:
    make_topic(wire, unique, 2)
    assert grow(wire, unique, count, given) == code
    assert partitions_of(wire, unique) == 2


def test_growth_can_be_tried(wire: Wire, unique: str) -> None:
    make_topic(wire, unique)
    assert grow(wire, unique, 2, validate_only=True) == ErrorCode.NONE
    assert partitions_of(wire, unique) == 1
    assert grow(wire, f"{unique}-no", 2) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


@pytest.mark.parametrize("version", range(1, 7))
def test_a_deleted_topic_is_gone_with_its_records(wire: Wire, unique: str, version: int) -> None:
    make_topic(wire, unique)
    produce(wire, unique, [1, 2])
    assert delete(wire, unique, version=version) == [ErrorCode.NONE]
    assert partitions_of(wire, unique) is None
    make_topic(wire, unique)
    assert produce(wire, unique, [1]) == 0


def test_a_topic_is_deleted_by_its_id(wire: Wire, unique: str) -> None:
    topic_id = make_topic(wire, unique)
    states = [DeleteTopicState(topic_id=i) for i in (topic_id, b"\1" * 16)]
    found, unknown = wire.ask(DeleteTopicsRequest(topics=states, timeout_ms=TIMEOUT_MS)).responses
    assert (found.error_code, found.name) == (ErrorCode.NONE, unique)
    assert unknown.error_code == ErrorCode.UNKNOWN_TOPIC_ID


def test_what_can_not_be_deleted_is_refused(wire: Wire, unique: str, broker: Broker) -> None:
    make_topic(wire, unique)
    unknown = f"{unique}-no"
    assert delete(wire, unknown) == [ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]
    assert delete(wire, unique, unique) == [ErrorCode.INVALID_REQUEST]
    both = DeleteTopicState(name=unique, topic_id=b"\1" * 16)
    answer = wire.ask(DeleteTopicsRequest(topics=[both, DeleteTopicState()], timeout_ms=TIMEOUT_MS))
    assert [item.error_code for item in answer.responses] == [ErrorCode.INVALID_REQUEST] * 2
    assert partitions_of(wire, unique) == 1


@pytest.mark.parametrize(
    ("version", "code"), [(2, ErrorCode.INVALID_REQUEST), (6, ErrorCode.TOPIC_DELETION_DISABLED)]
)
def test_deletion_can_be_disabled(unique: str, version: int, code: ErrorCode) -> None:
    with Broker({"delete.topic.enable": "false"}) as broker, Wire(broker.bootstrap) as wire:
        make_topic(wire, unique)
        assert delete(wire, unique, version=version) == [code]


def test_an_internal_topic_is_not_deleted(wire: Wire) -> None:
    make_topic(wire, "__consumer_offsets")
    assert delete(wire, "__consumer_offsets") == [ErrorCode.INVALID_REQUEST]


@pytest.mark.parametrize("timeout_ms", [0, -1])
def test_a_change_without_time_is_not_made(wire: Wire, unique: str, timeout_ms: int) -> None:
    make_topic(wire, unique, 1)
    topics = [CreatableTopic(name=f"{unique}-new", num_partitions=1, replication_factor=1)]
    grown = [CreatePartitionsTopic(name=unique, count=2)]
    gone = [DeleteTopicState(name=unique)]
    [made] = wire.ask(CreateTopicsRequest(topics=topics, timeout_ms=timeout_ms)).topics
    [larger] = wire.ask(CreatePartitionsRequest(topics=grown, timeout_ms=timeout_ms)).results
    [deleted] = wire.ask(DeleteTopicsRequest(topics=gone, timeout_ms=timeout_ms)).responses
    codes = {made.error_code, larger.error_code, deleted.error_code}
    assert codes == {ErrorCode.REQUEST_TIMED_OUT}
    assert partitions_of(wire, unique) == 1
    assert partitions_of(wire, f"{unique}-new") is None
