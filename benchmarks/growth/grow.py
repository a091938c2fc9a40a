"""The numbers that grow: partitions, connections, segments, bytes."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from benchmarks.against_kafka.brokers import Pylog, rss_mb
from benchmarks.growth.look_ups import LookUps, places
from benchmarks.growth.series import Growth
from benchmarks.results import say
from pylog.bench import suite
from pylog.bench.load import Load, Measurement, Mode, cpu_s

TOPIC = "grows"
IDLE_S = 1.0
ONE_RECORD = Load(mode=Mode.FETCH, connections=16, partitions=16, fetch_bytes=100)
# Batches of 10 KB, small enough that what a look-up costs is more than what it carries.
FILL = Load(depth=16, batch_records=10, record_bytes=1000)
# So few that look-ups hardly meet what it writes.
APPEND = Load(depth=4, records_per_s=5000)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How far each number grows."""

    folder: Path | None
    timing: suite.Timing
    partitions: Sequence[int]
    connections: Sequence[int]
    segments: Sequence[int]
    gigabytes: Sequence[float]
    look_ups: int


@contextmanager
def broker(folder: Path | None, *settings: str) -> Iterator[tuple[Pylog, AdminClient]]:
    """A broker on an empty folder; `os` durability, so that the disk is not what is measured."""
    with tempfile.TemporaryDirectory(dir=folder, prefix="growth-") as base:
        process = Pylog(Path(base), ["log.durability=os", *settings])
        process.start()
        try:
            yield process, suite.admin_of("127.0.0.1", process.port)
        finally:
            process.stop()


def create(admin: AdminClient, topics: list[NewTopic]) -> None:
    """Creates them all in one request."""
    for future in admin.create_topics(topics, request_timeout=120).values():
        future.result(120)


def measured(process: Pylog, load: Load, timing: suite.Timing) -> list[Measurement]:
    return [suite.run_on(process.target, TOPIC, load, timing) for _ in range(timing.repeats)]


def partitions(sizes: Sizes, found: list[Growth]) -> None:
    """One topic grows; every one of its partitions is written to in turn."""
    of = "partitions"
    produce_cpu = Growth("produce 1 x 100 B to each in turn, CPU", of, "µs")
    produce_p50 = Growth("produce 1 x 100 B to each in turn, p50", of, "µs")
    fetch_cpu = Growth("fetch 1 record of 16 of them, CPU", of, "µs")
    add = Growth("add a partition", of, "ms")
    idle = Growth("idle broker, CPU a second", of, "ms", judged=False)
    memory = Growth("memory", of, "MB", judged=False)
    found += [produce_cpu, produce_p50, fetch_cpu, add, idle, memory]
    with broker(sizes.folder) as (process, admin):
        create(admin, [NewTopic(TOPIC, 1, 1)])
        before = 1
        for count in sizes.partitions:
            say(f"{count:,} partitions")
            if count > before:
                add.add(count, [_add_partitions(admin, count) / (count - before)])
                before = count
            idle.add(count, [_idle_ms(process)])
            load = Load(connections=16, partitions=count)
            measured(process, load, replace(sizes.timing, repeats=1))  # the first touch of each
            runs = measured(process, load, sizes.timing)
            produce_cpu.add(count, [run.broker_cpu_us_per_request for run in runs])
            produce_p50.add(count, [run.p50_us for run in runs])
            if count >= ONE_RECORD.partitions:
                runs = measured(process, ONE_RECORD, sizes.timing)
                fetch_cpu.add(count, [run.broker_cpu_us_per_request for run in runs])
            memory.add(count, [rss_mb(process.target.pid)])


def _add_partitions(admin: AdminClient, count: int) -> float:
    """Milliseconds until the topic has so many."""
    started = time.perf_counter()
    wanted = [NewPartitions(TOPIC, count)]
    admin.create_partitions(wanted, request_timeout=120)[TOPIC].result(120)
    return (time.perf_counter() - started) * 1000


def _idle_ms(process: Pylog) -> float:
    """CPU a second of a broker that nobody asks anything."""
    before = cpu_s(process.target.pid)
    time.sleep(IDLE_S)
    return (cpu_s(process.target.pid) - before) * 1000 / IDLE_S


