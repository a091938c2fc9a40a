"""What the long benchmarks share: groups that run one after the other, and their result files."""

from __future__ import annotations

import json
import signal
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from pylog.bench.report import write_report


def say(text: str) -> None:
    """Progress, with the time."""
    click.echo(f"{time.strftime('%H:%M:%S')} {text}", err=True)


def run_groups(
    groups: Mapping[str, Callable[[], None]],
    after_each: Callable[[], None],
    failed: Callable[[str, Exception], None],
) -> None:
    """Runs them all; one that fails is told of and does not keep the others from running.

    A termination signal ends the group as ctrl-c does, so that it stops what it has started.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for name, group in groups.items():
        say(f"== {name}")
        try:
            group()
        except Exception as error:  # what the others find is worth having
            traceback.print_exc()
            failed(name, error)
        after_each()


def write_results(document: dict[str, Any], out: Path, made_by: str) -> None:
    """OUT.json, OUT.md and OUT.html."""
    out.with_suffix(".json").write_text(json.dumps(document, indent=1) + "\n")
    out.with_suffix(".md").write_text(markdown(document, made_by))
    write_report(document, out.with_suffix(".html"))


def markdown(document: dict[str, Any], made_by: str) -> str:
    """The tables, and what they were measured on."""
    machine = document["machine"]
    lines = [
        f"<!-- Written by {made_by}; do not edit. -->",
        "",
        f"{machine['cores']} cores ({machine['processor']}), {machine['memory_gb']:g} GB, Linux "
        f"{machine['kernel']}, {document['measured_at']}. Medians of "
        f"{document['timing']['repeats']} with their spread. Plots: `result.html`.",
        "",
        *(f"{note}\n" for note in document["notes"]),
    ]
    for title, rows in document["tables"].items():
        lines += [f"### {title}", "", "| " + " | ".join(rows[0]) + " |"]
        lines.append("|" + "---|" * len(rows[0]))
        lines += ["| " + " | ".join(row) + " |" for row in rows[1:]] + [""]
    return "\n".join(lines)
