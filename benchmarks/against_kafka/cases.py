"""The loads that are compared, and what is to be reached in each."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from benchmarks.against_kafka.comparison import (
    CPU,
    CPU_GB,
    MEGABYTES,
    P50,
    P99,
    P999,
    PYLOG_OS,
    RATE,
    SINK,
    Figure,
    Goal,
)
from pylog.bench.load import Load, Mode


@dataclass(frozen=True, slots=True)
class Case:
    """A load; `ceiling`: also against a server that stores nothing."""

    name: str
    load: Load
    goals: dict[Figure, Goal] = field(default_factory=dict)
    ceiling: bool = False


WRITE_MB = Load(batch_records=1000, record_bytes=1000)
READ_MB = replace(WRITE_MB, mode=Mode.FETCH)
ONE_RECORD = Load(mode=Mode.FETCH, fetch_bytes=100)
TO_WRITE = {MEGABYTES: Goal(1.5), CPU_GB: Goal(0.6)}
TO_READ = {MEGABYTES: Goal(1.0), CPU_GB: Goal(1.0)}

LARGE: tuple[Case, ...] = (
    Case("produce 1 MB, 1 connection", WRITE_MB, TO_WRITE, ceiling=True),
    Case("produce 1 MB, 4 connections", replace(WRITE_MB, connections=4, partitions=4), TO_WRITE),
)

DATA_PLANE: tuple[Case, ...] = (
    Case(
        "produce 1 x 100 B, 1 connection",
        Load(),
        {P50: Goal(1.1, SINK), P999: Goal(1 / 2), CPU: Goal(0.6)},
        ceiling=True,
    ),
    Case(
        "produce 1 x 100 B, 16 connections",
        Load(connections=16, partitions=16),
        {RATE: Goal(2.5), CPU: Goal(0.3)},
        ceiling=True,
    ),
    Case(
        "produce 1 x 100 B, 16 x 8 in flight",
        Load(connections=16, depth=8, partitions=16),
        {RATE: Goal(6), CPU: Goal(1 / 8)},
        ceiling=True,
    ),
    Case(
        "produce 1 x 100 B, open loop 20,000/s on 16",
        Load(connections=16, depth=8, partitions=16, records_per_s=20_000),
        {P99: Goal(1 / 4), P999: Goal(1 / 4), CPU: Goal(1 / 3)},
    ),
    Case(
        "produce 100 x 100 B, 4 x 4 in flight",
        Load(connections=4, depth=4, partitions=4, batch_records=100),
        {RATE: Goal(3), CPU: Goal(1 / 5)},
    ),
    *LARGE,
    Case("fetch 1 MB, 1 connection", READ_MB, TO_READ),
    Case(
        "fetch 1 MB, 4 connections",
        replace(READ_MB, connections=4, partitions=4),
        TO_READ,
    ),
    Case(
        "fetch 1 record, 1 connection",
        ONE_RECORD,
        {P50: Goal(1.15, SINK), CPU: Goal(0.6)},
        ceiling=True,
    ),
    Case(
        "fetch 1 record, 16 connections",
        replace(ONE_RECORD, connections=16, partitions=16),
        {RATE: Goal(3), CPU: Goal(1 / 4)},
        ceiling=True,
    ),
    Case(
        "end to end, 1,000 records/s, native clients",
        Load(mode=Mode.END_TO_END, records_per_s=1000),
    ),
)

SWEEP: tuple[Case, ...] = tuple(
    Case(
        f"sweep, batch of {records:,} x 100 B, 4 x 4 in flight",
        Load(connections=4, depth=4, partitions=4, batch_records=records),
    )
    for records in (1, 10, 100, 1000, 5000)
)

FLUSHED: tuple[Case, ...] = (
    Case("flushed, 1 x 100 B, 16 connections, 1 partition", Load(connections=16)),
    Case(
        "flushed, 1 x 100 B, 16 connections",
        Load(connections=16, partitions=16),
        {RATE: Goal(4), P99: Goal(1 / 3)},
    ),
)
# The last is also run against pylog without flushes.
FLUSHED_BATCHES = Case(
    "flushed, 100 x 100 B, 16 connections",
    Load(connections=16, partitions=16, batch_records=100),
    {RATE: Goal(1 / 2, PYLOG_OS)},
)

MANY_CONNECTIONS = 1000
PRODUCE_P99, FETCH_P99 = Figure("produce p99", "ms"), Figure("fetch p99", "ms")
TO_SERVE_MANY = {PRODUCE_P99: Goal(1 / 4), FETCH_P99: Goal(1 / 4)}
MIXED: tuple[Load, Load] = (
    Load(connections=MANY_CONNECTIONS // 2, partitions=50, records_per_s=5000),
    Load(
        mode=Mode.FETCH,
        connections=MANY_CONNECTIONS // 2,
        partitions=50,
        fetch_bytes=1000,
        records_per_s=5000,
    ),
)

# The load generator of the peers folder: arguments, data written first.
SECOND_OPINION: tuple[tuple[str, list[str], list[str]], ...] = (
    ("produce 1 x 100 B, 1 connection", ["produce"], []),
    ("produce 1 x 100 B, 16 connections", ["produce", "-c16", "-P16"], []),
    ("produce 1 x 100 B, 16 x 8 in flight", ["produce", "-c16", "-P16", "-d8"], []),
    (
        "produce 1 x 100 B, open loop 20,000/s on 16",
        ["produce", "-c16", "-P16", "-d8", "-r20000"],
        [],
    ),
    ("produce 100 x 100 B, 4 x 4 in flight", ["produce", "-c4", "-P4", "-d4", "-k100"], []),
    ("produce 1 MB, 4 connections", ["produce", "-c4", "-P4", "-k1000", "-s1000"], []),
    (
        "fetch 1 MB, 4 connections",
        ["fetch", "-c4", "-P4"],
        ["produce", "-c4", "-P4", "-k1000", "-s1000", "-n200"],
    ),
    (
        "fetch 1 record, 16 connections",
        ["fetch", "-c16", "-P16", "-b100"],
        ["produce", "-c16", "-P16", "-n20000"],
    ),
)
