"""The parts of the measurement; each starts the brokers that it needs, with empty folders."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL

from confluent_kafka.admin import (
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from benchmarks.against_kafka.brokers import Broker, Kafka, Pylog, await_served
from benchmarks.against_kafka.comparison import (
    KAFKA,
    P50,
    P99,
    PYLOG,
    PYLOG_OS,
    RATE,
    Comparison,
    Figure,
    Goal,
)
from benchmarks.durability import data
from pylog.bench import suite
from pylog.bench.load import Load, Measurement, Mode
from pylog.codec import Compression
from pylog.log.checkpoint import MalformedCheckpoint, read_begun_checkpoint

OS, FSYNC = ("log.durability=os",), ("log.durability=fsync",)
KAFKA_FLUSHED = f"{KAFKA} flushed"
PER_GB = Figure("seconds a GB", "s")
TO_SERVE = Figure("start to all partitions served", "s")
FIRST_ANSWER = Figure("start to first answer", "s")
COMPACTED = Figure("MB/s", "MB/s", True)
# No checkpoint in between: all of a log is scanned after a crash.
NO_CHECKPOINT = ("log.flush.offset.checkpoint.interval.ms=3600000",)
QUICK_CLEANER = (
    "log.cleaner.backoff.ms=50",
    "log.flush.offset.checkpoint.interval.ms=100",
    "log.retention.check.interval.ms=500",
)
KAFKAS_CLEANER = (*QUICK_CLEANER, "log.initial.task.delay.ms=0")
CLEANER_CHECKPOINT = "cleaner-offset-checkpoint"
COMPACT = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.0"}
KEEP = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
SEGMENT = 64_000_000
TIMEOUT_S = 300.0
FSYNC_CASES = (
    ("1 x 100 B, 16 connections, 1 partition", Load(connections=16)),
    ("1 x 100 B, 16 connections", Load(connections=16, partitions=16)),
    ("100 x 100 B, 16 connections", Load(connections=16, partitions=16, batch_records=100)),
)
PACED_WRITES = Load(connections=8, partitions=8, record_bytes=1000, records_per_s=1000, depth=4)
PACED_READS = Load(
    mode=Mode.FETCH, connections=8, partitions=8, record_bytes=1000, records_per_s=1000,
    fetch_bytes=10_000, depth=4,
)  # fmt: skip
PRODUCE_P99, FETCH_P99 = Figure("produce p99", "ms"), Figure("fetch p99", "ms")


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured; in 10^9 bytes and seconds."""

    killed_gb: float = 2.0
    many_gb: float = 20.0
    many_partitions: int = 1000
    compacted_gb: float = 0.5
    measure_s: float = 1.5
    repeats: int = 2  # of loads; brokers that are started for a figure are so once


USUAL = Sizes()


