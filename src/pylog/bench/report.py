"""One self-contained HTML page with the plots and tables of a suite's result document.

Needs matplotlib (``pip install pylog[bench]``); the plots are SVG inside the page.
"""

from __future__ import annotations

import html
import io
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; color: #222 }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.5rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #ddd }
th:first-child, td:first-child, td:nth-child(2), th:nth-child(2) { text-align: left }
svg { max-width: 100%; height: auto } .note { color: #666 }
"""
# column → (field of a measurement, factor, decimals)
COLUMNS = {
    "requests/s": ("requests_per_s", 1, 0),
    "records/s": ("records_per_s", 1, 0),
    "MB/s": ("payload_mb_per_s", 1, 1),
    "p50 ms": ("p50_us", 1e-3, 3),
    "p99 ms": ("p99_us", 1e-3, 3),
    "p99.9 ms": ("p999_us", 1e-3, 3),
    "max ms": ("max_us", 1e-3, 2),
    "CPU µs/request": ("broker_cpu_us_per_request", 1, 2),
    "CPU s/GB": ("broker_cpu_s_per_gb", 1, 3),
    "CPU s/M records": ("broker_cpu_s_per_mrecords", 1, 3),
    "RSS MB": ("broker_rss_mb", 1, 0),
}
NO_METADATA = ("Date", "Creator", "Format", "Type")
NUMERIC_AXES = (
    "batch_records",
    "record_bytes",
    "linger_ms",
    "connections",
    "depth",
    "records_per_s",
)


def write_report(document: dict[str, Any], path: Path) -> None:
    """Writes the page for a document of :func:`pylog.bench.suite.document`."""
    axis = _axis(document["cases"])
    parts = [_head(document)]
    if axis is not None:
        parts += _plots(document["cases"], axis)
    parts += ["<h2>Medians</h2>", _table(document["cases"])]
    for title, rows in document.get("tables", {}).items():
        parts += [f"<h2>{html.escape(title)}</h2>", _plain_table(rows)]
    page = (
        "<!doctype html><html lang=en><meta charset=utf-8><title>pylog bench</title>"
        f"<style>{STYLE}</style><body>{''.join(parts)}</body></html>\n"
    )
    path.write_text(page, encoding="utf-8")


def _axis(cases: Sequence[dict[str, Any]]) -> str | None:
    """The setting to plot against: batch size when it varies, else the first that does; None
    when the cases are too unlike for a line (their modes differ)."""
    if len({case["load"]["mode"] for case in cases}) > 1:
        return None
    for name in NUMERIC_AXES:
        if len({case["load"][name] for case in cases}) > 1:
            return name
    return None


def _head(document: dict[str, Any]) -> str:
    machine, timing = document["machine"], document["timing"]
    facts = (
        f"{machine['cores']} cores ({machine['processor']}), {machine['memory_gb']:g} GB, "
        f"Linux {machine['kernel']}; measured {document['measured_at']}; "
        f"{timing['repeats']} repeats of {timing['measure_s']:g} s after {timing['warmup_s']:g} s "
        "of warm-up; medians, bars from least to greatest."
    )
    command = document.get("command")
    said = f"<p class=note>Command: <code>{html.escape(command)}</code></p>" if command else ""
    return f"<h1>pylog bench</h1><p class=note>{html.escape(facts)}</p>{said}"


def _plots(cases: Sequence[dict[str, Any]], axis: str) -> list[str]:
    """Latency and throughput against the axis, a line for each target and other setting."""
    varied = [name for name in cases[0]["load"] if len({case["load"][name] for case in cases}) > 1]
    others = [name for name in varied if name != axis]
    lines: dict[str, list[tuple[float, dict[str, Any]]]] = defaultdict(list)
    for case in cases:
        suffix = ", ".join(f"{name}={case['load'][name]}" for name in others)
        for target, result in case["targets"].items():
            label = f"{target} ({suffix})" if suffix else target
            lines[label].append((case["load"][axis], result))
    plots = (
        ("Latency, p50 and p99", ("p50_us", "p99_us"), "ms", 1e-3),
        ("Throughput", ("records_per_s",), "records/s", 1.0),
        ("Broker CPU", ("broker_cpu_s_per_mrecords",), "CPU s per million records", 1.0),
    )
    return [
        f"<h2>{title} against {axis.replace('_', ' ')}</h2>"
        + _plot(lines, axis, figures, unit, factor)
        for title, figures, unit, factor in plots
    ]


def _plot(
    lines: dict[str, list[tuple[float, dict[str, Any]]]],
    axis: str,
    figures: Sequence[str],
    unit: str,
    factor: float,
) -> str:
    figure, axes = plt.subplots(figsize=(9, 4.2), layout="constrained")
    for index, (label, points) in enumerate(sorted(lines.items())):
        points = sorted(points, key=lambda point: point[0])
        for name, dashes in zip(figures, ("-", "--"), strict=False):
            middle = [factor * result["median"][name] for _, result in points]
            spread = [
                [
                    m - factor * r["spread"][name][0]
                    for m, (_, r) in zip(middle, points, strict=True)
                ],
                [
                    factor * r["spread"][name][1] - m
                    for m, (_, r) in zip(middle, points, strict=True)
                ],
            ]
            text = f"{label} {name.partition('_')[0]}" if len(figures) > 1 else label
            axes.errorbar(
                [x for x, _ in points], middle, yerr=spread, label=text, linestyle=dashes,
                marker="o", capsize=3, color=f"C{index % 10}",
            )  # fmt: skip
    axes.set(xlabel=axis.replace("_", " "), ylabel=unit)
    axes.set_yscale("log")
    if min(x for points in lines.values() for x, _ in points) > 0:
        axes.set_xscale("log")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    output = io.StringIO()
    figure.savefig(output, format="svg", metadata=dict.fromkeys(NO_METADATA))
    plt.close(figure)
    return output.getvalue().partition("<svg")[1] + output.getvalue().partition("<svg")[2]


def _table(cases: Sequence[dict[str, Any]]) -> str:
    rows: list[list[str]] = [["case", "broker", *COLUMNS]]
    for case in cases:
        for target, result in case["targets"].items():
            figures = [
                f"{factor * result['median'][name]:,.{decimals}f}"
                for name, factor, decimals in COLUMNS.values()
            ]
            rows.append([case["name"], target, *figures])
    return _plain_table(rows)


def _plain_table(rows: Sequence[Sequence[object]]) -> str:
    head, *body = rows
    lines = ["".join(f"<th>{html.escape(str(cell))}</th>" for cell in head)]
    lines += ["".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) for row in body]
    return "<table><tr>" + "</tr><tr>".join(lines) + "</tr></table>"
