"""The groups of figures; each starts the brokers that it needs, with empty folders."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from signal import SIGKILL, SIGTERM

from confluent_kafka.admin import NewTopic

from benchmarks.against_kafka import cases, end_to_end
from benchmarks.against_kafka.brokers import Broker, Kafka, Pylog, await_served, rss_mb
from benchmarks.against_kafka.cases import Case
from benchmarks.against_kafka.comparison import (
    CPU,
    KAFKA,
    MEAN_MS,
    P50,
    P99,
    P999,
    P999_MS,
    PYLOG,
    PYLOG_OS,
    RATE,
    Comparison,
    Figure,
    Findings,
    Goal,
    of_load,
)
from benchmarks.against_kafka.peers import Generator
from pylog.bench import suite
from pylog.bench.load import Load, LoadError, Measurement, Mode

STARTS = 3
IDLE_S = 2.0
TOPIC_PARTITIONS = 100
OS, FLUSH_EACH = ("log.durability=os",), ("log.flush.interval.messages=1",)
FIRST_ANSWER, IDLE_MEMORY = Figure("to first answer", "s"), Figure("idle memory", "MB")
CREATED, MEMORY = Figure("created", "s"), Figure("memory", "MB")
RESTARTED, RECOVERED = Figure("restarted", "s"), Figure("restarted after a kill", "s")
LEAST_PRODUCER = Figure("producers, least / most served", "", True)
LEAST_CONSUMER = Figure("consumers, least / most served", "", True)
# The other generator's names of our figures.
OF_LOADGEN = {RATE: "req/s", P50: "p50_us", P99: "p99_us", P999: "p999_us", CPU: "cpu_us/req"}


@dataclass(frozen=True, slots=True)
class Settings:
    """What every group is told."""

    folder: Path
    kafka_script: Path
    generator: Generator | None
    timing: suite.Timing
    messages: int  # end to end
    partitions: int
    say: Callable[[str], None]


class Groups:
    """Each public method is a group and adds to `findings`; `close` ends what still runs."""

    def __init__(self, settings: Settings, findings: Findings) -> None:
        self._set = settings
        self._findings = findings
        self._folders = 0
        self._running = ExitStack()
        self._pair: tuple[Kafka, Pylog] | None = None

    def close(self) -> None:
        """Stops the brokers that groups have left running for others."""
        self._pair = None
        self._running.close()

    # ---- with the default settings ----

    def fresh_memory(self) -> None:
        """Large produce requests before memory is touched: page cache is new to the host."""
        fresh = [replace(case, name=f"{case.name}, memory not touched", goals={}, ceiling=False)
                 for case in cases.LARGE]  # fmt: skip
        self._loads("memory not touched", self._warm_pair(), fresh)

    def data_plane(self) -> None:
        """The main table, beside the ceiling where a server without a log can give it."""
        self._loads("data plane", self._warm_pair(), cases.DATA_PLANE)

    def sweep(self) -> None:
        """Latency and throughput against the size of a batch."""
        self._loads("sweep", self._warm_pair(), cases.SWEEP)

    def many_connections(self) -> None:
        """1,000 connections, half produce and half fetch, all at one pace, at the same time."""
        name = f"{cases.MANY_CONNECTIONS:,} connections"
        with ThreadPoolExecutor(2) as threads:

            def way(broker: Broker) -> dict[Figure, float]:
                target = broker.target
                with ExitStack() as made:
                    runs = [(made.enter_context(suite.topic_for(target, load)), load)
                            for load in cases.MIXED]  # fmt: skip
                    os.sync()
                    both = [
                        threads.submit(suite.run_on, target, topic, load, self._set.timing)
                        for topic, load in runs
                    ]
                    return _of_both(*(run.result() for run in both))

            self._repeated(name, self._warm_pair(), way, cases.TO_SERVE_MANY)

    def end_to_end(self) -> None:
        """Apache Kafka's tool, and librdkafka."""
        brokers = self._warm_pair()
        number = self._set.messages
        ways: dict[str, Callable[[Broker], dict[Figure, float]]] = {
            "EndToEndLatency": lambda broker: end_to_end.of_the_tool(brokers[0], broker, number),
            "end to end, librdkafka": lambda broker: end_to_end.of_librdkafka(broker, number),
        }
        for name, way in ways.items():
            goals = {MEAN_MS: Goal(1 / 2), P999_MS: Goal(1 / 4)}
            self._repeated(name, brokers, way, goals)

    def second_opinion(self) -> None:
        """The main cases again, measured by another load generator."""
        if self._set.generator is None:
            self._set.say("no other load generator: left out")
            return
        brokers = self._warm_pair()
        for name, arguments, before in cases.SECOND_OPINION:
            self._other_generator(self._set.generator, brokers, name, arguments, before)

    # ---- with brokers of their own ----

    def flushed(self) -> None:
        """A flush before each answer: pylog's default, Apache Kafka made to."""
        brokers = (
            self._kafka(FLUSH_EACH), self._pylog(("log.durability=fsync",)),
            self._pylog(OS, PYLOG_OS),
        )  # fmt: skip
        with ExitStack() as running:
            _start(running, brokers)
            self._warm_up(brokers[:2])
            self._loads("flushed", brokers[:2], cases.FLUSHED)
            self._loads("flushed", brokers, [cases.FLUSHED_BATCHES])

    def starts(self) -> None:
        """From exec to the first answer, on a folder that exists; memory when idle."""
        brokers = (self._kafka(), self._pylog())

        def way(broker: Broker) -> dict[Figure, float]:
            seconds = broker.start()
            time.sleep(IDLE_S)
            memory = rss_mb(broker.target.pid)
            broker.stop()
            return {FIRST_ANSWER: seconds, IDLE_MEMORY: memory}

        goals = {FIRST_ANSWER: Goal(1 / 15), IDLE_MEMORY: Goal(1 / 8)}
        with _none_left(brokers):
            for broker in brokers:
                broker.start()
                broker.stop()
            self._repeated("start", brokers, way, goals, repeats=STARTS)

    def partitions(self) -> None:
        """Many partitions: created, restarted, restarted after a kill, memory. Once."""
        topics = [f"many-{index}" for index in range(self._set.partitions // TOPIC_PARTITIONS)]

        def way(broker: Broker) -> dict[Figure, float]:
            broker.start()
            found = {CREATED: _create(broker, topics)}
            found[MEMORY] = rss_mb(broker.target.pid)
            for figure, how in ((RESTARTED, SIGTERM), (RECOVERED, SIGKILL)):
                broker.stop(how)
                started = time.perf_counter()
                broker.start()
                await_served(broker, topics, TOPIC_PARTITIONS)
                found[figure] = time.perf_counter() - started
            broker.stop()
            return found

        name = f"{self._set.partitions:,} partitions"
        goals = dict.fromkeys((CREATED, MEMORY, RESTARTED, RECOVERED), Goal(1 / 5))
        brokers = (self._kafka(), self._pylog())
        with _none_left(brokers):
            self._repeated(name, brokers, way, goals, repeats=1)

    # ---- what they are made of ----

    def _folder(self, name: str) -> Path:
        self._folders += 1
        return self._set.folder / f"{self._folders}-{name.replace(' ', '-')}"

    def _kafka(self, settings: Sequence[str] = ()) -> Kafka:
        return Kafka(self._folder(KAFKA), self._set.kafka_script, settings)

    def _pylog(self, settings: Sequence[str] = OS, name: str = PYLOG) -> Pylog:
        return Pylog(self._folder(name), settings, name)

    def _warm_pair(self) -> tuple[Kafka, Pylog]:
        """Both with their default settings; they stay for the groups that follow."""
        if self._pair is None:
            pair = (self._kafka(), self._pylog())
            _start(self._running, pair)
            self._warm_up(pair)
            self._pair = pair
        return self._pair

    def _warm_up(self, brokers: Sequence[Broker]) -> None:
        """The JVM compiles what it runs often."""
        seconds = self._set.timing.measure_s
        for broker in brokers:
            for load in (
                Load(connections=16, depth=8, partitions=16),
                Load(mode=Mode.FETCH, connections=4, partitions=4),
            ):
                suite.measure(broker.target, load, suite.Timing(0, 2 * seconds, 1))

    def _loads(self, group: str, brokers: Sequence[Broker], found: Sequence[Case]) -> None:
        """A case that fails does not keep the others from being measured."""
        for case in found:
            try:
                result = self._load(brokers, case)
            except LoadError as error:
                self._findings.failures.append(f"{case.name} was not measured: {error}.")
                self._set.say(self._findings.failures[-1])
                continue
            self._findings.cases.append(result)
            self._findings.comparisons += of_load(result, case.goals, group)

    def _load(self, brokers: Sequence[Broker], case: Case) -> suite.CaseResult:
        with ExitStack() as running:
            targets = [broker.target for broker in brokers]
            if case.ceiling and self._set.generator is not None:
                mode = "fetch" if case.load.mode is Mode.FETCH else "produce"
                targets.append(running.enter_context(self._set.generator.sink(mode)))
            named = [(case.name, case.load)]
            (result,) = suite.run_suite(targets, named, self._set.timing, self._settle)
            return result

    def _settle(self, text: str) -> None:
        """No run pays for pages that the one before it has left to be written."""
        self._set.say(text)
        os.sync()

    def _repeated(
        self, case: str, brokers: Sequence[Broker], way: Callable[[Broker], dict[Figure, float]],
        goals: dict[Figure, Goal], repeats: int | None = None,
    ) -> None:  # fmt: skip
        """Figures by name, again and again; the order of the brokers turns round."""
        found: dict[Figure, dict[str, list[float]]] = {}
        for repeat in range(repeats or self._set.timing.repeats):
            for broker in brokers if repeat % 2 == 0 else reversed(brokers):
                self._set.say(f"{case}: {broker.name} {repeat + 1}")
                for figure, value in way(broker).items():
                    by_target = found.setdefault(figure, {one.name: [] for one in brokers})
                    by_target[broker.name].append(value)
        self._findings.comparisons += [
            Comparison(case, figure, values, goals.get(figure), case)
            for figure, values in found.items()
        ]

    def _other_generator(
        self, generator: Generator, brokers: Sequence[Broker], name: str,
        arguments: list[str], before: list[str],
    ) -> None:  # fmt: skip
        timing = self._set.timing
        clock = [f"-w{timing.warmup_s / 2:g}", f"-T{timing.measure_s:g}"]

        def way(broker: Broker) -> dict[str, float]:
            connections = next((int(one[2:]) for one in arguments if one.startswith("-P")), 1)
            with suite.topic_for(broker.target, Load(partitions=connections)) as topic:
                if before:
                    generator.run([*before, "-w0", "-T60"], broker.target, topic)
                return generator.run([*arguments, *clock], broker.target, topic)

        found: dict[str, list[dict[str, float]]] = {broker.name: [] for broker in brokers}
        for repeat in range(timing.repeats):
            for broker in brokers if repeat % 2 == 0 else reversed(brokers):
                self._set.say(f"second opinion, {name}: {broker.name} {repeat + 1}")
                found[broker.name].append(way(broker))
        for figure, field in OF_LOADGEN.items():
            values = {broker: [one[field] for one in runs] for broker, runs in found.items()}
            self._findings.comparisons.append(
                Comparison(name, figure, values, group="second opinion")
            )


def _start(running: ExitStack, brokers: Iterable[Broker]) -> None:
    for broker in brokers:
        running.callback(broker.kill)
        broker.start()


@contextmanager
def _none_left(brokers: Iterable[Broker]) -> Iterator[None]:
    with ExitStack() as running:
        for broker in brokers:
            running.callback(broker.kill)
        yield


def _of_both(produce: Measurement, fetch: Measurement) -> dict[Figure, float]:
    """A connection is starved when it is served less than others that ask at the same pace."""
    return {
        cases.PRODUCE_P99: produce.p99_us / 1000,
        cases.FETCH_P99: fetch.p99_us / 1000,
        LEAST_PRODUCER: produce.least_requests / max(1, produce.most_requests),
        LEAST_CONSUMER: fetch.least_requests / max(1, fetch.most_requests),
    }


def _create(broker: Broker, topics: Sequence[str]) -> float:
    admin = suite.admin_of("127.0.0.1", broker.port)
    wanted = [NewTopic(name, TOPIC_PARTITIONS, 1) for name in topics]
    started = time.perf_counter()
    for future in admin.create_topics(wanted, operation_timeout=120, request_timeout=120).values():
        future.result(120)
    await_served(broker, topics, TOPIC_PARTITIONS)
    return time.perf_counter() - started
