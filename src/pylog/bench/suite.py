"""A suite: cases by targets by repeats, alternating between the targets within each repeat."""

from __future__ import annotations

import itertools
import os
import platform
import socket
import statistics
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from pylog.bench.load import Compression, Load, LoadError, Measurement, Mode, run

TIMEOUT_S = 60.0
CONNECT_TIMEOUT_S = 5.0
PREFILL_S = 0.5
PREFILL_BYTES, PREFILL_BATCHES = 256_000_000, 10_000
RESULT_FORMAT = 1
# Setting → what a case with it is called.
IN_WORDS = {
    "mode": "{}",
    "connections": "{} connections",
    "depth": "{} in flight",
    "batch_records": "batch {}",
    "record_bytes": "{} B",
    "compression": "{}",
    "acks": "acks {}",
    "partitions": "{} partitions",
    "fetch_bytes": "fetch {} B",
    "records_per_s": "{:g}/s",
    "linger_ms": "linger {:g} ms",
}
# UNKNOWN_TOPIC_OR_PARTITION, LEADER_NOT_AVAILABLE, NOT_LEADER_OR_FOLLOWER
NOT_YET = (3, 5, 6)


@dataclass(frozen=True, slots=True)
class Target:
    """A broker to measure; without `pid` its CPU and memory stay unknown.

    `raw`: a server that answers every frame and stores nothing, the ceiling.
    """

    name: str
    host: str
    port: int
    pid: int = 0
    raw: bool = False


@dataclass(slots=True)
class CaseResult:
    """All repeats of one case, by target name."""

    name: str
    load: Load
    runs: dict[str, list[Measurement]] = field(default_factory=dict)

    def median(self, target: str) -> dict[str, float]:
        """The median of each figure."""
        return {
            figure.name: statistics.median(getattr(run, figure.name) for run in self.runs[target])
            for figure in fields(Measurement)
        }

    def spread(self, target: str) -> dict[str, tuple[float, float]]:
        """Least and greatest of each figure."""
        return {
            figure.name: (min(values), max(values))
            for figure in fields(Measurement)
            if (values := [getattr(run, figure.name) for run in self.runs[target]])
        }


@dataclass(frozen=True, slots=True)
class Timing:
    """How long and how often each case is measured."""

    warmup_s: float = 1.0
    measure_s: float = 3.0
    repeats: int = 3


def sweep(base: Load, axes: dict[str, Sequence[Any]]) -> Iterator[tuple[str, Load]]:
    """The product of all axes (name of a Load field → its values) with a name for each case."""
    varied = [name for name, values in axes.items() if len(values) > 1]
    for values in itertools.product(*axes.values()):
        load = Load(**(asdict(base) | dict(zip(axes, values, strict=True))))
        yield label(load_document(load), varied) or load.mode.name.lower(), load


def label(load: dict[str, Any], names: Sequence[str]) -> str:
    """The settings of these names in words; `load` as in a document."""
    return ", ".join(IN_WORDS[name].format(load[name]) for name in names)


def run_suite(
    targets: Sequence[Target],
    cases: Iterable[tuple[str, Load]],
    timing: Timing,
    advance: Callable[[str], None] = lambda _text: None,
) -> list[CaseResult]:
    """Measures every case on every target. `advance` is told of each run before it starts.

    Raises LoadError, also when nobody listens at a target's address.
    """
    for target in targets:
        _reach(target)
    results = []
    for name, load in cases:
        result = CaseResult(name, load, {target.name: [] for target in targets})
        for repeat in range(timing.repeats):
            # The order turns round, so that no target always comes second.
            order = targets if repeat % 2 == 0 else list(reversed(targets))
            for target in order:
                advance(f"{name}: {target.name} {repeat + 1}/{timing.repeats}")
                result.runs[target.name].append(measure(target, load, timing))
        results.append(result)
    return results


def _reach(target: Target) -> None:
    try:
        socket.create_connection((target.host, target.port), timeout=CONNECT_TIMEOUT_S).close()
    except OSError as error:
        place = f"{target.host}:{target.port}"
        raise LoadError(f"cannot connect to {target.name}, {place}: {error}", 0) from error


