"""Dead letter queues of share groups (KIP-1191)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from tests.support.broker import QUICK_GROUPS, BrokerProcess
from tests.support.share import (
    ACCEPT,
    REJECT,
    RELEASE,
    ShareMember,
    configure_group,
    new_topic,
    produce,
)
from tests.support.wait import wait_until
from tests.support.wire import Wire

TIMEOUT_S = 30
ENABLED = {"errors.deadletterqueue.group.enable": "true"}


@pytest.fixture
def queue(bootstrap: str, unique: str) -> str:
    """A topic that takes dead letters, of two partitions."""
    return make_queue(bootstrap, f"dlq.{unique}", ENABLED)


def make_queue(bootstrap: str, name: str, config: dict[str, str]) -> str:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(name, 2, 1, config=config)])[name].result(TIMEOUT_S)
    return name


def use_queue(wire: Wire, group: str, queue: str, copies: bool = False) -> None:
    configure_group(wire, group, auto_offset_reset="earliest")
    configure_group(
        wire,
        group,
        prefix="errors.deadletterqueue.",
        topic_name=queue,
        copy_record_enable=str(copies).lower(),
    )


def letters(bootstrap: str, queue: str, count: int) -> list[Any]:
    """The first letters of a queue, as (partition, key, value, headers without their prefix)."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reader"})
    consumer.assign([TopicPartition(queue, partition, 0) for partition in range(2)])
    found: list[Any] = []
    wait_until(lambda: _poll(consumer, found) and len(found) >= count, TIMEOUT_S)
    consumer.close()
    return found


def _poll(consumer: Consumer, found: list[Any]) -> bool:
    message = consumer.poll(0.1)
    if message is not None and message.error() is None:
        headers = {name.removeprefix("__dlq.errors."): v for name, v in message.headers()}
        found.append((message.partition(), message.key(), message.value(), headers))
    return True


def offset_of(letter: Any) -> int:
    return int(letter[3]["offset"])


def test_rejected_records_say_where_they_were_and_why(
    bootstrap: str, unique: str, queue: str
) -> None:
    with Wire(bootstrap) as wire, ShareMember(bootstrap, unique, [unique]) as anna:
        use_queue(wire, unique, queue)
        topic_id = new_topic(wire, unique, 3)
        produce(wire, topic_id, [b"a", b"b", b"c"], partition=2)
        anna.beats()
        anna.fetches(max_wait_ms=10_000)
        done = ((0, 0, REJECT), (1, 1, ACCEPT), (2, 2, REJECT))
        anna.fetches(done, partition=(topic_id, 2))
        got = sorted(letters(bootstrap, queue, 2), key=offset_of)
        assert [(partition, key, value) for partition, key, value, _ in got] == [
            (0, None, None)
        ] * 2
        for (*_, headers), offset in zip(got, (b"0", b"2"), strict=True):
            assert headers.pop("message")
            assert headers == {
                "topic": unique.encode(),
                "partition": b"2",
                "offset": offset,
                "group": unique.encode(),
                "delivery.count": b"1",
            }


def test_a_copied_letter_has_key_and_value_of_its_record(
    bootstrap: str, unique: str, queue: str
) -> None:
    with Wire(bootstrap) as wire, ShareMember(bootstrap, unique, [unique]) as anna:
        use_queue(wire, unique, queue, copies=True)
        new_topic(wire, unique)
        producer = Producer({"bootstrap.servers": bootstrap, "compression.type": "zstd"})
        for number in range(3):
            producer.produce(unique, f"value {number}" * 100, key=f"key {number}")
        producer.flush(TIMEOUT_S)
        anna.beats()
        anna.fetches(max_wait_ms=10_000)
        anna.acknowledges((1, 2, REJECT))
        got = sorted(letters(bootstrap, queue, 2), key=offset_of)
        assert [(key, value) for _, key, value, _ in got] == [
            (b"key %d" % number, b"value %d" % number * 100) for number in (1, 2)
        ]


