"""Measures durability beside Apache Kafka: recovery, flushes, compaction, and what clients notice.

    python -m benchmarks.durability --out benchmarks/durability/result

Writes OUT.json and OUT.md after each part. About 6 minutes, 45 GB of disk.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import click

from benchmarks.against_kafka.comparison import Comparison, amount, factor, goal_table
from benchmarks.against_kafka.peers import prepare_kafka
from benchmarks.durability.parts import USUAL, Parts, Sizes
from pylog.bench import suite

Found = dict[str, list[Comparison]]


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Without suffix.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where both keep their data.")
@click.option("--kafka-script", type=click.Path(path_type=Path, exists=True))
@click.option("--repeats", type=int, default=USUAL.repeats, show_default=True)
@click.option("--seconds", type=float, default=USUAL.measure_s, show_default=True)
@click.option("--killed-gb", type=float, default=USUAL.killed_gb, show_default=True)
@click.option("--many-gb", type=float, default=USUAL.many_gb, show_default=True)
@click.option("--many-partitions", type=int, default=USUAL.many_partitions, show_default=True)
@click.option("--compacted-gb", type=float, default=USUAL.compacted_gb, show_default=True)
@click.option("--only", help="Part of the names of the parts to run.")
def main(
    out: Path,
    folder: Path | None,
    kafka_script: Path | None,
    repeats: int,
    seconds: float,
    killed_gb: float,
    many_gb: float,
    many_partitions: int,
    compacted_gb: float,
    only: str | None,
) -> None:
    """Runs all parts; a part that fails is noted and the others go on."""
    sizes = Sizes(killed_gb, many_gb, many_partitions, compacted_gb, seconds, repeats)
    found: Found = {}
    notes: list[str] = []
    with tempfile.TemporaryDirectory(dir=folder, prefix="durability-") as base:
        parts = Parts(Path(base), kafka_script or prepare_kafka(), sizes, say)
        steps: dict[str, Callable[[], list[Comparison]]] = {
            "Recovery": parts.recovery_after_a_kill,
            "Cost of flushes": parts.cost_of_flushes,
            "Compaction": parts.compaction,
            "Clients beside compaction and retention": parts.impact,
            "Start with many logs": parts.start_with_many_logs,
        }
        for name, step in steps.items():
            if only and only not in name:
                continue
            say(f"== {name}")
            try:
                found[name] = step()
            except Exception as error:  # what the other parts find is worth having
                traceback.print_exc()
                notes.append(f"The part '{name}' ended early: {error!r}.")
            write_results(found, sizes, notes, out)
    sys.exit(bool(notes))


def say(text: str) -> None:
    """Progress, with the time."""
    click.echo(f"{time.strftime('%H:%M:%S')} {text}", err=True)


def write_results(found: Found, sizes: Sizes, notes: list[str], out: Path) -> None:
    """OUT.json and OUT.md of what was measured so far."""
    timing = suite.Timing(0.5, sizes.measure_s, sizes.repeats)
    document = suite.document(
        [],
        timing,
        notes=notes,
        parts={name: [one.document() for one in items] for name, items in found.items()},
    )
    out.with_suffix(".json").write_text(json.dumps(document, indent=1) + "\n")
    machine = document["machine"]
    lines = [
        "<!-- Written by benchmarks/durability; do not edit. -->",
        "",
        f"{machine['cores']} cores ({machine['processor']}), {machine['memory_gb']:g} GB, Linux "
        f"{machine['kernel']}, {document['measured_at']}. Loads are medians of {sizes.repeats}.",
        "",
        *(f"{note}\n" for note in notes),
        "### To reach",
        "",
        *table(goal_table(one for items in found.values() for one in items)),
    ]
    for name, items in found.items():
        lines += [f"### {name}", "", *table(figure_table(items))]
    out.with_suffix(".md").write_text("\n".join(lines) + "\n")


def figure_table(comparisons: list[Comparison]) -> list[list[str]]:
    """A row for each figure, a column for each broker, and pylog's over the first."""
    names = list(dict.fromkeys(name for one in comparisons for name in one.values))
    rows = [["case", "figure", *names, "ratio"]]
    for one in comparisons:
        cells = [amount(one.median(name), one.figure.unit) for name in names]
        rows.append([one.case, one.figure.name, *cells, factor(one.ratio(names[0]))])
    return rows


def table(rows: list[list[str]]) -> list[str]:
    """Rows in Markdown, and an empty line."""
    head, *rest = ["| " + " | ".join(row) + " |" for row in rows]
    return [head, "|" + "---|" * len(rows[0]), *rest, ""]


if __name__ == "__main__":
    main()
