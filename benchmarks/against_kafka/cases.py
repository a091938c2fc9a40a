"""The loads that are compared, and what each is to show."""

from __future__ import annotations

from pylog.bench.load import Load, Mode

MEGABYTE = {"batch_records": 1000, "record_bytes": 1000}

DATA_PLANE: tuple[tuple[str, Load], ...] = (
    ("produce 1 x 100 B, 1 connection", Load()),
    ("produce 1 x 100 B, 16 connections", Load(connections=16, partitions=16)),
    ("produce 1 x 100 B, 16 x 8 in flight", Load(connections=16, depth=8, partitions=16)),
    (
        "produce 1 x 100 B, open loop 20,000/s on 16",
        Load(connections=16, depth=8, partitions=16, records_per_s=20_000),
    ),
    ("produce 100 x 100 B, 4 x 4", Load(connections=4, depth=4, partitions=4, batch_records=100)),
    ("produce 1 MB, 1 connection", Load(**MEGABYTE)),
    ("produce 1 MB, 4 connections", Load(connections=4, partitions=4, **MEGABYTE)),
    ("fetch 1 MB, 1 connection", Load(mode=Mode.FETCH, **MEGABYTE)),
    ("fetch 1 MB, 4 connections", Load(mode=Mode.FETCH, connections=4, partitions=4, **MEGABYTE)),
    ("fetch 1 record, 1 connection", Load(mode=Mode.FETCH, fetch_bytes=100)),
    (
        "fetch 1 record, 16 connections",
        Load(mode=Mode.FETCH, fetch_bytes=100, connections=16, partitions=16),
    ),
    (
        "end to end, 1,000/s",
        Load(mode=Mode.END_TO_END, records_per_s=1000, depth=5),
    ),
)

FLUSHED: tuple[tuple[str, Load], ...] = (
    ("flushed, 1 x 100 B, 16 connections, 1 partition", Load(connections=16)),
    ("flushed, 1 x 100 B, 16 connections", Load(connections=16, partitions=16)),
    (
        "flushed, 100 x 100 B, 16 connections",
        Load(connections=16, partitions=16, batch_records=100),
    ),
)

# What a table of ratios shows, by mode: column → field of a measurement.
RATIOS = {
    "requests/s": "requests_per_s",
    "p50": "p50_us",
    "p99": "p99_us",
    "p99.9": "p999_us",
    "CPU a request": "broker_cpu_us_per_request",
}
