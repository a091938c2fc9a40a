"""Quotas end to end: what is answered, and that the connection then waits (KIP-219)."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support import share
from tests.support.share import ShareMember, configure_group
from tests.support.wire import Closed, Wire

from pylog.codec import Record, encode_batch
from pylog.protocol.errors import ErrorCode
from pylog.protocol.messages.alter_client_quotas import (
    AlterClientQuotasRequest,
    OpData,
    RequestEntityData,
    RequestEntryData,
)
from pylog.protocol.messages.api_versions import ApiVersionsRequest
from pylog.protocol.messages.create_topics import CreatableTopic, CreateTopicsRequest
from pylog.protocol.messages.describe_client_quotas import (
    ComponentData,
    DescribeClientQuotasRequest,
)
from pylog.protocol.messages.metadata import MetadataRequest
from pylog.protocol.messages.produce import (
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)
from pylog.testing import Broker

TOPIC = "topic"


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with Broker() as broker, Wire(broker.bootstrap) as wire:
        wire.ask(CreateTopicsRequest(topics=[new_topic(TOPIC)], timeout_ms=1000))
        yield broker


@pytest.fixture
def client(broker: Broker, unique: str) -> Iterator[Wire]:
    """A connection whose client id no other test has."""
    with Wire(broker.bootstrap, client_id=unique) as wire:
        yield wire


def new_topic(name: str, partitions: int = 1) -> CreatableTopic:
    return CreatableTopic(name=name, num_partitions=partitions, replication_factor=1)


def set_quota(wire: Wire, name: str, value: float) -> None:
    """For the client id of the connection itself."""
    entity = RequestEntityData(entity_type="client-id", entity_name=wire.client_id)
    entry = RequestEntryData(entity=[entity], ops=[OpData(key=name, value=value)])
    (result,) = wire.ask(AlterClientQuotasRequest(entries=[entry])).entries
    assert result.error_code == 0, result.error_message


def produce(value_bytes: int) -> ProduceRequest:
    batch = bytes(encode_batch([Record(None, bytes(value_bytes))]))
    part = PartitionProduceData(index=0, records=batch)
    topic = TopicProduceData(name=TOPIC, partition_data=[part])
    return ProduceRequest(acks=1, timeout_ms=1000, topic_data=[topic])


def took_ms(wire: Wire) -> float:
    """How long the connection takes for a request that is no work."""
    began = time.monotonic()
    wire.ask(ApiVersionsRequest(client_software_name="test", client_software_version="1"))
    return (time.monotonic() - began) * 1000


def test_a_producer_above_its_quota_is_answered_at_once_and_then_not_read(client: Wire) -> None:
    set_quota(client, "producer_byte_rate", 10_000)
    assert client.ask(produce(90_000), 9).throttle_time_ms == 0
    answer = client.ask(produce(30_000), 9)
    assert 900 <= answer.throttle_time_ms <= 2100
    assert took_ms(client) >= answer.throttle_time_ms - 100


def test_request_time_is_limited_in_both_lanes(client: Wire) -> None:
    set_quota(client, "request_percentage", 0.0001)  # 10 µs in ten seconds
    answer = client.ask(MetadataRequest(topics=None))
    assert 0 < answer.throttle_time_ms <= 1000
    assert took_ms(client) >= answer.throttle_time_ms - 100
    assert 0 < client.ask(produce(10), 9).throttle_time_ms <= 1000


def test_partitions_beyond_the_mutation_quota_are_refused(client: Wire, unique: str) -> None:
    set_quota(client, "controller_mutation_rate", 1)
    topics = [new_topic(f"{unique}-a", 12), new_topic(f"{unique}-b")]
    answer = client.ask(CreateTopicsRequest(topics=topics, timeout_ms=1000))
    codes = {topic.name: topic.error_code for topic in answer.topics}
    assert codes == {
        f"{unique}-a": ErrorCode.NONE,
        f"{unique}-b": ErrorCode.THROTTLING_QUOTA_EXCEEDED,
    }
    assert answer.throttle_time_ms > 0


def test_connections_of_an_address_above_its_quota_are_not_let_in() -> None:
    entity = [RequestEntityData(entity_type="ip", entity_name="127.0.0.1")]

    def set_rate(wire: Wire, **op: Any) -> None:
        ops = [OpData(key="connection_creation_rate", **op)]
        entry = RequestEntryData(entity=entity, ops=ops)
        (result,) = wire.ask(AlterClientQuotasRequest(entries=[entry])).entries
        assert result.error_code == 0

    def let_in(broker: Broker, count: int) -> int:
        answered = 0
        for _ in range(count):
            with Wire(broker.bootstrap) as wire, contextlib.suppress(Closed):
                took_ms(wire)
                answered += 1
        return answered

    with Broker() as broker, Wire(broker.bootstrap) as wire:
        set_rate(wire, value=1.0)
        assert 10 <= let_in(broker, 12) <= 12, "a second's worth for each of the last ten"
        with Wire(broker.bootstrap) as late:
            late.send(ApiVersionsRequest(), 0)
            took_ms(wire)
            assert not late.has_something(), "closed on at once it would come back at once"
            assert late.is_closed_by_peer()
        set_rate(wire, value=100.0)
        assert let_in(broker, 50) == 50
        set_rate(wire, remove=True)
        assert let_in(broker, 50) == 50


def test_a_description_tells_what_was_set(client: Wire) -> None:
    set_quota(client, "consumer_byte_rate", 12_345)
    wanted = ComponentData(entity_type="client-id", match_type=0, match=client.client_id)
    answer = client.ask(DescribeClientQuotasRequest(components=[wanted], strict=True))
    (entry,) = answer.entries
    assert [(part.entity_type, part.entity_name) for part in entry.entity] == [
        ("client-id", client.client_id)
    ]
    assert [(item.key, item.value) for item in entry.values] == [("consumer_byte_rate", 12_345)]


@pytest.mark.parametrize(("match_type", "match"), [(0, None), (1, "x"), (2, "x"), (3, None)])
def test_a_filter_with_a_wrong_match_is_refused(
    client: Wire, match_type: int, match: str | None
) -> None:
    wanted = ComponentData(entity_type="user", match_type=match_type, match=match)
    answer = client.ask(DescribeClientQuotasRequest(components=[wanted]))
    assert answer.error_code == ErrorCode.INVALID_REQUEST
    assert answer.entries is None


def test_quotas_outlive_a_restart() -> None:
    with Broker() as broker:
        with Wire(broker.bootstrap) as wire:
            set_quota(wire, "producer_byte_rate", 10)
        broker.restart()
        with Wire(broker.bootstrap) as wire:
            wire.ask(CreateTopicsRequest(topics=[new_topic(TOPIC)], timeout_ms=1000))
            assert wire.ask(produce(1000), 9).throttle_time_ms > 0


def test_share_consumer_above_its_quota_gets_its_records_and_waits(
    broker: Broker, unique: str
) -> None:
    with (
        Wire(broker.bootstrap) as wire,
        ShareMember(broker.bootstrap, unique, [unique], client_id=unique) as anna,
    ):
        configure_group(wire, unique, auto_offset_reset="earliest")
        topic_id = share.new_topic(wire, unique)
        for _ in range(4):
            share.produce(wire, topic_id, [b"x" * 9_000])
        anna.beats()
        set_quota(anna.wire, "consumer_byte_rate", 3_000)
        first = anna.fetches(max_wait_ms=10_000)
        assert acquired_records(first) == 3, "what the quota has saved up, and no more at once"
        assert first.throttle_time_ms == 0
        second = anna.fetches()
        assert acquired_records(second) == 1
        assert second.throttle_time_ms > 0
        assert took_ms(anna.wire) >= second.throttle_time_ms - 100


def acquired_records(answer: Any) -> int:
    return sum(
        acquired.last_offset - acquired.first_offset + 1
        for topic in answer.responses
        for partition in topic.partitions
        for acquired in partition.acquired_records
    )
