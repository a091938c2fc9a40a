"""Measures pylog beside Apache Kafka and writes the table of ratios and the report.

    python -m benchmarks.against_kafka --out benchmarks/against_kafka/result

Both brokers run with data in the same folder, one of them idle while the other is measured, the
order turning round from repeat to repeat. Data plane figures are with `log.durability=os`, which
is what Apache Kafka does by default; those named "flushed" with pylog's own default, against
Apache Kafka with `flush.messages=1`. About 20 minutes.
"""

from __future__ import annotations

import mmap
import shlex
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from benchmarks.against_kafka import comparison
from benchmarks.against_kafka.comparison import CPU, P99, P999, RATE, Findings
from benchmarks.against_kafka.groups import Groups, Settings
from benchmarks.against_kafka.peers import prepare_generator, prepare_kafka
from benchmarks.results import run_groups, say, write_results
from pylog.bench import suite
from pylog.bench.report import sweep_charts

MADV_POPULATE_WRITE = 23  # madvise(2), Linux 5.14
LOADS = ("data plane", "flushed", "memory not touched")
IN_TABLES_OF_THEIR_OWN = (*LOADS, "sweep", "second opinion")
NOTES = (
    "Ratios are pylog's figure over that of the other; the spread is over the repeats, each "
    "pylog's with the other's of the same repeat. The brokers alternate, and their order turns "
    "round from repeat to repeat. What is dirty is written out before each run (sync). Latencies "
    "are in microseconds where no unit is given.",
    "Generator and broker share the machine. sinkd is a server that answers every request and "
    "stores nothing: the ceiling of this generator on this machine.",
    "Data plane with log.durability=os against Apache Kafka's default; flushed: log.durability="
    "fsync, pylog's default, against log.flush.interval.messages=1.",
)


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Without suffix.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where both keep their data.")
@click.option("--kafka-script", type=click.Path(path_type=Path, exists=True))
@click.option("--loadgen", type=click.Path(path_type=Path, exists=True), help="Its folder.")
@click.option("--seconds", type=float, default=1.2, show_default=True)
@click.option("--warmup", type=float, default=0.8, show_default=True)
@click.option("--repeats", type=int, default=5, show_default=True)
@click.option("--messages", type=int, default=30_000, show_default=True, help="End to end.")
@click.option("--partitions", type=int, default=5_000, show_default=True)
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
    loadgen: Path | None,
    seconds: float,
    warmup: float,
    repeats: int,
    messages: int,
    partitions: int,
    touch_gb: float,
    only: str | None,
) -> None:
    """Runs all groups; writes OUT.json, OUT.md and OUT.html after each."""
    timing = suite.Timing(warmup, seconds, repeats)
    findings = Findings()
    notes: list[str] = []
    with tempfile.TemporaryDirectory(dir=folder, prefix="against-kafka-") as base:
        settings = Settings(
            Path(base), kafka_script or prepare_kafka(), prepare_generator(loadgen), timing,
            messages, partitions, say,
        )  # fmt: skip
        groups = Groups(settings, findings)
        steps: dict[str, Callable[[], None]] = {
            "fresh memory": groups.fresh_memory,
            "touch": lambda: notes.append(touch_memory(touch_gb)),
            "data plane": groups.data_plane,
            "sweep": groups.sweep,
            "connections": groups.many_connections,
            "end to end": groups.end_to_end,
            "second opinion": groups.second_opinion,
            "close": groups.close,
            "flushed": groups.flushed,
            "starts": groups.starts,
            "partitions": groups.partitions,
        }

        def failed(name: str, error: Exception) -> None:
            findings.failures.append(f"The group '{name}' ended early: {error!r}.")
            groups.close()

        chosen = {
            name: step
            for name, step in steps.items()
            if only is None or only in name or name in ("touch", "close")
        }
        with closing(groups):
            run_groups(chosen, lambda: write(findings, timing, notes, out), failed)
    sys.exit(bool(findings.failures))


def touch_memory(gigabytes: float) -> str:
    """Fills and frees memory twice: what the guest touches first costs a fault in the host.

    Returns what it cost, in words.
    """
    size = int(gigabytes * 1e9)
    if size == 0:
        return "Memory was not touched before the data plane was measured."
    taken = []
    for _ in range(2):
        with mmap.mmap(-1, size) as memory:
            started = time.perf_counter()
            memory.madvise(MADV_POPULATE_WRITE)
            taken.append((time.perf_counter() - started) / gigabytes)
    return (
        f"{gigabytes:g} GB of memory were filled and freed before all groups but 'memory not "
        f"touched': {taken[0]:.2f} s/GB the first time, {taken[1]:.2f} s/GB again (alike: this "
        "machine had touched them before)."
    )


def write(findings: Findings, timing: suite.Timing, notes: list[str], out: Path) -> None:
    """OUT.json, OUT.md and OUT.html of what was measured so far."""
    second = findings.of_group("second opinion")
    loads = findings.of_group(*LOADS, "sweep")
    tables = {
        "To reach": comparison.goal_table(findings.comparisons),
        "Ratios": comparison.ratio_table(loads),
        "Other figures": comparison.other_table(others_of(findings)),
        "Second opinion: another load generator": comparison.ratio_table(second),
    }
    document = suite.document(
        findings.cases,
        timing,
        title="pylog beside Apache Kafka",
        command=shlex.join(["python", "-m", "benchmarks.against_kafka", *sys.argv[1:]]),
        notes=[*NOTES, *notes, *findings.failures],
        tables={title: rows for title, rows in tables.items() if len(rows) > 1},
        charts=charts_of(findings),
        comparisons=[one.document() for one in findings.comparisons],
    )
    write_results(document, out, "benchmarks/against_kafka")


def others_of(findings: Findings) -> list[comparison.Comparison]:
    """The figures that are no load's."""
    return [one for one in findings.comparisons if one.group not in IN_TABLES_OF_THEIR_OWN]


def charts_of(findings: Findings) -> list[Any]:
    """Bars of the ratios; then latency and throughput against the size of a batch."""
    figures = (RATE, P99, P999, CPU)
    second = findings.of_group("second opinion")
    swept = {one.case for one in findings.of_group("sweep")}
    found: list[Any] = [
        comparison.bar_chart("Loads", findings.of_group(*LOADS), figures),
        comparison.bar_chart("Other figures", others_of(findings)),
        comparison.bar_chart("Second opinion: another load generator", second, figures),
    ]
    sweep = [suite.case_document(case) for case in findings.cases if case.name in swept]
    return [chart for chart in found if chart["rows"]] + (sweep_charts(sweep) if sweep else [])


if __name__ == "__main__":
    main()
