"""Measures how cost grows, and that produce does not slow down while Python works.

    python -m benchmarks.growth --out benchmarks/growth/result

Writes OUT.json and OUT.md. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from benchmarks.against_kafka.brokers import Pylog
from benchmarks.growth.members import connect_members, rebalance
from pylog.bench import suite
from pylog.bench.load import Load, Measurement, Mode, run

TIMING = suite.Timing(warmup_s=0.5, measure_s=2.0, repeats=3)
STEADY = Load(connections=16, partitions=16, records_per_s=10_000, depth=4)
LOOK_UPS = 300
Row = tuple[str, str, str]


@contextmanager
def broker(*settings: str) -> Iterator[tuple[Pylog, AdminClient]]:
    """A broker on an empty folder; `os` durability, so that the disk is not what is measured."""
    with tempfile.TemporaryDirectory(prefix="growth-") as folder:
        process = Pylog(Path(folder), ["log.durability=os", *settings])
        process.start()
        try:
            yield process, suite.admin_of("127.0.0.1", process.port)
        finally:
            process.stop()


def create(admin: AdminClient, topics: list[NewTopic]) -> None:
    """Creates them all in one request."""
    for future in admin.create_topics(topics, request_timeout=120).values():
        future.result(120)


def measured(process: Pylog, topic: str, load: Load) -> Measurement:
    """The run with the median CPU of TIMING.repeats."""
    target = process.target
    runs = [
        run(target.host, target.port, topic, load, warmup_s=TIMING.warmup_s,
            measure_s=TIMING.measure_s, broker_pid=target.pid)
        for _ in range(TIMING.repeats)
    ]  # fmt: skip
    return sorted(runs, key=lambda one: one.broker_cpu_us_per_request)[len(runs) // 2]


def cost(one: Measurement) -> str:
    """CPU and median latency of one request."""
    return f"{one.broker_cpu_us_per_request:.1f} µs CPU, p50 {one.p50_us:.0f} µs"


def partitions() -> list[Row]:
    """A produce request to one of 1 … 5,000 partitions."""
    rows = []
    for count in (1, 100, 1000, 5000):
        with broker() as (process, admin):
            create(admin, [NewTopic("t", count, 1)])
            load = Load(connections=16, partitions=count, depth=1)
            rows.append(("produce, partitions", f"{count:,}", cost(measured(process, "t", load))))
    return rows


def connections() -> list[Row]:
    """Produce requests at one rate over 1 … 5,000 connections, and a fetch of each."""
    rows = []
    with broker() as (process, admin):
        create(admin, [NewTopic("t", 16, 1)])
        for count in (1, 100, 1000, 5000):
            load = Load(connections=count, partitions=16, records_per_s=10_000, depth=4)
            one = measured(process, "t", load)
            text = f"{cost(one)}, p99 {one.p99_us:.0f} µs"
            rows.append(("produce 10,000/s, connections", f"{count:,}", text))
    return rows


def look_ups(admin: AdminClient, process: Pylog, size_gb: float) -> str:
    """Medians of fetches of one record and of look-ups by time, spread over the log."""
    place = TopicPartition("t", 0)
    end = admin.list_offsets({place: OffsetSpec.latest()})[place].result(60).offset
    one = run("127.0.0.1", process.port, "t", Load(mode=Mode.FETCH, fetch_bytes=100),
              warmup_s=0.2, measure_s=1.0)  # fmt: skip
    now_ms = int(time.time() * 1000)
    times_us = []
    for index in range(LOOK_UPS):
        spec = OffsetSpec.for_timestamp(now_ms - index * 100)
        started = time.perf_counter()
        admin.list_offsets({place: spec})[place].result(60)
        times_us.append((time.perf_counter() - started) * 1e6)
    return (
        f"{size_gb:g} GB, {end:,} records: fetch by offset p50 {one.p50_us:.0f} µs, "
        f"by time p50 {statistics.median(times_us):.0f} µs (with the client)"
    )


def log_size(size_gb: float) -> list[Row]:
    """Look-ups in logs of 1 GB and of `size_gb`, and in many small segments."""
    rows = []
    cases = (("log size", 1.0, 1 << 30), ("log size", size_gb, 1 << 30), ("segments", 1.0, 1 << 20))
    for name, gigabytes, segment_bytes in cases:
        with broker() as (process, admin):
            config = {"segment.bytes": str(segment_bytes), "retention.ms": "-1"}
            create(admin, [NewTopic("t", 1, 1, config=config)])
            fill(process, gigabytes)
            text = look_ups(admin, process, gigabytes)
            rows.append((name, f"segments of {segment_bytes >> 20:,} MiB", text))
    return rows


def fill(process: Pylog, gigabytes: float) -> None:
    """Batches of 100 records of 1,000 B until the partition holds so much."""
    load = Load(connections=1, depth=8, batch_records=100, record_bytes=1000)
    written = 0.0
    while written < gigabytes * 1e9:
        one = run("127.0.0.1", process.port, "t", load, warmup_s=0, measure_s=1.0)
        written += one.payload_mb_per_s * one.seconds * 1e6


def p99_ms(process: Pylog, disturb: Callable[[], None] | None) -> tuple[float, float]:
    """p99 and p99.9 of a steady produce, while `disturb` runs again and again beside it."""
    stop = threading.Event()

    def again() -> None:
        while disturb and not stop.is_set():
            disturb()

    beside = threading.Thread(target=again)
    beside.start()
    try:
        target = process.target
        one = run(target.host, target.port, "steady", STEADY, warmup_s=1.0, measure_s=8.0)
    finally:
        stop.set()
        beside.join()
    return one.p99_us / 1000, one.p999_us / 1000


def disturbances() -> list[Row]:
    """A steady produce alone, beside a rebalancing group, and beside new topics."""
    with broker("group.initial.rebalance.delay.ms=0") as (process, admin):
        create(admin, [NewTopic("steady", 16, 1)])
        loop = asyncio.new_event_loop()
        members = loop.run_until_complete(connect_members(process.port, "big", 1000))
        seconds: list[float] = []
        serial = iter(range(1_000_000))

        def rebalanced() -> None:
            seconds.append(loop.run_until_complete(rebalance(members)))

        def topics() -> None:
            create(admin, [NewTopic(f"new-{next(serial)}", 100, 1) for _ in range(50)])

        rows = []
        for name, disturb in (
            ("nothing", None),
            ("1,000 members rebalance", rebalanced),
            ("5,000 partitions are created", topics),
        ):
            p99, p999 = p99_ms(process, disturb)
            rows.append(("produce 10,000/s while", name, f"p99 {p99:.2f} ms, p99.9 {p999:.2f} ms"))
        rows.append(("rebalance of 1,000 members", "seconds", f"{statistics.median(seconds):.2f}"))
        for member in members:
            member.writer.close()
    return rows


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Without suffix.")
@click.option("--size-gb", type=float, default=20.0, show_default=True)
@click.option("--only", help="Part of the names of the groups to run.")
def main(out: Path, size_gb: float, only: str | None) -> None:
    """Runs all groups and writes OUT.json and OUT.md."""
    groups: dict[str, Callable[[], list[Row]]] = {
        "partitions": partitions,
        "connections": connections,
        "disturbances": disturbances,
        "log size": lambda: log_size(size_gb),
    }
    rows: list[Row] = []
    for name, group in groups.items():
        if only is None or only in name:
            found = group()
            rows += found
            for row in found:
                click.echo(" | ".join(row), err=True)
    document: dict[str, Any] = {"machine": suite.machine(), "rows": rows}
    out.with_suffix(".json").write_text(json.dumps(document, indent=1) + "\n")
    lines = ["<!-- Written by benchmarks/growth; do not edit. -->", "", "| what | of | cost |"]
    lines += ["|---|---|---|", *("| " + " | ".join(row) + " |" for row in rows), ""]
    out.with_suffix(".md").write_text("\n".join(lines))


if __name__ == "__main__":
    main()
