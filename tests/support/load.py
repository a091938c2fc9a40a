"""Producers under load that note every acknowledgement, and the check of what is read later.

A value names its place: ``PARTITION:NUMBER`` with numbers 0, 1, 2 … for each partition, so that a
lost, doubled or overtaken record shows itself. Brokers may die and come back at any time.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic
from tests.support.wait import wait_until

PARTITIONS = 3
END_TIMEOUT_S = 60.0
# A client that is quick to try again: tests wait for brokers, not for back-offs.
PATIENT = {
    "reconnect.backoff.ms": 20,
    "reconnect.backoff.max.ms": 200,
    "retry.backoff.ms": 20,
    "retry.backoff.max.ms": 200,
    "socket.timeout.ms": 2000,
    "topic.metadata.refresh.fast.interval.ms": 50,
}


def create_topic(bootstrap: str, name: str, **config: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap, **PATIENT})
    topic = NewTopic(name, num_partitions=PARTITIONS, replication_factor=1, config=config)
    admin.create_topics([topic])[name].result(END_TIMEOUT_S)


class Place(NamedTuple):
    """Where a record is."""

    partition: int
    offset: int


class Load:
    """A thread that produces until it is told to end."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.bootstrap = bootstrap
        self.topic = topic
        self.failures: list[str] = []
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run_guarded, daemon=True)
        self._thread.start()

    def cancel(self) -> None:
        """Have it end some time."""
        self._ending.set()

    def end(self) -> None:
        """Stop producing; returns when the fate of everything sent is known."""
        self._ending.set()
        self._thread.join(2 * END_TIMEOUT_S)
        assert not self._thread.is_alive(), "the producer does not come to an end"
        assert not self.failures, self.failures[:3]

    def _run_guarded(self) -> None:
        try:
            self._run()
        except Exception as error:
            self.failures.append(repr(error))

    def _run(self) -> None:
        raise NotImplementedError


class IdempotentLoad(Load):
    """One idempotent producer; it never gives a record up."""

    def __init__(
        self, bootstrap: str, topic: str, value_bytes: int = 0, pause_s: float = 0.001
    ) -> None:
        self._pad = "." * value_bytes
        self._pause_s = pause_s
        self.sent = [0] * PARTITIONS
        self.acknowledged: dict[str, Place] = {}
        super().__init__(bootstrap, topic)

    def _run(self) -> None:
        settings = {
            "bootstrap.servers": self.bootstrap,
            "enable.idempotence": True,
            "linger.ms": 1,
            "message.timeout.ms": 0,
            "queue.buffering.max.kbytes": 4096,
            "batch.size": 32_768,  # after an outage, too, a batch fits into a small segment
            **PATIENT,
        }
        producer = Producer(settings)
        while not self._ending.is_set():
            for partition in range(PARTITIONS):
                self._produce(producer, partition)
            producer.poll(self._pause_s)
        left = producer.flush(END_TIMEOUT_S)
        if left:
            self.failures.append(f"{left} records neither acknowledged nor refused")

    def _produce(self, producer: Producer, partition: int) -> None:
        value = f"{partition}:{self.sent[partition]}"
        try:
            producer.produce(
                self.topic, self._pad + value, partition=partition, on_delivery=self._on_delivery
            )
        except BufferError:
            producer.poll(0.1)
        else:
            self.sent[partition] += 1

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self.failures.append(str(error))
            return
        value = message.value().decode().lstrip(".")
        self.acknowledged[value] = Place(message.partition(), message.offset())

    def check(self, records: Records) -> None:
        """Every record once and in order, and where the acknowledgement says it is."""
        assert all(self.sent)
        assert self.acknowledged.keys() == {
            f"{partition}:{number}"
            for partition, count in enumerate(self.sent)
            for number in range(count)
        }
        for partition, count in enumerate(self.sent):
            assert records.numbers(partition) == list(range(count))
        for value, place in self.acknowledged.items():
            if place.offset >= 0:  # -1: told as a duplicate, which has no offset
                assert records.by_place[place] == value


