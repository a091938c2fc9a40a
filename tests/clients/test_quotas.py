"""What real clients notice of a quota."""

from __future__ import annotations

from confluent_kafka import Consumer, Producer, ThrottleEvent
from tests.support.wire import Wire

from pylog.protocol.messages.alter_client_quotas import (
    AlterClientQuotasRequest,
    OpData,
    RequestEntityData,
    RequestEntryData,
)
from pylog.testing import Broker


def limit(broker: Broker, client_id: str, quota: str, value: float) -> None:
    entity = RequestEntityData(entity_type="client-id", entity_name=client_id)
    entry = RequestEntryData(entity=[entity], ops=[OpData(key=quota, value=value)])
    with Wire(broker.bootstrap) as wire:
        (result,) = wire.ask(AlterClientQuotasRequest(entries=[entry])).entries
        assert result.error_code == 0


def fill(broker: Broker, topic: str, count: int, **config: object) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap, **config})
    for _ in range(count):
        producer.produce(topic, bytes(10_000))
        producer.flush(30)


def test_a_librdkafka_producer_is_told_that_it_is_throttled(pylog_broker: Broker) -> None:
    limit(pylog_broker, "slow", "producer_byte_rate", 10_000)
    events: list[ThrottleEvent] = []
    fill(pylog_broker, "t", 12, **{"client.id": "slow", "throttle_cb": events.append})
    assert events
    assert all(event.throttle_time > 0 for event in events)


def test_a_throttled_consumer_gets_all_records_in_the_end(pylog_broker: Broker) -> None:
    fill(pylog_broker, "t", 13)
    limit(pylog_broker, "slow", "consumer_byte_rate", 10_000)
    events: list[ThrottleEvent] = []
    consumer = Consumer(
        {
            "bootstrap.servers": pylog_broker.bootstrap,
            "client.id": "slow",
            "group.id": "g",
            "auto.offset.reset": "earliest",
            "fetch.message.max.bytes": 20_000,
            "throttle_cb": events.append,
        }
    )
    consumer.subscribe(["t"])
    offsets = []
    while len(offsets) < 13:
        message = consumer.poll(30)
        assert message is not None
        assert message.error() is None
        offsets.append(message.offset())
    consumer.close()
    assert offsets == list(range(13))
    assert events