def connections(sizes: Sizes, found: list[Growth]) -> None:
    """The same rate of requests over more and more connections."""
    of, what = "connections", "produce 10,000/s in an open loop"
    figures: dict[Growth, Callable[[Measurement], float]] = {
        (cpu := Growth(f"{what}, CPU", of, "µs")): lambda run: run.broker_cpu_us_per_request,
        (p50 := Growth(f"{what}, p50", of, "µs")): lambda run: run.p50_us,
        (p99 := Growth(f"{what}, p99", of, "µs", judged=False)): lambda run: run.p99_us,
    }
    found += [cpu, p50, p99]
    with broker(sizes.folder) as (process, admin):
        create(admin, [NewTopic(TOPIC, 16, 1)])
        for count in sizes.connections:
            say(f"{count:,} connections")
            load = Load(connections=count, partitions=16, records_per_s=10_000, depth=4)
            runs = measured(process, load, sizes.timing)
            for growth, figure in figures.items():
                growth.add(count, [figure(run) for run in runs])


class LookUpCosts:
    """By offset and by time, against one number."""

    def __init__(self, of: str) -> None:
        self.by_offset = Growth("fetch by offset, p50", of, "µs")
        self.by_offset_cpu = Growth("fetch by offset, CPU", of, "µs")
        self.by_time = Growth("look-up by time, p50", of, "µs")
        self.by_time_cpu = Growth("look-up by time, CPU", of, "µs")

    def all(self) -> list[Growth]:
        return [self.by_offset, self.by_offset_cpu, self.by_time, self.by_time_cpu]

    def measure(self, x: float, process: Pylog, sizes: Sizes, from_ms: int) -> None:
        """`from_ms`: when the first record was written."""
        until_ms = int(time.time() * 1000) - 1000
        with closing(LookUps(process.target, TOPIC)) as connection:
            offsets = places(0, connection.end_offset(), sizes.look_ups)
            times = places(from_ms, max(until_ms, from_ms + 1), sizes.look_ups)
            repeats = range(sizes.timing.repeats)
            by_offset = [connection.by_offset(offsets) for _ in repeats]
            by_time = [connection.by_time(times) for _ in repeats]
        self.by_offset.add(x, [p50 for p50, _ in by_offset])
        self.by_offset_cpu.add(x, [cpu for _, cpu in by_offset])
        self.by_time.add(x, [p50 for p50, _ in by_time])
        self.by_time_cpu.add(x, [cpu for _, cpu in by_time])


def segments(sizes: Sizes, found: list[Growth]) -> None:
    """Look-ups in a log of the first size that is cut into more and more segments."""
    costs = LookUpCosts("segments")
    found += costs.all()
    gigabytes = sizes.gigabytes[0]
    for count in sizes.segments:
        say(f"{count:,} segments")
        with broker(sizes.folder) as (process, admin):
            _create_log(admin, int(gigabytes * 1e9 / count) + (1 << 16))
            from_ms = int(time.time() * 1000)
            fill(process, gigabytes)
            costs.measure(count, process, sizes, from_ms)


def log_size(sizes: Sizes, found: list[Growth]) -> None:
    """Look-ups in a log that grows, in segments of 1 GiB; and what an append to it costs."""
    of = "records of 1,000 B"
    costs = LookUpCosts(of)
    append = Growth("produce 1 x 100 B, 5,000/s, CPU", of, "µs")
    found += [*costs.all(), append]
    with broker(sizes.folder) as (process, admin):
        _create_log(admin, 1 << 30)
        from_ms = int(time.time() * 1000)
        written = 0.0
        for gigabytes in sizes.gigabytes:
            say(f"a log of {gigabytes:g} GB")
            fill(process, gigabytes - written)
            written = gigabytes
            costs.measure(gigabytes * 1e6, process, sizes, from_ms)
            runs = measured(process, APPEND, sizes.timing)
            append.add(gigabytes * 1e6, [run.broker_cpu_us_per_request for run in runs])


def _create_log(admin: AdminClient, segment_bytes: int) -> None:
    """Records get the time of their append, so that there is one for every look-up by time."""
    config = {
        "segment.bytes": str(segment_bytes),
        "retention.ms": "-1",
        "message.timestamp.type": "LogAppendTime",
    }
    create(admin, [NewTopic(TOPIC, 1, 1, config=config)])


def fill(process: Pylog, gigabytes: float) -> None:
    """Writes until the partition has so much more."""
    left = gigabytes * 1e9
    timing = suite.Timing(0, 1.0 if gigabytes > 1 else 0.1, 1)
    while left > 0:
        one = suite.run_on(process.target, TOPIC, FILL, timing)
        left -= one.payload_mb_per_s * one.seconds * 1e6
