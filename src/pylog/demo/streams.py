"""Producers and group members of the demo, each on a thread of its own."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer

from pylog.demo.sources import Event, parse_view, sample_metrics

SEQUENCE_HEADER = "sequence"
QUEUE_FULL_WAIT_S = 0.1


@dataclass
class Sent:
    """What a producer was acknowledged: records, payload bytes, latencies, time taken."""

    records: int = 0
    payload_bytes: int = 0
    per_key: Counter[bytes] = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    wire_bytes: int = 0
    seconds: float = 0.0


def send(bootstrap: str, topic: str, events: Iterable[Event], settings: dict[str, Any]) -> Sent:
    """Produces all events, each with the sequence number of its key in a header; waits for the
    last acknowledgement. `settings` are librdkafka's."""
    sent = Sent()
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "client.id": "pylog-demo",
            "enable.idempotence": True,
            "enable.metrics.push": False,
            "statistics.interval.ms": 100,
            "stats_cb": _wire_counter(sent),
        }
        | settings
    )
    producer.list_topics(topic, timeout=10)  # connect before the clock starts
    sequences: Counter[bytes] = Counter()
    started = time.perf_counter()
    for event in events:
        sequences[event.key] += 1
        _produce(producer, topic, event, sequences[event.key], sent)
    while producer.flush(1.0):
        pass
    sent.seconds = time.perf_counter() - started
    _await_statistics(producer)
    return sent


def _wire_counter(sent: Sent) -> Callable[[str], None]:
    def on_statistics(text: str) -> None:
        brokers = json.loads(text)["brokers"].values()
        sent.wire_bytes = sum(broker["txbytes"] for broker in brokers)

    return on_statistics


def _await_statistics(producer: Producer) -> None:
    """The bytes of the last requests are in the statistics of the next interval."""
    deadline = time.monotonic() + 0.25
    while time.monotonic() < deadline:
        producer.poll(0.05)


def _produce(producer: Producer, topic: str, event: Event, sequence: int, sent: Sent) -> None:
    size = len(event.key) + len(event.value)

    def on_delivery(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            sent.errors[str(error)] += 1
            return
        sent.records += 1
        sent.payload_bytes += size
        sent.per_key[event.key] += 1
        latency_s = message.latency()
        if latency_s is not None:
            sent.latencies_s.append(latency_s)

    while True:
        try:
            producer.produce(
                topic,
                key=event.key,
                value=event.value,
                timestamp=event.time_ms,
                headers=[(SEQUENCE_HEADER, str(sequence).encode())],
                on_delivery=on_delivery,
            )
            producer.poll(0)
            return
        except BufferError:
            producer.poll(QUEUE_FULL_WAIT_S)


def metric_events(stop: threading.Event, interval_s: float) -> Iterator[Event]:
    """Samples of this host until `stop` is set; at least one."""
    while True:
        yield from sample_metrics()
        if stop.wait(interval_s):
            return


class Member(threading.Thread):
    """One member of a consumer group; checks that each key's records arrive in order."""

    def __init__(self, bootstrap: str, group: str, topic: str, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "client.id": name,
                "group.id": group,
                "auto.offset.reset": "earliest",
                "session.timeout.ms": 10_000,
                "enable.metrics.push": False,
            }
        )
        self._consumer.subscribe([topic])
        self._finish = threading.Event()
        self.records = 0
        self.payload_bytes = 0
        self.partitions: Counter[int] = Counter()
        self.keys: dict[bytes, int] = {}
        self.out_of_order = 0
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            while not self._finish.is_set():
                for message in self._consumer.consume(1000, timeout=0.1):
                    self._take(message)
            self._consumer.close()  # commits
        except BaseException as error:
            self.failure = error

    def finish(self) -> None:
        """Leaves the group, commits; raises what the thread failed with."""
        self._finish.set()
        self.join()
        if self.failure is not None:
            raise self.failure

    def _take(self, message: Message) -> None:
        error = message.error()
        if error is not None:
            if error.retriable():
                return
            raise KafkaException(error)
        key, value = message.key() or b"", message.value() or b""
        headers: dict[str, Any] = dict(message.headers() or [])
        self._check_order(key, int(headers[SEQUENCE_HEADER]))
        self.records += 1
        self.payload_bytes += len(key) + len(value)
        self.partitions[message.partition() or 0] += 1
        self.observe(key, value)

    def _check_order(self, key: bytes, sequence: int) -> None:
        previous = self.keys.get(key)
        # A rebalance may hand over a key in the middle, or read some records again.
        if previous is not None and sequence > previous + 1:
            self.out_of_order += 1
        self.keys[key] = max(sequence, previous or 0)

    def observe(self, key: bytes, value: bytes) -> None:
        """What this group makes of a record."""


class PageViews(Member):
    """Counts page views a minute."""

    def __init__(self, bootstrap: str, group: str, topic: str, name: str) -> None:
        super().__init__(bootstrap, group, topic, name)
        self.per_minute: Counter[int] = Counter()
        self.per_path: Counter[bytes] = Counter()

    def observe(self, key: bytes, value: bytes) -> None:
        view = parse_view(value)
        if view is not None:
            self.per_minute[view.time_ms // 60_000] += 1
            self.per_path[view.path] += 1


class Metrics(Member):
    """Watches the metrics: the first and the last value of each."""

    def __init__(self, bootstrap: str, group: str, topic: str, name: str) -> None:
        super().__init__(bootstrap, group, topic, name)
        self.seen: dict[str, list[dict[str, Any]]] = defaultdict(list)

    def observe(self, key: bytes, value: bytes) -> None:
        samples = self.seen[key.decode()]
        samples[1:] = [json.loads(value)]