def measure(target: Target, load: Load, timing: Timing) -> Measurement:
    """One run on a topic of its own, which is deleted afterwards."""
    with nullcontext("none") if target.raw else topic_for(target, load) as topic:
        return run_on(target, topic, load, timing)


def run_on(target: Target, topic: str, load: Load, timing: Timing) -> Measurement:
    """One run on a topic that exists."""
    return run(
        target.host,
        target.port,
        topic,
        load,
        warmup_s=timing.warmup_s,
        measure_s=timing.measure_s,
        broker_pid=target.pid,
        raw=target.raw,
    )


def admin_of(host: str, port: int) -> AdminClient:
    """An admin client that adds no load of its own."""
    return AdminClient(
        {"bootstrap.servers": f"{host}:{port}", "enable.metrics.push": False, "log_level": 2}
    )


@contextmanager
def topic_for(target: Target, load: Load) -> Iterator[str]:
    """A new topic with the partitions that the load wants, filled where the load reads it."""
    name = f"pylog-bench-{uuid.uuid4().hex[:12]}"
    admin = admin_of(target.host, target.port)
    _wait(admin.create_topics([NewTopic(name, load.partitions, 1)]))
    try:
        _await_leaders(target, name, load.partitions)
        if load.mode is Mode.FETCH:
            _prefill(target, name, load)
        yield name
    finally:
        _wait(admin.delete_topics([name]))


def _wait(futures: dict[str, Future[Any]]) -> None:
    for name, future in futures.items():
        try:
            future.result(TIMEOUT_S)
        except (KafkaException, TimeoutError) as error:
            raise LoadError(f"topic {name}: {error or 'no answer'}", 0) from error


def _await_leaders(target: Target, topic: str, partitions: int) -> None:
    """Until every partition has taken a record: some brokers say so before it is true."""
    probe = Load(connections=partitions, partitions=partitions)
    deadline = time.monotonic() + TIMEOUT_S
    measure_s = 0.01
    while True:
        try:
            found = run(target.host, target.port, topic, probe, warmup_s=0, measure_s=measure_s)
            if found.least_requests > 0:
                return
            measure_s *= 2  # not all have answered
        except LoadError as error:
            if error.code not in NOT_YET or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _prefill(target: Target, topic: str, load: Load) -> None:
    """Every partition gets records of the case's size; the fetches walk them again and again.

    As many on every target that can keep up: full batches, at a rate.
    """
    batch_bytes = load.batch_records * max(1, load.record_bytes)
    batches = max(4 * load.partitions, min(PREFILL_BATCHES, PREFILL_BYTES // batch_bytes))
    writes = Load(
        mode=Mode.PRODUCE,
        connections=load.partitions,
        depth=4,
        batch_records=load.batch_records,
        record_bytes=load.record_bytes,
        compression=load.compression,
        partitions=load.partitions,
        records_per_s=batches * load.batch_records / PREFILL_S,
        linger_ms=1000 * PREFILL_S,
    )
    run(target.host, target.port, topic, writes, warmup_s=0, measure_s=PREFILL_S)


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "host": socket.gethostname(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "processor": _processor(),
        "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1),
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as info:
            names = [
                line.partition(":")[2].strip() for line in info if line.startswith("model name")
            ]
    except OSError:
        names = []
    return names[0] if names else platform.processor()


def document(results: Sequence[CaseResult], timing: Timing, **more: object) -> dict[str, Any]:
    """The result as JSON: every repeat, and medians."""
    return {
        "format": RESULT_FORMAT,
        "measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": machine(),
        "timing": asdict(timing),
        **more,
        "cases": [case_document(result) for result in results],
    }


def load_document(load: Load) -> dict[str, Any]:
    """A load's settings, those with names by name."""
    names = {
        "mode": load.mode.name.lower(),
        "compression": Compression(load.compression).name.lower(),
        "acks": "all" if load.acks == -1 else str(load.acks),
    }
    return asdict(load) | names


def case_document(result: CaseResult) -> dict[str, Any]:
    """One of the document's cases."""
    return {
        "name": result.name,
        "load": load_document(result.load),
        "targets": {
            target: {
                "median": result.median(target),
                "spread": result.spread(target),
                "runs": [asdict(run) for run in runs],
            }
            for target, runs in result.runs.items()
        },
    }
