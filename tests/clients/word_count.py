"""What the tests with stream libraries share: programs that count words, their input and output.

Each word that a program reads from `lines` makes one record of `counts`: the word, and how often it
was read so far. So the counts of a word must be 1, 2, 3, ... and nothing else: one that is missing
was lost, one that comes twice or is too high was taken twice.
"""

from __future__ import annotations

import gzip
import subprocess
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec
from tests.clients.kinds import ROOT
from tests.support.broker import BrokerProcess
from tests.support.librdkafka import lasting
from tests.support.wait import wait_until

ACTIVITY = ROOT.parent / "shared" / "data" / "web_activity.log.gz"
LINES = 1_500
PARTITIONS = 2
UNCOMMITTED = 50
TIMEOUT_S = 90.0


@dataclass(frozen=True)
class Application:
    """A word count: its command takes broker and state folder; what the broker is to be told."""

    name: str
    command: tuple[str, ...]
    broker: Mapping[str, str] = field(default_factory=dict)


class Program:
    """An application that runs. `log_path` has what it prints."""

    def __init__(self, application: Application, broker: BrokerProcess, folder: Path) -> None:
        self.log_path = folder / f"{application.name}.log"
        command = [*application.command, broker.address, str(folder / "state")]
        with self.log_path.open("a") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)

    def kill(self) -> None:
        """Ends it as a crash does."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Asks it to end, which it has not done by itself."""
        assert self._process.poll() is None, self.log_path.read_text()[-4000:]
        self._process.terminate()
        self._process.wait(TIMEOUT_S)


class Counts:
    """What a read_committed reader sees of the sink: each word's counts in their order."""

    def __init__(self, broker: BrokerProcess) -> None:
        self.of: defaultdict[str, list[int]] = defaultdict(list)
        self.total = 0
        self._admin = AdminClient(lasting(broker.address))
        self._consumer = reader(broker, "counts")

    def read(self, timeout_s: float = 0.5) -> int:
        """Takes what is there; how many counts came so far."""
        for message in self._consumer.consume(500, timeout_s):
            if message.error() is None:
                self.of[message.key().decode()].append(int(message.value()))
                self.total += 1
        return self.total

    def await_total(self, words: Counter[str]) -> None:
        """Returns when as many counts came as there are words."""
        wait_until(lambda: self.read() >= words.total(), TIMEOUT_S)

    def await_uncommitted(self) -> None:
        """Returns when the sink has grown by counts that, most likely, no transaction committed."""
        before = self._end()
        wait_until(lambda: self._end() >= before + UNCOMMITTED, TIMEOUT_S)

    def _end(self) -> int:
        """How far the sink goes, committed or not."""
        return sum(ends(self._admin, "counts").values())

    def close(self) -> None:
        self._consumer.close()


def ends(admin: AdminClient, topic: str) -> dict[int, int]:
    """The end offset of each partition."""
    latest = {TopicPartition(topic, number): OffsetSpec.latest() for number in range(PARTITIONS)}
    answers = admin.list_offsets(latest)
    return {place.partition: answer.result().offset for place, answer in answers.items()}


def reader(broker: BrokerProcess, topic: str) -> Consumer:
    consumer = Consumer(
        {
            **lasting(broker.address),
            "group.id": f"reader-of-{topic}",
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
        }
    )
    consumer.subscribe([topic])
    return consumer


def create_topics(broker: BrokerProcess) -> None:
    admin = AdminClient(lasting(broker.address))
    topics = [NewTopic(name, PARTITIONS, 1) for name in ("lines", "counts")]
    for future in admin.create_topics(topics).values():
        future.result()


def feed(broker: BrokerProcess, lines: list[str]) -> Counter[str]:
    """Writes the lines to the source; how often each word is in them."""
    producer = Producer({**lasting(broker.address), "enable.idempotence": True})
    for number, line in enumerate(lines):
        producer.produce("lines", line, partition=number % PARTITIONS)
    assert producer.flush(TIMEOUT_S) == 0
    return Counter(word for line in lines for word in line.split(" "))


def thirds_of_lines() -> tuple[list[str], list[str], list[str]]:
    lines, third = _page_lines(), LINES // 3
    return lines[:third], lines[third : 2 * third], lines[2 * third :]


def _page_lines() -> list[str]:
    """The parts of the paths that visitors of a web site asked for, a line a visit."""
    if not ACTIVITY.exists():
        return [" ".join(f"w{n % d}" for d in (2, 7, 61)) for n in range(LINES)]
    with gzip.open(ACTIVITY, "rt") as log:
        requests = [line.split('"')[1].split()[1] for line in islice(log, LINES)]
    return [" ".join(request.strip("/").split("/")) for request in requests]


def committed(admin: AdminClient, group: str, topic: str) -> dict[int, int]:
    """The offset that the group has committed for each partition."""
    request = ConsumerGroupTopicPartitions(group)
    answer = admin.list_consumer_group_offsets([request])[group].result()
    return {at.partition: at.offset for at in answer.topic_partitions if at.topic == topic}


def latest_by_key(broker: BrokerProcess, topic: str) -> dict[str, str]:
    """The last value of each key, as compaction would leave it."""
    latest: dict[str, str] = {}
    unread = sum(ends(AdminClient(lasting(broker.address)), topic).values())
    consumer = reader(broker, topic)
    while unread > 0:
        [message] = consumer.consume(1, TIMEOUT_S)
        assert message.error() is None, message.error()
        latest[message.key().decode()] = message.value().decode()
        unread -= 1
    consumer.close()
    return latest
