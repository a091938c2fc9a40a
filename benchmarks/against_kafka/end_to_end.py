"""From a producer to a consumer: Apache Kafka's own tool, and librdkafka's clients."""

from __future__ import annotations

import statistics
import time
import uuid

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import NewTopic

from benchmarks.against_kafka.brokers import Broker, Kafka
from benchmarks.against_kafka.comparison import MEAN_MS, P50_MS, P99_MS, P999_MS, Figure
from pylog.bench import suite

TOOL = "org.apache.kafka.tools.EndToEndLatency"
OF_THE_TOOL = {"50th": P50_MS, "99th": P99_MS, "99.9th": P999_MS}
TIMEOUT_S = 30.0
SETTLE = 500  # messages before those that count
VALUE = b"x" * 100


def of_the_tool(kafka: Kafka, broker: Broker, messages: int) -> dict[Figure, float]:
    """Mean and percentiles in ms; the tool cuts the percentiles to whole milliseconds."""
    output = kafka.tool(TOOL, f"127.0.0.1:{broker.port}", "end-to-end", str(messages), "1", "100")
    figures: dict[Figure, float] = {}
    for line in output.splitlines():
        if line.startswith("Avg latency"):
            figures[MEAN_MS] = float(line.split()[2])
        elif line.startswith("Percentiles"):
            parts = (part.partition("=") for part in line.partition(":")[2].split(","))
            figures |= {OF_THE_TOOL[name.strip()]: float(value) for name, _, value in parts}
    return figures


def of_librdkafka(broker: Broker, messages: int) -> dict[Figure, float]:
    """The same with librdkafka: one message of 100 B at a time, produced, then consumed."""
    topic = f"end-to-end-{uuid.uuid4().hex[:8]}"
    address = f"127.0.0.1:{broker.port}"
    admin = suite.admin_of("127.0.0.1", broker.port)
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(TIMEOUT_S)
    common = {"bootstrap.servers": address, "enable.metrics.push": False, "log_level": 2}
    producer = Producer({**common, "linger.ms": 0, "acks": 1})
    consumer = Consumer({**common, "group.id": topic, "enable.auto.commit": False})
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        taken_ms = [_round_trip(producer, consumer, topic) for _ in range(SETTLE + messages)]
    finally:
        consumer.close()
        admin.delete_topics([topic])[topic].result(TIMEOUT_S)
    return _summary(sorted(taken_ms[SETTLE:]))


def _round_trip(producer: Producer, consumer: Consumer, topic: str) -> float:
    started = time.perf_counter()
    producer.produce(topic, VALUE)
    while True:
        message = consumer.poll(TIMEOUT_S)
        if message is None:
            raise TimeoutError(f"no message within {TIMEOUT_S:g} s")
        if _arrived(message):
            break
    taken = time.perf_counter() - started
    producer.flush(TIMEOUT_S)  # its delivery report may be later than the message
    return taken * 1000


def _arrived(message: Message) -> bool:
    error = message.error()
    if error is None:
        return True
    if error.code() != KafkaError.UNKNOWN_TOPIC_OR_PART:  # a new topic, not yet known
        raise KafkaException(error)
    return False


def _summary(sorted_ms: list[float]) -> dict[Figure, float]:
    last = len(sorted_ms) - 1
    quantiles = {P50_MS: 0.5, P99_MS: 0.99, P999_MS: 0.999}
    places = {figure: sorted_ms[round(part * last)] for figure, part in quantiles.items()}
    return {MEAN_MS: statistics.fmean(sorted_ms), **places}