@dataclass(slots=True)
class Parts:
    """Each public method is a part and returns what it has found."""

    folder: Path
    kafka_script: Path
    sizes: Sizes
    say: Callable[[str], None]
    _folders: int = field(default=0)

    # ---- recovery ----

    def recovery_after_a_kill(self) -> list[Comparison]:
        """Logs of some large partitions; what a start takes without records is left out."""
        load = Load(
            connections=8, partitions=8, batch_records=1000, record_bytes=1000, depth=2,
            records_per_s=500_000, linger_ms=1000,
        )  # fmt: skip
        timing = suite.Timing(0, 2 * self.sizes.killed_gb, 1)

        def way(broker: Broker) -> dict[Figure, float]:
            broker.start()
            _create(broker, ["killed"], 8)
            broker.stop(SIGKILL)
            without, _ = _start_and_await(broker, ["killed"], 8)
            suite.run_on(broker.target, "killed", load, timing)
            broker.stop(SIGKILL)
            gigabytes = data.size_gb(_logs(broker, "killed"))
            with_records, _ = _start_and_await(broker, ["killed"], 8)
            broker.stop()
            per_gb = max(0.0, with_records - without) / gigabytes
            return {PER_GB: per_gb, TO_SERVE: with_records}

        brokers = self._kafka(NO_CHECKPOINT), self._pylog((*OS, *NO_CHECKPOINT))
        name = f"recovery after kill -9, {self.sizes.killed_gb:g} GB in 8 partitions"
        return self._one_by_one(name, brokers, way, {PER_GB: Goal(1 / 2)})

    def start_with_many_logs(self) -> list[Comparison]:
        """The same files for both, one after the other; none of them in the page cache."""
        count, gigabytes = self.sizes.many_partitions, self._room(self.sizes.many_gb)
        source = self.folder / "many"
        batch = data.plain_batch(100_000)
        for index in range(count):
            size = int(gigabytes * 1e9 / count)
            data.write_log(source / str(index), [batch], size, 1 << 30)

        def way(broker: Broker) -> dict[Figure, float]:
            broker.start()
            _create(broker, ["many"], count)
            broker.stop()
            logs = _logs(broker, "many")
            for log in logs:
                data.install(source / str(_partition(log)), log)
            data.forget_clean_end(_data_dir(broker))
            data.evict(logs)
            served, first = _start_and_await(broker, ["many"], count)
            broker.stop(SIGKILL)
            return {TO_SERVE: served, FIRST_ANSWER: first}

        brokers = self._kafka(), self._pylog(FSYNC)
        name = f"{gigabytes:.3g} GB in {count:,} partitions, unflushed, not in memory"
        goals = dict.fromkeys((TO_SERVE, FIRST_ANSWER), Goal(1 / 2))
        found = self._one_by_one(name, brokers, way, goals)
        shutil.rmtree(source)
        return found

    # ---- compaction ----

    def compaction(self) -> list[Comparison]:
        """From the change of the topic's policy to the checkpoint that says it is done."""
        found = []
        for compression in (Compression.NONE, Compression.LZ4):
            source = self._keyed_log(compression)
            megabytes = 1000 * data.size_gb([source])

            def way(
                broker: Broker, source: Path = source, megabytes: float = megabytes
            ) -> dict[Figure, float]:
                self._start_with(broker, "keyed", [source])
                started = time.perf_counter()
                _alter(broker, "keyed", COMPACT)
                _await_compacted(broker, "keyed", 1)
                taken = time.perf_counter() - started
                broker.stop()
                return {COMPACTED: megabytes / taken}

            name = f"compaction of {megabytes:.0f} MB, {compression.name.lower()}"
            found += self._one_by_one(name, self._cleaners(), way, {COMPACTED: Goal(3)})
            shutil.rmtree(source)
        return found

    def _cleaners(self) -> tuple[Broker, ...]:
        return self._kafka(KAFKAS_CLEANER), self._pylog((*FSYNC, *QUICK_CLEANER))

    def _keyed_log(self, compression: Compression) -> Path:
        """Each key comes about eight times; records of 200 B."""
        source = self.folder / "keyed"
        size = int(self.sizes.compacted_gb * 1e9)
        templates = data.keyed_batches(1000, size // 200 // 8, 200, compression)
        data.write_log(source, templates, size, SEGMENT)
        return source

    def _start_with(self, broker: Broker, topic: str, sources: Sequence[Path]) -> None:
        """The broker runs, and has a log for each source, which nobody compacts or deletes."""
        broker.start()
        _create(broker, [topic], len(sources), KEEP | {"segment.bytes": str(SEGMENT)})
        broker.stop()
        for log, source in zip(_logs(broker, topic), sources, strict=True):
            data.install(source, log)
        data.forget_clean_end(_data_dir(broker))
        _start_and_await(broker, [topic], len(sources))

    # ---- what others notice ----

    def impact(self) -> list[Comparison]:
        """Paced clients beside compaction and retention of another topic, and at rest."""
        source = self._keyed_log(Compression.NONE)
        copies = max(2, int(3 / self.sizes.compacted_gb))
        found = []
        for broker in (
            *self._cleaners(), self._pylog((*OS, *QUICK_CLEANER), PYLOG_OS),
        ):  # fmt: skip
            self.say(f"impact: {broker.name}")
            with _nothing_left(broker):
                self._start_with(broker, "keyed", [source] * copies)
                rest = self._paced(broker)
                _alter(broker, "keyed", COMPACT)
                compacting = self._paced(broker)
                compacted = _compacted(broker, "keyed")
                _alter(broker, "keyed", KEEP)
                _alter(broker, "keyed", {"retention.bytes": "1"})
                retention = self._paced(broker)
            self.say(f"impact: {broker.name}: {compacted} of {copies} logs compacted meanwhile")
            found += _impacts(broker.name, rest, {"compaction": compacting, "retention": retention})
        shutil.rmtree(source)
        return found

    def _paced(self, broker: Broker) -> dict[Figure, list[float]]:
        """Both loads at a time, `repeats` times."""
        timing = suite.Timing(0.3, self.sizes.measure_s, 1)
        found: dict[Figure, list[float]] = {PRODUCE_P99: [], FETCH_P99: []}
        with ThreadPoolExecutor(2) as threads:
            for _ in range(self.sizes.repeats):
                runs = [
                    threads.submit(suite.measure, broker.target, load, timing)
                    for load in (PACED_WRITES, PACED_READS)
                ]
                for figure, run in zip(found, runs, strict=True):
                    found[figure].append(run.result().p99_us / 1000)
        return found

    # ---- flushes ----

    def cost_of_flushes(self) -> list[Comparison]:
        """pylog with and without, Apache Kafka with and without."""
        brokers: tuple[Broker, ...] = (
            self._kafka(), self._kafka(("log.flush.interval.messages=1",)),
            self._pylog(FSYNC), self._pylog(OS, PYLOG_OS),
        )  # fmt: skip
        names = (KAFKA, KAFKA_FLUSHED, PYLOG, PYLOG_OS)
        timing = suite.Timing(0.5, self.sizes.measure_s, self.sizes.repeats)
        found = []
        with _running(brokers):
            targets = [
                suite.Target(name, "127.0.0.1", one.port, one.target.pid)
                for name, one in zip(names, brokers, strict=True)
            ]
            for result in suite.run_suite(targets, FSYNC_CASES, timing, self.say):
                for figure in (RATE, P50, P99):
                    values = {name: _values(runs, figure) for name, runs in result.runs.items()}
                    goal = Goal(2, KAFKA_FLUSHED) if figure == RATE else None
                    found.append(Comparison(result.name, figure, values, goal))
        return found

    # ---- what they are made of ----

    def _room(self, wanted_gb: float) -> float:
        """What the disk has room for, beside another copy and what else may come."""
        return min(wanted_gb, shutil.disk_usage(self.folder).free / 1e9 / 2)

    def _folder(self, name: str) -> Path:
        self._folders += 1
        return self.folder / f"{self._folders}-{name.replace(' ', '-')}"

    def _kafka(self, settings: Sequence[str] = ()) -> Kafka:
        return Kafka(self._folder(KAFKA), self.kafka_script, settings)

    def _pylog(self, settings: Sequence[str], name: str = PYLOG) -> Pylog:
        return Pylog(self._folder(name), settings, name)

    def _one_by_one(
        self,
        case: str,
        brokers: Sequence[Broker],
        way: Callable[[Broker], dict[Figure, float]],
        goals: dict[Figure, Goal],
    ) -> list[Comparison]:
        """The figures that a way gives, of one broker after the other."""
        found: dict[Figure, dict[str, list[float]]] = {}
        for broker in brokers:
            self.say(f"{case}: {broker.name}")
            with _nothing_left(broker):
                for figure, value in way(broker).items():
                    found.setdefault(figure, {})[broker.name] = [value]
        return [
            Comparison(case, figure, values, goals.get(figure)) for figure, values in found.items()
        ]


def _values(runs: Sequence[Measurement], figure: Figure) -> list[float]:
    return [getattr(run, figure.field) for run in runs]


def _impacts(
    name: str, rest: dict[Figure, list[float]], beside: dict[str, dict[Figure, list[float]]]
) -> list[Comparison]:
    at_rest = "at rest"
    return [
        Comparison(
            f"{name}, beside {what}", figure, {at_rest: rest[figure], PYLOG: values},
            Goal(1.5, at_rest) if name != KAFKA else None,
        )
        for what, found in beside.items()
        for figure, values in found.items()
    ]  # fmt: skip


@contextmanager
def _running(brokers: Sequence[Broker]) -> Iterator[None]:
    with ExitStack() as running:
        for broker in brokers:
            broker.start()
            running.callback(broker.stop)
        yield


def _data_dir(broker: Broker) -> Path:
    return broker.folder / "data"


def _logs(broker: Broker, topic: str) -> list[Path]:
    """The folders of a topic's logs by partition."""
    return sorted(_data_dir(broker).glob(f"{topic}-*"), key=_partition)


def _partition(log: Path) -> int:
    return int(log.name.rpartition("-")[2])


@contextmanager
def _nothing_left(broker: Broker) -> Iterator[None]:
    """Of the broker, whatever happens: no process, no file."""
    try:
        yield
    finally:
        broker.kill()
        shutil.rmtree(broker.folder, ignore_errors=True)


def _create(
    broker: Broker, topics: Sequence[str], partitions: int, config: dict[str, str] | None = None
) -> None:
    admin = suite.admin_of("127.0.0.1", broker.port)
    wanted = [NewTopic(name, partitions, 1, config=config or {}) for name in topics]
    for future in admin.create_topics(wanted, operation_timeout=120, request_timeout=120).values():
        future.result(120)
    await_served(broker, topics, partitions)


def _start_and_await(broker: Broker, topics: Sequence[str], partitions: int) -> tuple[float, float]:
    """Seconds to all partitions served, and to the first answer."""
    started = time.perf_counter()
    first = broker.start()
    await_served(broker, topics, partitions)
    return time.perf_counter() - started, first


def _alter(broker: Broker, topic: str, settings: dict[str, str]) -> None:
    entries = [
        ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        for name, value in settings.items()
    ]
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    admin = suite.admin_of("127.0.0.1", broker.port)
    admin.incremental_alter_configs([resource])[resource].result(60)


def _compacted(broker: Broker, topic: str) -> int:
    """Logs of a topic of which all but the active segment is compacted."""
    try:
        checkpoint = read_begun_checkpoint(_data_dir(broker) / CLEANER_CHECKPOINT)
    except MalformedCheckpoint:
        return 0
    ends = {log: int(sorted(log.glob("*.log"))[-1].stem) for log in _logs(broker, topic)}
    return sum(checkpoint.get((topic, _partition(log))) == end for log, end in ends.items())


def _await_compacted(broker: Broker, topic: str, partitions: int) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while _compacted(broker, topic) < partitions:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{broker.name} has not compacted {topic}")
        time.sleep(0.005)
