"""The Python face of the native load generator: the only importer of ``pylog._bench``.

What each mode does, and what its latencies mean, is said in ``src/native/bench/load.h``.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any

from pylog._bench import ffi as ffi  # also for pylog.bench.pieces
from pylog._bench import lib as lib
from pylog.protocol.error_codes import ErrorCode


class Mode(IntEnum):
    """What the connections of a load do."""

    PRODUCE = 0
    FETCH = 1
    END_TO_END = 2


class Compression(IntEnum):
    """Kafka's attribute bits."""

    NONE = 0
    GZIP = 1
    SNAPPY = 2
    LZ4 = 3
    ZSTD = 4


@dataclass(frozen=True, slots=True)
class Load:
    """One case: everything that decides what the broker is asked to do."""

    mode: Mode = Mode.PRODUCE
    connections: int = 1
    depth: int = 1  # requests in flight of a connection
    batch_records: int = 1
    record_bytes: int = 100
    compression: Compression = Compression.NONE
    acks: int = 1  # 1 or -1
    partitions: int = 1
    fetch_bytes: int = 1 << 20
    records_per_s: float = 0.0  # of all connections; 0: closed loop
    linger_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one run of a load gave. Latencies in microseconds; CPU of all the broker's threads."""

    requests_per_s: float
    records_per_s: float
    payload_mb_per_s: float  # 10^6 bytes of values
    wire_mb_per_s: float  # 10^6 bytes of requests and answers
    mean_us: float
    p50_us: float
    p90_us: float
    p99_us: float
    p999_us: float
    max_us: float
    broker_cpu_us_per_request: float
    broker_cpu_s_per_gb: float  # 10^9 bytes of values
    broker_cpu_s_per_mrecords: float
    broker_rss_mb: float
    own_cpu_s_per_s: float  # of the generator: near 1 it is what was measured
    least_requests: int  # of one connection
    most_requests: int
    behind_records: int  # open loop: due but not sent when the time was over
    seconds: float


class LoadError(Exception):
    """The load could not be carried out; `code` is Kafka's error code where an answer had one."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def run(
    host: str,
    port: int,
    topic: str,
    load: Load,
    *,
    warmup_s: float,
    measure_s: float,
    broker_pid: int = 0,
    raw: bool = False,
) -> Measurement:
    """Blocks for warm-up and measured time, without the GIL. Raises LoadError.

    `raw`: nobody understands the requests there, each is answered with its correlation id.
    """
    options = ffi.new("struct pl_load_options *", asdict(load) | {"mode": int(load.mode)})
    keep_alive = (ffi.new("char[]", host.encode()), ffi.new("char[]", topic.encode()))
    options.host, options.topic = keep_alive
    options.port = port
    options.warmup_s = warmup_s
    options.measure_s = measure_s
    options.broker_pid = broker_pid
    options.raw = raw
    result = ffi.new("struct pl_load_result *")
    if lib.pl_load_run(options, result) != 0:
        raise _error(ffi.string(result.error).decode(errors="replace"), result.error_code)
    return _measurement(result)


def _error(message: str, code: int) -> LoadError:
    known = code in ErrorCode.__members__.values()
    return LoadError(f"{message}, {ErrorCode(code).name}" if code and known else message, code)


def cpu_s(pid: int) -> float:
    """User and system time of a process of this machine so far; 0 when it is unknown."""
    return float(lib.pl_process_cpu_s(pid))


def _measurement(result: Any) -> Measurement:
    seconds = max(result.seconds, 1e-9)
    cpu_s = result.broker_cpu_s
    return Measurement(
        requests_per_s=result.requests / seconds,
        records_per_s=result.records / seconds,
        payload_mb_per_s=result.payload_bytes / seconds / 1e6,
        wire_mb_per_s=result.wire_bytes / seconds / 1e6,
        mean_us=result.mean_ns / 1e3,
        p50_us=result.p50_ns / 1e3,
        p90_us=result.p90_ns / 1e3,
        p99_us=result.p99_ns / 1e3,
        p999_us=result.p999_ns / 1e3,
        max_us=result.max_ns / 1e3,
        broker_cpu_us_per_request=1e6 * cpu_s / max(1, result.requests),
        broker_cpu_s_per_gb=1e9 * cpu_s / max(1, result.payload_bytes),
        broker_cpu_s_per_mrecords=1e6 * cpu_s / max(1, result.records),
        broker_rss_mb=result.broker_rss_bytes / 1e6,
        own_cpu_s_per_s=result.own_cpu_s / seconds,
        least_requests=result.least_requests,
        most_requests=result.most_requests,
        behind_records=result.behind_records,
        seconds=result.seconds,
    )
