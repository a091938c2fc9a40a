"""Whether produce stays as quick while the broker's Python works."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from confluent_kafka.admin import NewTopic

from benchmarks.against_kafka.brokers import Pylog
from benchmarks.growth.grow import TOPIC, Sizes, broker, create
from benchmarks.results import say
from pylog.bench import suite
from pylog.bench.charts import LineChart
from pylog.bench.load import Load, Measurement

STEADY = Load(connections=16, partitions=16, records_per_s=10_000, depth=4)
WINDOW = suite.Timing(warmup_s=0.1, measure_s=0.5, repeats=1)
WINDOWS, MOST_WINDOWS = 8, 100
# They run at a low priority: it is the broker's work that is to disturb, not its clients'.
CLIENT = ["nice", "-n", "10", sys.executable, "-m"]
MEMBERS, TOPICS = "benchmarks.growth.members", "benchmarks.growth.topics"
BUSY = [sys.executable, "-c", "while True: pass"]


@dataclass(slots=True)
class Phase:
    """What happened meanwhile, and the windows of the steady produce."""

    name: str
    windows: list[tuple[float, Measurement]] = field(default_factory=list)  # seconds, figures
    said: str = ""  # by the client that disturbed

    def p99_ms(self) -> float:
        return median(one.p99_us for _, one in self.windows) / 1000

    def worst_ms(self) -> float:
        return max(one.p99_us for _, one in self.windows) / 1000

    def p999_ms(self) -> float:
        return median(one.p999_us for _, one in self.windows) / 1000


def disturbances(sizes: Sizes, members: int, topics: int, phases: list[Phase]) -> None:
    """Alone, beside a process that computes, beside a group that rebalances, beside new topics."""
    with broker(sizes.folder, "group.initial.rebalance.delay.ms=0") as (process, admin):
        create(admin, [NewTopic(TOPIC, 16, 1)])
        suite.run_on(process.target, TOPIC, STEADY, suite.Timing(0, 1, 1))
        port = str(process.port)
        commands = {
            "nothing": None,
            "another process computes": BUSY,
            f"a group of {members:,} rebalances again and again": [
                *CLIENT, MEMBERS, port, str(members)],
            f"{topics:,} topics are created": [
                *CLIENT, TOPICS, port, str(topics)],
            "nothing, afterwards": None,
        }  # fmt: skip
        for name, command in commands.items():
            say(f"produce while: {name}")
            phases.append(_phase(process, name, command))


def _phase(process: Pylog, name: str, command: list[str] | None) -> Phase:
    """A client with an end is measured to its end, all else for so many windows."""
    phase = Phase(name)
    has_an_end = command is not None and TOPICS in command
    with _beside(command, phase) as client:
        started = time.perf_counter()
        while len(phase.windows) < (MOST_WINDOWS if has_an_end else WINDOWS):
            if client is not None and client.poll() is not None:
                break
            one = suite.run_on(process.target, TOPIC, STEADY, WINDOW)
            phase.windows.append((time.perf_counter() - started, one))
    return phase


@contextmanager
def _beside(command: list[str] | None, phase: Phase) -> Iterator[subprocess.Popen[str] | None]:
    """The client runs meanwhile; one that tells when it is ready is awaited first."""
    if command is None:
        yield None
        return
    client = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
    assert client.stdout is not None
    try:
        if command is not BUSY:
            client.stdout.readline()
        yield client
    finally:
        if client.stdin is not None:
            client.stdin.close()  # the end of its work
        if command is BUSY:
            client.terminate()
        phase.said = client.stdout.read().strip()
        client.wait()


def table(phases: list[Phase]) -> list[list[str]]:
    """A row for each phase."""
    rows = [["produce 10,000/s while", "p99", "worst p99 of 0.5 s", "p99.9", "meanwhile"]]
    return rows + [
        [
            phase.name,
            f"{phase.p99_ms():.2f} ms",
            f"{phase.worst_ms():.2f} ms",
            f"{phase.p999_ms():.2f} ms",
            phase.said or "-",
        ]
        for phase in phases
        if phase.windows
    ]


def chart(phases: list[Phase]) -> LineChart:
    """p99 over time, a line for each phase."""
    return {
        "kind": "lines",
        "title": "Produce at 10,000/s: p99 of each half second, by what happens meanwhile",
        "x_label": "seconds",
        "y_label": "p99, ms",
        "linear_x": True,
        "series": [
            {
                "name": phase.name,
                "colour": colour,
                "dashed": phase.name.startswith("nothing"),
                "points": [
                    {"x": at, "middle": p99, "least": p99, "greatest": p99}
                    for at, one in phase.windows
                    for p99 in (one.p99_us / 1000,)
                ],
            }
            for colour, phase in enumerate(phases)
        ],
    }


def document(phases: list[Phase]) -> list[dict[str, Any]]:
    """For the JSON."""
    return [
        {
            "name": phase.name,
            "p99_ms": phase.p99_ms(),
            "worst_p99_ms": phase.worst_ms(),
            "p999_ms": phase.p999_ms(),
            "meanwhile": phase.said,
            "windows": [(at, one.p99_us / 1000) for at, one in phase.windows],
        }
        for phase in phases
        if phase.windows
    ]
