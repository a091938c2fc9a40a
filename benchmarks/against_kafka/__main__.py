"""Measures pylog beside Apache Kafka and writes the table of ratios and the report.

    python -m benchmarks.against_kafka --out benchmarks/against_kafka/result

Both brokers run with data in the same folder, one of them idle while the other is measured, the
order turning round from repeat to repeat. Data plane figures are with `log.durability=os`, which
is what Apache Kafka does by default; those named "flushed" with pylog's own default, against
Apache Kafka with `flush.messages=1`.
"""

from __future__ import annotations

import json
import mmap
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Any

import click
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from benchmarks.against_kafka import cases
from benchmarks.against_kafka.brokers import Kafka, Pylog, rss_mb
from pylog.bench import suite
from pylog.bench.load import Load, Mode
from pylog.bench.report import write_report

Brokers = tuple[Kafka, Pylog]
Say = Callable[[str], None]
PARTITIONS = 5_000
STARTS = 3
MANY = tuple(f"many-{index}" for index in range(PARTITIONS // 100))


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Without suffix.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where both keep their data.")
@click.option("--kafka-script", type=click.Path(path_type=Path, exists=True))
@click.option("--seconds", type=float, default=3.0, show_default=True)
@click.option("--warmup", type=float, default=2.0, show_default=True)
@click.option("--repeats", type=int, default=5, show_default=True)
@click.option(
    "--touch-gb",
    type=float,
    default=8.0,
    show_default=True,
    help="Memory to fill and free first, so that page cache is not new to the host.",
)
@click.option("--only", help="Part of the names of the groups to run.")
def main(
    out: Path,
    folder: Path | None,
    kafka_script: Path | None,
    seconds: float,
    warmup: float,
    repeats: int,
    touch_gb: float,
    only: str | None,
) -> None:
    """Runs all groups and writes OUT.json, OUT.md and OUT.html."""
    timing = suite.Timing(warmup, seconds, repeats)
    say: Say = lambda text: click.echo(f"{time.strftime('%H:%M:%S')} {text}", err=True)  # noqa: E731
    touch_memory(touch_gb)
    with tempfile.TemporaryDirectory(dir=folder, prefix="against-kafka-") as base:
        bench = Bench(Path(base), kafka_script, timing, say)
        groups: dict[str, Callable[[], None]] = {
            "data plane": bench.data_plane,
            "start": bench.starts,
            "partitions": bench.partitions,
            "connections": bench.many_connections,
            "flushed": bench.flushed,
            "tool": bench.latency_tool,
        }
        for name, group in groups.items():
            if only is None or only in name:
                say(f"== {name}")
                group()
                write_results(bench, timing, touch_gb, out)  # a later group may fail


def write_results(bench: Bench, timing: suite.Timing, touch_gb: float, out: Path) -> None:
    """OUT.json, OUT.md and OUT.html of what was measured so far."""
    document = suite.document(
        bench.results,
        timing,
        command=shlex.join(["python", "-m", "benchmarks.against_kafka", *sys.argv[1:]]),
        tables={"Ratios": bench.ratio_table(), "Other figures": bench.other_table()},
        touched_gb=touch_gb,
    )
    out.with_suffix(".json").write_text(json.dumps(document, indent=1) + "\n")
    out.with_suffix(".md").write_text(markdown(document))
    write_report(document, out.with_suffix(".html"))


def touch_memory(gigabytes: float) -> None:
    """Fills and frees memory: what the guest touches for the first time costs a host fault."""
    size = int(gigabytes * 1e9)
    if size == 0:
        return
    with mmap.mmap(-1, size) as memory:
        for at in range(0, size, mmap.PAGESIZE):
            memory[at] = 1


class Bench:
    """The groups of figures; each starts the brokers that it needs."""

    def __init__(self, base: Path, script: Path | None, timing: suite.Timing, say: Say) -> None:
        self._base = base
        self._script = script
        self._timing = timing
        self._say = say
        self._count = 0
        self.results: list[suite.CaseResult] = []
        self.others: list[tuple[str, float, float, str]] = []  # name, Kafka, pylog, unit

    @contextmanager
    def _brokers(
        self, kafka: Sequence[str] = (), pylog: Sequence[str] = (), *, start: bool = True
    ) -> Iterator[Brokers]:
        self._count += 1
        folder = self._base / str(self._count)
        brokers = (
            Kafka(folder / "kafka", kafka, self._script),
            Pylog(folder / "pylog", ["log.durability=os", *pylog]),
        )
        if not start:
            yield brokers
            return
        for broker in brokers:
            broker.start()
        try:
            yield brokers
        finally:
            for broker in brokers:
                broker.stop()

    def _other(self, name: str, kafka: Sequence[float], pylog: Sequence[float], unit: str) -> None:
        self.others.append((name, statistics.median(kafka), statistics.median(pylog), unit))
        self._say(f"{name}: {kafka} / {pylog} {unit}")

    def starts(self) -> None:
        """From exec to the first answer, on an existing folder; memory two seconds later."""
        seconds: dict[str, list[float]] = {}
        memory: dict[str, list[float]] = {}
        with self._brokers(start=False) as brokers:
            for broker in brokers:
                broker.start()
                broker.stop()
                for _ in range(STARTS):
                    seconds.setdefault(broker.name, []).append(broker.start())
                    time.sleep(2)
                    memory.setdefault(broker.name, []).append(rss_mb(broker.target.pid))
                    broker.stop()
        self._other("start to first answer", *seconds.values(), "s")
        self._other("idle memory", *memory.values(), "MB")

    def partitions(self) -> None:
        """5,000 partitions: created, restarted, restarted after a kill, memory."""
        figures: dict[str, list[list[float]]] = {}
        with self._brokers(start=False) as brokers:
            for broker in brokers:
                broker.start()
                figures.setdefault("created", []).append([_create_partitions(broker)])
                figures.setdefault("memory", []).append([rss_mb(broker.target.pid)])
                for name, how in (("restarted", SIGTERM), ("restarted after a kill", SIGKILL)):
                    broker.stop(how)
                    started = time.perf_counter()
                    broker.start()
                    _await_served(broker)
                    figures.setdefault(name, []).append([time.perf_counter() - started])
                broker.stop()
        for name, (kafka, pylog) in figures.items():
            unit = "MB" if name == "memory" else "s"
            self._other(f"{PARTITIONS:,} partitions, {name}", kafka, pylog, unit)

    def data_plane(self) -> None:
        """The main table."""
        with self._brokers() as brokers:
            self._suite(brokers, cases.DATA_PLANE)

    def flushed(self) -> None:
        """A flush before each answer, both."""
        with self._brokers(["log.flush.interval.messages=1"], ["log.durability=fsync"]) as brokers:
            self._suite(brokers, cases.FLUSHED)

    def _suite(self, brokers: Brokers, loads: Sequence[tuple[str, Load]]) -> None:
        targets = [broker.target for broker in brokers]
        for target in targets:  # the JVM compiles what it runs often
            suite.measure(target, Load(connections=16, depth=8, partitions=16),
                          suite.Timing(0, 3 * self._timing.measure_s, 1))  # fmt: skip
        self.results += suite.run_suite(targets, loads, self._timing, self._say)

    def many_connections(self) -> None:
        """1,000 connections, half produce at a fixed rate, half fetch."""
        produce = Load(connections=500, partitions=50, depth=1, records_per_s=10_000)
        fetch = Load(mode=Mode.FETCH, connections=500, partitions=50, fetch_bytes=1000)
        p99: dict[str, list[float]] = {}
        with self._brokers() as brokers, ThreadPoolExecutor(2) as threads:
            for _ in range(self._timing.repeats):
                for broker in brokers:
                    runs = [
                        threads.submit(suite.measure, broker.target, load, self._timing)
                        for load in (produce, fetch)
                    ]
                    p99.setdefault(broker.name, []).append(runs[0].result().p99_us / 1000)
                    p99.setdefault(f"{broker.name} fetch", []).append(
                        runs[1].result().p99_us / 1000
                    )
        kafka, kafka_fetch, pylog, pylog_fetch = p99.values()
        self._other("1,000 connections, produce p99", kafka, pylog, "ms")
        self._other("1,000 connections, fetch p99", kafka_fetch, pylog_fetch, "ms")

    def latency_tool(self) -> None:
        """Kafka's own EndToEndLatency against both."""
        found: dict[str, dict[str, list[float]]] = {}
        with self._brokers() as brokers:
            kafka = brokers[0]
            for _ in range(min(3, self._timing.repeats)):
                for broker in brokers:
                    output = kafka.tool(
                        "org.apache.kafka.tools.EndToEndLatency",
                        f"127.0.0.1:{broker.port}", "end-to-end", "10000", "1", "100",
                    )  # fmt: skip
                    for name, value in _tool_figures(output).items():
                        found.setdefault(name, {}).setdefault(broker.name, []).append(value)
        for name, (kafka_values, pylog_values) in ((n, v.values()) for n, v in found.items()):
            self._other(f"EndToEndLatency {name}", kafka_values, pylog_values, "ms")

    def ratio_table(self) -> list[list[str]]:
        """A row for each case: Kafka's figure, pylog's, and their ratio."""
        rows = [["case", *(f"{name}: Kafka → pylog (ratio)" for name in cases.RATIOS)]]
        for result in self.results:
            kafka, pylog = (result.median(name) for name in (Kafka.name, Pylog.name))
            cells = []
            for figure in cases.RATIOS.values():
                pair = f"{kafka[figure]:,.1f} → {pylog[figure]:,.1f}"
                cells.append(f"{pair} ({ratio(pylog[figure], kafka[figure])})")
            rows.append([result.name, *cells])
        return rows

    def other_table(self) -> list[list[str]]:
        """A row for each figure that is no load."""
        rows = [["figure", "Apache Kafka", "pylog", "ratio"]]
        for name, kafka, pylog, unit in self.others:
            rows.append([name, f"{kafka:,.3g} {unit}", f"{pylog:,.3g} {unit}", ratio(pylog, kafka)])
        return rows


def ratio(pylog: float, kafka: float) -> str:
    """pylog's figure over Kafka's; a dash where Kafka's is zero (its tool rounds to 1 ms)."""
    return f"{pylog / kafka:.3f}" if kafka else "-"


def _admin(broker: Kafka | Pylog) -> AdminClient:
    return suite.admin_of("127.0.0.1", broker.port)


def _create_partitions(broker: Kafka | Pylog) -> float:
    admin = _admin(broker)
    topics = [NewTopic(name, 100, 1) for name in MANY]
    started = time.perf_counter()
    for future in admin.create_topics(topics, operation_timeout=120, request_timeout=120).values():
        future.result(120)
    _await_served(broker)
    return time.perf_counter() - started


def _await_served(broker: Kafka | Pylog) -> None:
    """Until every partition tells its end offset: only then it can be written and read."""
    admin = _admin(broker)
    waiting = {TopicPartition(topic, index) for topic in MANY for index in range(100)}
    while waiting:
        futures = admin.list_offsets(dict.fromkeys(waiting, OffsetSpec.latest()))
        waiting = {partition for partition, future in futures.items() if future.exception(120)}


def _tool_figures(output: str) -> dict[str, float]:
    """Mean and percentiles in ms from the last lines of Kafka's tool."""
    figures: dict[str, float] = {}
    for line in output.splitlines():
        if line.startswith("Avg latency"):
            figures["mean"] = float(line.split()[2])
        elif line.startswith("Percentiles"):
            for part in line.partition(":")[2].split(","):
                name, _, value = part.partition("=")
                figures[{"50th": "p50", "99th": "p99", "99.9th": "p99.9"}[name.strip()]] = float(
                    value
                )
    return figures


def markdown(document: dict[str, Any]) -> str:
    """The two tables, and what they were measured on."""
    machine = document["machine"]
    lines = [
        "<!-- Written by benchmarks/against_kafka; do not edit. -->",
        "",
        f"{machine['cores']} cores ({machine['processor']}), {machine['memory_gb']:g} GB, Linux "
        f"{machine['kernel']}, {document['measured_at']}. Medians of "
        f"{document['timing']['repeats']}; rates per second, latencies and CPU in microseconds.",
        "",
    ]
    for title, rows in document["tables"].items():
        lines += [f"### {title}", "", "| " + " | ".join(rows[0]) + " |"]
        lines.append("|" + "---|" * len(rows[0]))
        lines += ["| " + " | ".join(row) + " |" for row in rows[1:]] + [""]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
