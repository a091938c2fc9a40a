"""Whether produce stays as quick while the broker decides: beside rebalances and new topics.

Clients that ask for decisions compute, too, and on a small machine they take the processor from
the broker and from the load generator, whatever the broker does. So each phase has a control: the
same clients ask another broker of the same machine, and what is left is theirs.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from confluent_kafka.admin import NewTopic

from benchmarks.against_kafka.brokers import Broker, Kafka, Pylog, await_served
from benchmarks.growth.grow import TOPIC, create
from benchmarks.results import say
from pylog.bench import suite
from pylog.bench.charts import LineChart
from pylog.bench.load import Load, Measurement

STEADY = Load(connections=16, partitions=16, records_per_s=10_000, depth=4)
WINDOW = suite.Timing(warmup_s=0.1, measure_s=0.5, repeats=1)
WINDOWS, MOST_WINDOWS = 8, 25
WARM_UP_S = 8.0  # until the JVM has compiled what a produce needs
NO_DELAY = "group.initial.rebalance.delay.ms=0"
# They run at a low priority: it is the broker's work that is to disturb, not its clients'.
CLIENT = ["nice", "-n", "10", sys.executable, "-m"]
MEMBERS, TOPICS = "benchmarks.growth.members", "benchmarks.growth.topics"
BUSY = [sys.executable, "-c", "while True: pass"]
AT_REST, AFTERWARDS = "nothing", "nothing, afterwards"
CONTROL = "the same, of another broker"


@dataclass(frozen=True, slots=True)
class Disturber:
    """What happens meanwhile, and the client that makes it happen; without one, nothing does."""

    name: str
    command: Sequence[str] = ()
    has_an_end: bool = False  # is measured to its end, all else for so many windows

    def at(self, broker: Broker) -> list[str]:
        """The client's command line for that broker."""
        return [str(broker.port) if word == "PORT" else word for word in self.command]


@dataclass(slots=True)
class Phase:
    """What happened meanwhile, and the windows of the steady produce."""

    broker: str
    beside: str
    is_control: bool = False
    windows: list[tuple[float, Measurement]] = field(default_factory=list)  # seconds, figures
    said: str = ""  # by the client that disturbed

    @property
    def name(self) -> str:
        return f"{CONTROL}: {self.beside}" if self.is_control else self.beside

    def p99_ms(self) -> float:
        return median(one.p99_us for _, one in self.windows) / 1000

    def worst_ms(self) -> float:
        return max(one.p99_us for _, one in self.windows) / 1000

    def p999_ms(self) -> float:
        return median(one.p999_us for _, one in self.windows) / 1000


def disturbances(
    folder: Path | None, script: Path, members: int, topics: int, phases: list[Phase]
) -> None:
    """pylog with its controls, then Apache Kafka."""
    group = Disturber(
        f"a group of {members:,} rebalances again and again",
        [*CLIENT, MEMBERS, "PORT", str(members)],
    )
    creation = Disturber(
        f"up to {topics:,} topics are created", [*CLIENT, TOPICS, "PORT", str(topics)], True
    )
    with tempfile.TemporaryDirectory(dir=folder, prefix="disturbances-") as base:
        pylog = Pylog(Path(base) / "pylog", ["log.durability=os", NO_DELAY])
        other = Pylog(Path(base) / "other", ["log.durability=os", NO_DELAY])
        with _serving(pylog), _serving(other):
            _measure(pylog, pylog, Disturber(AT_REST), phases)
            _measure(pylog, pylog, Disturber("another process computes", BUSY), phases)
            for disturber in (group, creation):
                _measure(pylog, pylog, disturber, phases)
                _measure(pylog, other, disturber, phases)
            _measure(pylog, pylog, Disturber(AFTERWARDS), phases)
        kafka = Kafka(Path(base) / "kafka", script, [NO_DELAY])
        with _serving(kafka):
            for disturber in (Disturber(AT_REST), group, creation):
                _measure(kafka, kafka, disturber, phases)


@contextmanager
def _serving(broker: Broker) -> Iterator[None]:
    """With the topic that is written to, and warm."""
    try:
        broker.start()
        create(suite.admin_of("127.0.0.1", broker.port), [NewTopic(TOPIC, STEADY.partitions, 1)])
        await_served(broker, [TOPIC], STEADY.partitions)
        warm_up_s = WARM_UP_S if isinstance(broker, Kafka) else 1.0
        suite.run_on(broker.target, TOPIC, STEADY, suite.Timing(0, warm_up_s, 1))
        yield
    finally:
        broker.kill()


def _measure(broker: Broker, asked: Broker, disturber: Disturber, phases: list[Phase]) -> None:
    """Produces to `broker`; the disturber's client asks `asked`."""
    phase = Phase(broker.name, disturber.name, is_control=asked is not broker)
    say(f"produce to {broker.name} while: {phase.name}")
    phases.append(phase)
    with _beside(disturber.at(asked), phase) as client:
        started = time.perf_counter()
        while len(phase.windows) < (MOST_WINDOWS if disturber.has_an_end else WINDOWS):
            if client is not None and client.poll() is not None:
                break
            one = suite.run_on(broker.target, TOPIC, STEADY, WINDOW)
            phase.windows.append((time.perf_counter() - started, one))


@contextmanager
def _beside(command: list[str], phase: Phase) -> Iterator[subprocess.Popen[str] | None]:
    """The client runs meanwhile; one that tells when it is ready is awaited first."""
    if not command:
        yield None
        return
    client = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
    assert client.stdout is not None
    try:
        if command != BUSY:
            client.stdout.readline()
        yield client
    finally:
        if client.stdin is not None:
            client.stdin.close()  # the end of its work
        if command == BUSY:
            client.terminate()
        phase.said = client.stdout.read().strip()
        if client.wait() and command != BUSY:
            raise RuntimeError(f"{' '.join(command)} ended with {client.returncode}")


def summary(phases: list[Phase]) -> list[list[str]]:
    """A row for each broker and each of its disturbances: p99 at rest, beside, in the control."""
    measured = {
        (phase.broker, phase.beside, phase.is_control): phase.p99_ms()
        for phase in phases
        if phase.windows
    }
    rows = []
    for (broker, beside, is_control), p99_ms in measured.items():
        at_rest_ms = measured.get((broker, AT_REST, False))
        if is_control or beside in (AT_REST, AFTERWARDS) or at_rest_ms is None:
            continue
        control_ms = measured.get((broker, beside, True))
        shown = [_ms(at_rest_ms), _ms(p99_ms), _ms(control_ms)]
        ratios = [_ratio(p99_ms, at_rest_ms), _ratio(p99_ms, control_ms)]
        rows.append([broker, beside, *shown, *ratios])
    head = ["p99 of produce to", "while", "at rest", "beside", "control"]
    return [[*head, "beside / at rest", "beside / control"], *rows]


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} ms"


def _ratio(value: float, reference: float | None) -> str:
    return "-" if reference is None else f"{value / reference:.1f}"


def table(phases: list[Phase]) -> list[list[str]]:
    """A row for each phase."""
    head = ["produce 10,000/s to", "while", "p99", "worst p99 of 0.5 s", "p99.9", "meanwhile"]
    return [head] + [
        [
            phase.broker,
            phase.name,
            _ms(phase.p99_ms()),
            _ms(phase.worst_ms()),
            _ms(phase.p999_ms()),
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
                "name": f"{phase.broker}: {phase.name}",
                "colour": colour,
                "dashed": phase.is_control or phase.beside in (AT_REST, AFTERWARDS),
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
            "broker": phase.broker,
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
