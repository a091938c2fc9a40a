"""Kafka Streams counts words exactly once: the program and the broker end as crashes do.

Each word that is read makes one record of the sink, with the number of times it was read so far.
So the counts of a word must be 1, 2, 3, ... and nothing else: a count that is missing was lost, one
that comes twice or is too high was taken twice.
"""

from __future__ import annotations

import gzip
import subprocess
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec
from tests.clients.kinds import JAVA, ROOT
from tests.support.broker import QUICK_GROUPS, BrokerProcess
from tests.support.wait import wait_until

ACTIVITY = ROOT.parent / "shared" / "data" / "web_activity.log.gz"
LINES = 1_500
PARTITIONS = 2
UNCOMMITTED = 50
TIMEOUT_S = 90.0


def page_lines() -> list[str]:
    """The parts of the paths that visitors asked for, a line a visit."""
    if not ACTIVITY.exists():
        return [" ".join(f"w{n % d}" for d in (2, 7, 61)) for n in range(LINES)]
    with gzip.open(ACTIVITY, "rt") as log:
        requests = [line.split('"')[1].split()[1] for line in islice(log, LINES)]
    return [" ".join(request.strip("/").split("/")) for request in requests]


@dataclass(frozen=True)
class Protocol:
    """A way for the members of a program to divide the work, and what makes it forget the dead."""

    name: str
    program: tuple[str, ...]
    broker: Mapping[str, str]


PROTOCOLS = [
    Protocol("classic", ("consumer.session.timeout.ms=6000",), {}),
    Protocol(
        "streams",
        ("group.protocol=streams",),
        {
            "group.streams.min.session.timeout.ms": "6000",
            "group.streams.session.timeout.ms": "6000",
            "group.streams.min.heartbeat.interval.ms": "500",
            "group.streams.heartbeat.interval.ms": "500",
            "group.streams.initial.rebalance.delay.ms": "0",
        },
    ),
]


@pytest.fixture
def broker(tmp_path: Path, protocol: Protocol) -> Iterator[BrokerProcess]:
    broker = BrokerProcess(tmp_path / "data", {**QUICK_GROUPS, **protocol.broker})
    broker.start()
    yield broker
    broker.stop_if_running()


class Program:
    """The word count as a process of its own."""

    def __init__(self, broker: BrokerProcess, folder: Path, settings: tuple[str, ...]) -> None:
        self._log = folder / "program.log"
        arguments = (broker.address, "words", "lines", "counts", str(folder / "state"))
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [*JAVA, "pylog.clients.WordCount", *arguments, *settings], stdout=log, stderr=log
            )

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        assert self._process.poll() is None, self._log.read_text()[-4000:]
        self._process.terminate()
        self._process.wait(TIMEOUT_S)


Start = Callable[[], Program]


@pytest.fixture
def start(broker: BrokerProcess, protocol: Protocol, tmp_path: Path) -> Iterator[Start]:
    """Starts the program, which is gone when the test ends."""
    started: list[Program] = []

    def start() -> Program:
        started.append(Program(broker, tmp_path, protocol.program))
        return started[-1]

    yield start
    for program in started:
        program.kill()


def common(broker: BrokerProcess) -> dict[str, str | int]:
    """librdkafka forgets its only broker while it is away, unless it is told not to."""
    return {
        "bootstrap.servers": broker.address,
        "metadata.recovery.strategy": "none",
        "reconnect.backoff.max.ms": 500,
        "log_level": 0,
    }


class Counts:
    """What a reader of the sink sees: each word's counts in their order."""

    def __init__(self, broker: BrokerProcess) -> None:
        self.of: defaultdict[str, list[int]] = defaultdict(list)
        self.total = 0
        self._admin = AdminClient(common(broker))
        self._consumer = Consumer(
            {
                **common(broker),
                "group.id": "reader",
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
            }
        )
        self._consumer.subscribe(["counts"])

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
        latest = {
            TopicPartition("counts", number): OffsetSpec.latest() for number in range(PARTITIONS)
        }
        return sum(end.result().offset for end in self._admin.list_offsets(latest).values())

    def close(self) -> None:
        self._consumer.close()


@pytest.fixture
def counts(broker: BrokerProcess) -> Iterator[Counts]:
    """A reader of the sink; its topic and the source's are new."""
    admin = AdminClient(common(broker))
    topics = [NewTopic(name, PARTITIONS, 1) for name in ("lines", "counts")]
    for future in admin.create_topics(topics).values():
        future.result()
    counts = Counts(broker)
    yield counts
    counts.close()


def thirds(lines: list[str]) -> tuple[list[str], list[str], list[str]]:
    third = len(lines) // 3
    return lines[:third], lines[third : 2 * third], lines[2 * third :]


def feed(broker: BrokerProcess, lines: list[str]) -> Counter[str]:
    """Writes the lines to the source; how often each word is in them."""
    producer = Producer({**common(broker), "enable.idempotence": True})
    for number, line in enumerate(lines):
        producer.produce("lines", line, partition=number % PARTITIONS)
    assert producer.flush(TIMEOUT_S) == 0
    return Counter(word for line in lines for word in line.split(" "))


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.name)
def test_every_word_is_counted_once_though_program_and_broker_are_killed(
    broker: BrokerProcess, counts: Counts, start: Start
) -> None:
    program = start()
    first, second, third = thirds(page_lines())
    words = feed(broker, first)
    counts.await_total(words)
    words += feed(broker, second)
    counts.await_uncommitted()
    program.kill()
    program = start()
    counts.await_total(words)
    words += feed(broker, third)
    counts.await_uncommitted()
    broker.kill()
    broker.start()
    counts.await_total(words)
    program.stop()
    counts.read(1.0)
    assert counts.of == {word: list(range(1, times + 1)) for word, times in words.items()}
