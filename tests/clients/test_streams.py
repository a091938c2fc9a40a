"""Stream libraries count words while their programs and the broker end as crashes do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from tests.clients.kinds import JAVA, ROOT, TOOLS
from tests.clients.word_count import (
    Application,
    Counts,
    Program,
    committed,
    create_topics,
    ends,
    feed,
    latest_by_key,
    thirds_of_lines,
)
from tests.support.broker import QUICK_GROUPS, BrokerProcess
from tests.support.librdkafka import lasting

Start = Callable[[], Program]


def in_java(*settings: str) -> tuple[str, ...]:
    return (*JAVA, "pylog.clients.WordCount", *settings)


def in_python(name: str) -> tuple[str, ...]:
    return (f"{TOOLS}/streams/bin/python", f"{ROOT}/tests/clients/programs/{name}.py")


EXACTLY_ONCE = [
    Application("kafka-streams-classic", in_java("consumer.session.timeout.ms=6000")),
    Application(
        "kafka-streams-group",
        in_java("group.protocol=streams"),
        {
            "group.streams.min.session.timeout.ms": "6000",
            "group.streams.session.timeout.ms": "6000",
            "group.streams.min.heartbeat.interval.ms": "500",
            "group.streams.heartbeat.interval.ms": "500",
            "group.streams.initial.rebalance.delay.ms": "0",
        },
    ),
    Application("quixstreams", in_python("quix_words")),
]
FAUST = Application("faust", in_python("faust_words"))


@pytest.fixture
def broker(application: Application, tmp_path: Path) -> Iterator[BrokerProcess]:
    """A broker of its own, with the source and the sink."""
    broker = BrokerProcess(tmp_path / "data", {**QUICK_GROUPS, **application.broker})
    broker.start()
    create_topics(broker)
    yield broker
    broker.stop_if_running()


@pytest.fixture
def counts(broker: BrokerProcess) -> Iterator[Counts]:
    counts = Counts(broker)
    yield counts
    counts.close()


@pytest.fixture
def start(application: Application, broker: BrokerProcess, tmp_path: Path) -> Iterator[Start]:
    """Starts the application, which is gone when the test ends."""
    started: list[Program] = []

    def start() -> Program:
        started.append(Program(application, broker, tmp_path))
        return started[-1]

    yield start
    for program in started:
        program.kill()


@pytest.mark.parametrize("application", EXACTLY_ONCE, ids=lambda application: application.name)
def test_every_word_is_counted_once_though_program_and_broker_are_killed(
    broker: BrokerProcess, counts: Counts, start: Start
) -> None:
    first, second, third = thirds_of_lines()
    program = start()
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


@pytest.mark.parametrize("application", [FAUST], ids=lambda application: application.name)
def test_faust_goes_on_from_its_offsets_and_changelog(
    broker: BrokerProcess, counts: Counts, start: Start
) -> None:
    first, second, _ = thirds_of_lines()
    admin = AdminClient(lasting(broker.address))
    program = start()
    words = feed(broker, first)
    counts.await_total(words)
    program.stop()
    assert committed(admin, "faust-words", "lines") == ends(admin, "lines")
    words += feed(broker, second)
    program = start()
    counts.await_total(words)
    program.stop()
    counts.read(1.0)
    assert counts.of == {word: list(range(1, times + 1)) for word, times in words.items()}
    assert committed(admin, "faust-words", "lines") == ends(admin, "lines")
    totals = latest_by_key(broker, "faust-words-totals-changelog")
    assert {word: int(times) for word, times in totals.items()} == words
