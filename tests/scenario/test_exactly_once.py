"""Consume, transform, produce in transactions while the broker is killed: every input once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from tests.support.broker import QUICK_GROUPS, BrokerProcess
from tests.support.librdkafka import lasting

RECORDS = 1_200
WORKERS = 3
KILLS = 2
DEADLINE_S = 120.0


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[BrokerProcess]:
    broker = BrokerProcess(tmp_path / "data", {**QUICK_GROUPS, "log.durability": "os"})
    broker.start()
    yield broker
    broker.stop_if_running()


class Copier(threading.Thread):
    """Copies from one topic to another, each batch with its offsets in one transaction."""

    def __init__(self, broker: BrokerProcess, number: int) -> None:
        super().__init__(name=f"copier-{number}", daemon=True)
        self._settings = lasting(broker.address)
        self._id = f"copier-{number}"
        self.enough = threading.Event()

    def run(self) -> None:
        while not self.enough.is_set():
            consumer = Consumer(
                {
                    **self._settings,
                    "group.id": "copiers",
                    "auto.offset.reset": "earliest",
                    "enable.auto.commit": False,
                    "session.timeout.ms": 6_000,
                }
            )
            consumer.subscribe(["input"])
            try:
                self._copy(consumer)
            except KafkaException:
                continue  # begin anew, as after a fatal error; the next init aborts what is open
            finally:
                consumer.close()

    def _copy(self, consumer: Consumer) -> None:
        producer = Producer({**self._settings, "transactional.id": self._id})
        producer.init_transactions(30)
        while not self.enough.is_set():
            messages = [m for m in consumer.consume(20, 0.2) if m.error() is None]
            if not messages:
                continue
            producer.begin_transaction()
            for message in messages:
                producer.produce("output", key=message.key(), value=message.value())
            offsets = consumer.position(consumer.assignment())
            member = consumer.consumer_group_metadata()
            producer.send_offsets_to_transaction(offsets, member, 10)
            producer.commit_transaction(10)


def fill(broker: BrokerProcess) -> None:
    admin = AdminClient(lasting(broker.address))
    topics = [NewTopic(name, 3, 1) for name in ("input", "output")]
    for future in admin.create_topics(topics).values():
        future.result()
    producer = Producer({**lasting(broker.address), "enable.idempotence": True})
    for number in range(RECORDS):
        producer.produce("input", key=str(number), value=str(number))
    assert producer.flush(30) == 0


def read_committed(broker: BrokerProcess) -> Consumer:
    consumer = Consumer(
        {
            **lasting(broker.address),
            "group.id": "reader",
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
        }
    )
    consumer.subscribe(["output"])
    return consumer


def test_every_record_is_copied_once_although_the_broker_is_killed(
    broker: BrokerProcess,
) -> None:
    fill(broker)
    copiers = [Copier(broker, number) for number in range(WORKERS)]
    for copier in copiers:
        copier.start()
    reader, seen, kills = read_committed(broker), [], 0
    deadline = time.monotonic() + DEADLINE_S
    while len(set(seen)) < RECORDS and time.monotonic() < deadline:
        message = reader.poll(0.5)
        if message is not None and message.error() is None:
            seen.append(int(message.value()))
        if kills < KILLS and len(seen) >= (kills + 1) * RECORDS // (KILLS + 2):
            kills += 1
            broker.kill()
            broker.start()
    for copier in copiers:
        copier.enough.set()
    for copier in copiers:
        copier.join(60)
    seen += [int(m.value()) for m in reader.consume(100, 2.0) if m.error() is None]
    reader.close()
    assert kills == KILLS
    assert sorted(seen) == list(range(RECORDS))
