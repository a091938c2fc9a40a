"""Measures how cost grows, and what produce costs beside rebalances and new topics.

    python -m benchmarks.growth --out benchmarks/growth/result

Writes OUT.json, OUT.md and OUT.html after each group; about 9 minutes, and 20 GB of disk. Run it
on a machine that does nothing else.
"""

from __future__ import annotations

import resource
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from benchmarks.against_kafka.peers import prepare_kafka
from benchmarks.growth import disturbances, grow, series
from benchmarks.growth.disturbances import Phase
from benchmarks.growth.grow import Sizes
from benchmarks.growth.series import Growth
from benchmarks.results import run_groups, write_results
from pylog.bench import suite

NOTES = (
    "log.durability=os; growth is that of pylog alone. CPU is that of all the broker's threads for "
    "one request; p50 of a closed loop of one connection is mostly the time that an idle core "
    "needs to wake.",
    "Disturbances: clients that ask for decisions compute, too, beside the broker and the load "
    "generator. What they take by that shows in the control: they ask another broker of the same "
    "machine. Those of Apache Kafka are measured after 8 s of the same load.",
    "No worse than logarithmic: the last cost is at most the first one and once more for every "
    "doubling, and the last step costs no more than the logarithm grows there, with a quarter for "
    "noise. Costs without a verdict are not those of one operation.",
    "Look-ups go to places all over the log, one at a time; records have the time of their append. "
    "The log was written at full speed: about a hundred batches have the same millisecond, and a "
    "look-up by time walks them.",
)
# Steps of a number on the way to the greatest asked for.
STEPS = (1, 16, 100, 1000, 5000)


def steps_to(greatest: int) -> list[int]:
    """Those of STEPS that are below, and the greatest."""
    return [*(step for step in STEPS if step < greatest), greatest]


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Without suffix.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where the broker keeps its data.")
@click.option("--size-gb", type=float, default=20.0, show_default=True)
@click.option("--partitions", type=int, default=5000, show_default=True)
@click.option("--connections", type=int, default=5000, show_default=True)
@click.option("--members", type=int, default=1000, show_default=True)
@click.option("--topics", type=int, default=5000, show_default=True)
@click.option("--seconds", type=float, default=1.0, show_default=True)
@click.option("--repeats", type=int, default=3, show_default=True)
@click.option("--kafka-script", type=click.Path(exists=True, path_type=Path))
@click.option("--only", help="Part of the names of the groups to run.")
def main(
    out: Path,
    folder: Path | None,
    size_gb: float,
    partitions: int,
    connections: int,
    members: int,
    topics: int,
    seconds: float,
    repeats: int,
    kafka_script: Path | None,
    only: str | None,
) -> None:
    """Runs all groups and writes their results."""
    _allow_many_connections()
    sizes = Sizes(
        folder=folder,
        timing=suite.Timing(0.3, seconds, repeats),
        partitions=steps_to(partitions),
        connections=steps_to(connections),
        segments=(1, 10, 100, 1000),
        gigabytes=(size_gb / 20, size_gb / 4, size_gb),
        look_ups=2000,
    )
    found: list[Growth] = []
    phases: list[Phase] = []
    failures: list[str] = []
    groups: dict[str, Callable[[], None]] = {
        "disturbances": lambda: disturbances.disturbances(
            folder, kafka_script or prepare_kafka(), members, topics, phases
        ),
        "partitions": lambda: grow.partitions(sizes, found),
        "connections": lambda: grow.connections(sizes, found),
        "segments": lambda: grow.segments(sizes, found),
        "log size": lambda: grow.log_size(sizes, found),
    }
    run_groups(
        {name: group for name, group in groups.items() if only is None or only in name},
        lambda: write_results(
            document(found, phases, failures, sizes.timing), out, "benchmarks/growth"
        ),
        lambda name, error: failures.append(f"The group '{name}' ended early: {error!r}."),
    )
    sys.exit(bool(failures))


def _allow_many_connections() -> None:
    """For this process and for the brokers that it starts."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def document(
    found: list[Growth], phases: list[Phase], failures: list[str], timing: suite.Timing
) -> dict[str, Any]:
    """All that was measured so far."""
    charts: list[Any] = list(series.charts(found))
    tables = {"Growth": series.table([growth for growth in found if growth.repeats])}
    if any(phase.windows for phase in phases):
        charts.insert(0, disturbances.chart(phases))
        tables = {
            "Disturbances": disturbances.summary(phases),
            "Disturbances, all phases": disturbances.table(phases),
            **tables,
        }
    return suite.document(
        [],
        timing,
        title="How pylog's costs grow",
        command=shlex.join(["python", "-m", "benchmarks.growth", *sys.argv[1:]]),
        notes=[*NOTES, *failures],
        tables={title: rows for title, rows in tables.items() if len(rows) > 1},
        charts=charts,
        growth=[growth.document() for growth in found],
        disturbances=disturbances.document(phases),
    )


if __name__ == "__main__":
    main()
