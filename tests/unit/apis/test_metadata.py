"""Metadata and DescribeTopicPartitions: which topics, which leaders, at which address."""

from __future__ import annotations

import pytest
from tests.support.wire import Wire
from tests.unit.apis.topics import make_topic

from pylog.protocol.errors import ErrorCode
from pylog.protocol.message import ZERO_UUID
from pylog.protocol.messages.create_topics import CreateTopicsRequest
from pylog.protocol.messages.describe_cluster import DescribeClusterRequest
from pylog.protocol.messages.describe_topic_partitions import (
    DescribeTopicPartitionsRequest,
    RequestCursor,
    TopicRequest,
)
from pylog.protocol.messages.metadata import MetadataRequest, MetadataRequestTopic
from pylog.security.operations import CLUSTER_OPERATIONS, TOPIC_OPERATIONS
from pylog.testing import Broker


def named(*names: str, create: bool = False) -> MetadataRequest:
    topics = [MetadataRequestTopic(name=name) for name in names]
    return MetadataRequest(topics=topics, allow_auto_topic_creation=create)


@pytest.mark.parametrize("version", range(14))
def test_a_topic_is_described_in_every_version(wire: Wire, unique: str, version: int) -> None:
    topic_id = make_topic(wire, unique, 3)
    request = named(unique, create=version < 4)
    answer = wire.ask(request, version)
    (topic,) = answer.topics
    assert (topic.error_code, topic.name) == (0, unique)
    assert topic.topic_id == (topic_id if version >= 10 else ZERO_UUID)
    assert [p.partition_index for p in topic.partitions] == [0, 1, 2]
    assert {(p.error_code, p.leader_id) for p in topic.partitions} == {(0, 1)}
    assert all(p.replica_nodes == p.isr_nodes == [1] for p in topic.partitions)


def test_the_broker_is_told_at_its_own_address(wire: Wire, broker: Broker) -> None:
    answer = wire.ask(named())
    (node,) = answer.brokers
    assert f"{node.host}:{node.port}" == broker.bootstrap
    assert (node.node_id, answer.controller_id) == (1, 1)
    described = wire.ask(DescribeClusterRequest())
    assert described.cluster_id == answer.cluster_id
    assert [(b.host, b.port) for b in described.brokers] == [(node.host, node.port)]


def test_no_list_means_all_topics_and_an_empty_list_none(wire: Wire, unique: str) -> None:
    make_topic(wire, unique)
    assert unique in [topic.name for topic in wire.ask(MetadataRequest(topics=None)).topics]
    assert wire.ask(MetadataRequest(topics=[])).topics == []
    old = wire.ask(MetadataRequest(topics=[]), 0)
    assert unique in [topic.name for topic in old.topics]


def test_an_unknown_topic_is_made_when_client_and_broker_allow_it(wire: Wire, unique: str) -> None:
    (topic,) = wire.ask(named(unique)).topics
    assert topic.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    (topic,) = wire.ask(named(unique, create=True)).topics
    assert (topic.error_code, len(topic.partitions)) == (0, 1)
    assert topic.partitions[0].leader_id == 1
    with Broker({"auto.create.topics.enable": "false"}) as strict, Wire(strict.bootstrap) as other:
        (topic,) = other.ask(named(unique, create=True)).topics
        assert topic.error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


@pytest.mark.parametrize("name", ["", ".", "..", "a b", "x" * 250, "ü"])
def test_a_name_that_no_topic_may_have_is_refused(wire: Wire, name: str) -> None:
    (topic,) = wire.ask(named(name, create=True)).topics
    assert topic.error_code == ErrorCode.INVALID_TOPIC_EXCEPTION


def test_a_topic_is_found_by_its_id(wire: Wire, unique: str) -> None:
    topic_id = make_topic(wire, unique)
    asked = [
        MetadataRequestTopic(name=None, topic_id=topic_id),
        MetadataRequestTopic(name=None, topic_id=b"\1" * 16),
    ]
    found, unknown = wire.ask(MetadataRequest(topics=asked)).topics
    assert (found.error_code, found.name) == (0, unique)
    assert (unknown.error_code, unknown.name) == (ErrorCode.UNKNOWN_TOPIC_ID, None)


def test_operations_are_told_when_asked_for(wire: Wire, unique: str) -> None:
    make_topic(wire, unique)
    request = named(unique)
    assert wire.ask(request, 10).topics[0].topic_authorized_operations == -(2**31)
    request.include_topic_authorized_operations = True
    request.include_cluster_authorized_operations = True
    answer = wire.ask(request, 10)
    assert answer.topics[0].topic_authorized_operations == TOPIC_OPERATIONS
    assert answer.cluster_authorized_operations == CLUSTER_OPERATIONS


def test_topics_are_described_page_by_page(wire: Wire, unique: str) -> None:
    names = [f"{unique}-{letter}" for letter in "abc"]
    for name in names:
        make_topic(wire, name, 3)
    topics = [TopicRequest(name=name) for name in reversed(names)]
    cursor, pages = None, []
    while True:
        answer = wire.ask(
            DescribeTopicPartitionsRequest(topics=topics, response_partition_limit=4, cursor=cursor)
        )
        pages.append([(t.name[-1], p.partition_index) for t in answer.topics for p in t.partitions])
        if answer.next_cursor is None:
            break
        cursor = RequestCursor(
            topic_name=answer.next_cursor.topic_name,
            partition_index=answer.next_cursor.partition_index,
        )
    everything = [(letter, index) for letter in "abc" for index in range(3)]
    assert [len(page) for page in pages] == [4, 4, 1]
    assert [item for page in pages for item in page] == everything


def test_describing_creates_nothing(wire: Wire, unique: str) -> None:
    asked = DescribeTopicPartitionsRequest(topics=[TopicRequest(name=unique)])
    assert wire.ask(asked).topics[0].error_code == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    bad = DescribeTopicPartitionsRequest(topics=[TopicRequest(name="a b")])
    assert wire.ask(bad).topics[0].error_code == ErrorCode.INVALID_TOPIC_EXCEPTION


def test_controllers_are_not_described_by_a_broker(wire: Wire) -> None:
    answer = wire.ask(DescribeClusterRequest(endpoint_type=2))
    assert answer.error_code == ErrorCode.MISMATCHED_ENDPOINT_TYPE
    answer = wire.ask(DescribeClusterRequest(endpoint_type=9))
    assert answer.error_code == ErrorCode.UNSUPPORTED_ENDPOINT_TYPE


def test_a_client_is_told_the_address_that_it_has_reached() -> None:
    everywhere = {"listeners": "PLAINTEXT://0.0.0.0:0"}
    with Broker(everywhere) as broker:
        port = broker.bootstrap.rpartition(":")[2]
        for host in ("127.0.0.1", "127.0.0.2"):
            with Wire(f"{host}:{port}") as wire:
                (node,) = wire.ask(named()).brokers
                assert (node.host, str(node.port)) == (host, port)


def test_an_advertised_listener_is_told_with_the_port_that_is_bound() -> None:
    with (
        Broker({"advertised.listeners": "PLAINTEXT://broker.example:0"}) as broker,
        Wire(broker.bootstrap) as wire,
    ):
        (node,) = wire.ask(named()).brokers
        assert f"{node.host}:{node.port}" == broker.bootstrap.replace("127.0.0.1", "broker.example")


def test_an_empty_request_of_topics_is_no_error(wire: Wire) -> None:
    assert wire.ask(CreateTopicsRequest(topics=[])).topics == []