def test_a_record_that_is_too_large_for_the_queue_goes_without_its_content(
    bootstrap: str, unique: str
) -> None:
    queue = make_queue(bootstrap, f"dlq.{unique}", ENABLED | {"max.message.bytes": "1000"})
    with Wire(bootstrap) as wire, ShareMember(bootstrap, unique, [unique]) as anna:
        use_queue(wire, unique, queue, copies=True)
        topic_id = new_topic(wire, unique)
        produce(wire, topic_id, [b"large" * 1000, b"small"])
        anna.beats()
        anna.fetches(max_wait_ms=10_000)
        anna.acknowledges((0, 1, REJECT))
        got = sorted(letters(bootstrap, queue, 2), key=offset_of)
        assert [value for _, _, value, _ in got] == [None, b"small"]


def test_records_that_were_delivered_too_often_are_dead_whoever_let_go_of_them(
    bootstrap: str, unique: str, queue: str
) -> None:
    with Wire(bootstrap) as wire, ShareMember(bootstrap, unique, [unique]) as anna:
        use_queue(wire, unique, queue)
        configure_group(wire, unique, delivery_count_limit="2", record_lock_duration_ms="1000")
        topic_id = new_topic(wire, unique)
        produce(wire, topic_id, [b"released", b"kept too long"])
        anna.beats()
        anna.fetches(max_wait_ms=10_000)
        anna.acknowledges((0, 1, RELEASE))
        anna.fetches(max_wait_ms=10_000)
        anna.acknowledges((0, 0, RELEASE))
        got = letters(bootstrap, queue, 2)
        assert sorted(map(offset_of, got)) == [0, 1]
        assert {headers["delivery.count"] for *_, headers in got} == {b"2"}


@pytest.mark.parametrize("name", ["dlq.missing", "dlq.closed", "other"])
def test_a_queue_that_cannot_be_used_does_not_hold_up_the_group(
    bootstrap: str, unique: str, name: str
) -> None:
    queue = f"{name}.{unique}"
    if name != "dlq.missing":
        make_queue(bootstrap, queue, ENABLED if name == "other" else {})
    with Wire(bootstrap) as wire, ShareMember(bootstrap, unique, [unique]) as anna:
        use_queue(wire, unique, queue)
        configure_group(wire, unique, partition_max_record_locks="100")
        topic_id = new_topic(wire, unique)
        produce(wire, topic_id, [b""] * 100)
        produce(wire, topic_id, [b"next"])
        anna.beats()
        anna.fetches(max_wait_ms=10_000)
        anna.acknowledges((0, 99, REJECT))
        [[topic]] = [anna.fetches(max_wait_ms=10_000).responses]
        assert topic.partitions[0].acquired_records[0].first_offset == 100


def test_a_missing_queue_is_made_where_that_is_allowed_and_a_restart_sends_what_was_left(
    tmp_path: Path, unique: str
) -> None:
    allowed = {"errors.deadletterqueue.auto.create.topics.enable": "true", "num.partitions": "2"}
    broker = BrokerProcess(tmp_path / "data", QUICK_GROUPS | allowed)
    broker.start()
    queue = f"dlq.{unique}"
    with Wire(broker.address) as wire, ShareMember(broker.address, unique, [unique]) as anna:
        use_queue(wire, unique, queue)
        topic_id = new_topic(wire, unique)
        produce(wire, topic_id, [b"a", b"b"])
        anna.beats()
        anna.fetches(max_wait_ms=10_000)
        anna.acknowledges((1, 1, REJECT))
    broker.kill()
    broker.start()
    try:
        with ShareMember(broker.address, unique, [unique]) as bob:
            bob.beats()
            bob.fetches(max_wait_ms=10_000)
            assert {offset_of(letter) for letter in letters(broker.address, queue, 1)} == {1}
    finally:
        assert broker.terminate() == 0