class TransactionalLoad(Load):
    """One transactional producer. Every third transaction is aborted on purpose."""

    RECORDS = 2 * PARTITIONS

    def __init__(self, bootstrap: str, topic: str, pause_s: float = 0.0) -> None:
        self._pause_s = pause_s
        self.committed: list[int] = []
        self.aborted: set[int] = set()
        self.unknown: set[int] = set()
        super().__init__(bootstrap, topic)

    def _run(self) -> None:
        producer = self._new_producer()
        number = 0
        while not self._ending.wait(self._pause_s):
            if not self._transact(producer, number):
                producer = self._new_producer()
            number += 1

    def _new_producer(self) -> Producer:
        settings = {
            "bootstrap.servers": self.bootstrap,
            "transactional.id": self.topic,
            "linger.ms": 0,
            **PATIENT,
        }
        producer = Producer(settings)
        deadline = time.monotonic() + END_TIMEOUT_S
        while True:
            try:
                producer.init_transactions(5)
            except KafkaException as failure:
                if not failure.args[0].retriable() or time.monotonic() > deadline:
                    raise
            else:
                return producer

    def _transact(self, producer: Producer, number: int) -> bool:
        """Whether the producer can be used further."""
        keep = number % 3 != 2
        try:
            producer.begin_transaction()
            for item in range(self.RECORDS):
                producer.produce(self.topic, f"{item}:{number}", partition=item % PARTITIONS)
            self._end(producer.commit_transaction if keep else producer.abort_transaction)
        except KafkaException as failure:
            return self._recover(producer, number, failure.args[0])
        if keep:
            self.committed.append(number)
        else:
            self.aborted.add(number)
        return True

    def _recover(self, producer: Producer, number: int, error: Any) -> bool:
        if error.txn_requires_abort():
            try:
                self._end(producer.abort_transaction)
            except KafkaException:
                pass
            else:
                self.aborted.add(number)
                return True
        self.unknown.add(number)
        return False

    def _end(self, call: Any) -> None:
        deadline = time.monotonic() + END_TIMEOUT_S
        while True:
            try:
                return call(5)
            except KafkaException as failure:
                if not failure.args[0].retriable() or time.monotonic() > deadline:
                    raise

    def check(self, records: Records) -> None:
        """A reader of committed records sees transactions whole, in order, once, or not at all."""
        assert self.committed
        seen: dict[int, list[int]] = defaultdict(list)
        for partition in range(PARTITIONS):
            numbers = records.numbers(partition)
            assert numbers == sorted(numbers)
            for value in records.of(partition):
                item, _, number = value.partition(":")
                seen[int(number)].append(int(item))
        assert self.aborted.isdisjoint(seen)
        assert seen.keys() - self.unknown == set(self.committed)
        assert all(sorted(items) == list(range(self.RECORDS)) for items in seen.values())


class Records:
    """What was read: values by place."""

    def __init__(self, by_place: dict[Place, str]) -> None:
        self.by_place = by_place

    def of(self, partition: int) -> list[str]:
        """Values of a partition in the order of their offsets."""
        return [self.by_place[place] for place in sorted(self.by_place) if place[0] == partition]

    def numbers(self, partition: int) -> list[int]:
        return [int(value.partition(":")[2]) for value in self.of(partition)]


def read_all(bootstrap: str, topic: str, isolation: str = "read_committed") -> Records:
    """Every record that there is now."""
    settings = {
        "bootstrap.servers": bootstrap,
        "group.id": "unused",
        "enable.partition.eof": True,
        "isolation.level": isolation,
        **PATIENT,
    }
    consumer = Consumer(settings)
    consumer.assign(_beginnings(topic))
    found: dict[Place, str] = {}
    open_ends = set(range(PARTITIONS))
    deadline = time.monotonic() + END_TIMEOUT_S
    while open_ends:
        assert time.monotonic() < deadline, f"the ends of {open_ends} are not reached"
        for message in consumer.consume(1000, 0.2):
            if message.error() is None:
                _note(found, message)
            elif message.error().code() == KafkaError._PARTITION_EOF:
                open_ends.discard(message.partition())
    consumer.close()
    return Records(found)


def _beginnings(topic: str) -> list[TopicPartition]:
    return [TopicPartition(topic, number, OFFSET_BEGINNING) for number in range(PARTITIONS)]


def _note(found: dict[Place, str], message: Message) -> None:
    place = Place(message.partition(), message.offset())
    value = message.value().decode().lstrip(".")
    assert found.setdefault(place, value) == value, f"two values at {place}"


class Watcher(Load):
    """A consumer that reads all the time. What it was once given must stay."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.found: dict[Place, str] = {}
        super().__init__(bootstrap, topic)

    def _run(self) -> None:
        settings = {
            "bootstrap.servers": self.bootstrap,
            "group.id": "unused",
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 50,
            "auto.offset.reset": "error",
            **PATIENT,
        }
        consumer = Consumer(settings)
        consumer.assign(_beginnings(self.topic))
        while not self._ending.is_set():
            for message in consumer.consume(500, 0.05):
                self._take(message)
        consumer.close()

    def _take(self, message: Message) -> None:
        error = message.error()
        if error is None:
            _note(self.found, message)
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:
            self.failures.append(f"what was read is gone: {error}")

    def check(self, records: Records) -> None:
        """Everything seen while brokers came and went is there."""
        assert self.found.items() <= records.by_place.items()


def await_commit(load: TransactionalLoad) -> None:
    """Wait until one more transaction is committed."""
    before = len(load.committed)
    wait_until(lambda: len(load.committed) > before)


AnyLoad = IdempotentLoad | TransactionalLoad | Watcher


def end_and_check(loads: Iterable[AnyLoad]) -> None:
    """End producers before those who watch them, then compare with what can be read."""
    ordered = sorted(loads, key=lambda load: isinstance(load, Watcher))
    for load in ordered:
        load.end()
    for load in ordered:
        load.check(read_all(load.bootstrap, load.topic))
