"""One self-contained HTML page with the charts and tables of a result document."""

from __future__ import annotations

import html
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pylog.bench import charts
from pylog.bench.charts import Chart, LineChart, Point, Series
from pylog.bench.suite import label

STYLE = """
:root { color-scheme: light dark; --text: #1d2430; --soft: #5d6776; --page: #fbfbfc;
  --card: #fff; --rule: #dfe3e8; --ahead: #0a7a43; --behind: #b3261e;
  --c0: #1f6feb; --c1: #d9680f; --c2: #16855b; --c3: #8a4fc7; --c4: #b58900; --c5: #0b8aa0;
  --c6: #c2385a; --c7: #6b7280 }
@media (prefers-color-scheme: dark) { :root { --text: #e4e8ee; --soft: #9aa5b4; --page: #12161c;
  --card: #1a2028; --rule: #323b47; --ahead: #52c98a; --behind: #ff8a80;
  --c0: #6cb0ff; --c1: #ffa04d; --c2: #4fd09a; --c3: #c39bf5; --c4: #e5c55a; --c5: #55cfe3;
  --c6: #ff86a3; --c7: #a3adba } }
* { box-sizing: border-box }
body { font: 15px/1.55 system-ui, sans-serif; margin: 0 auto; padding: 2rem 1.25rem 4rem;
  max-width: 76rem; color: var(--text); background: var(--page) }
h1 { font-size: 1.6rem; margin: 0 0 .5rem } h2 { font-size: 1.2rem; margin: 2.5rem 0 .75rem }
code { font-size: .88em; overflow-wrap: anywhere } .note { color: var(--soft); margin: .25rem 0 }
.charts { display: grid; gap: 1.25rem;
  grid-template-columns: repeat(auto-fit, minmax(min(34rem, 100%), 1fr)) }
figure { margin: 0; padding: 1rem 1.1rem; background: var(--card);
  border: 1px solid var(--rule); border-radius: 8px }
figure.bars { grid-column: 1 / -1 } figcaption { font-weight: 600 }
svg { display: block; width: 100%; height: auto }
.scroll { overflow-x: auto } table { border-collapse: collapse; font-size: .86rem;
  font-variant-numeric: tabular-nums; background: var(--card); border: 1px solid var(--rule) }
th, td { padding: .3rem .7rem; text-align: right; border-bottom: 1px solid var(--rule);
  white-space: nowrap } th { color: var(--soft); font-weight: 600 }
th:first-child, td:first-child, .two th:nth-child(2), .two td:nth-child(2) { text-align: left }
tr:hover td { background: color-mix(in srgb, var(--c0) 9%, transparent) }
.yes { color: var(--ahead) } .no { color: var(--behind); font-weight: 600 }
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
    "generator CPU": ("own_cpu_s_per_s", 1, 2),
}
# setting → its name on an axis
NUMERIC_AXES = {
    "batch_records": "records per batch",
    "record_bytes": "bytes per record",
    "linger_ms": "linger, ms",
    "connections": "connections",
    "depth": "requests in flight per connection",
    "records_per_s": "records/s asked for",
}
# title → (name of a line → field of a measurement), unit, factor
PLOTS: dict[str, tuple[dict[str, str], str, float]] = {
    "Latency": ({"p50": "p50_us", "p99": "p99_us"}, "ms", 1e-3),
    "Throughput": ({"": "records_per_s"}, "records/s", 1),
    "Payload": ({"": "payload_mb_per_s"}, "MB/s", 1),
    "Broker CPU": ({"": "broker_cpu_s_per_mrecords"}, "CPU s per million records", 1),
}
MOST_LINES = 6  # of a chart, before it is split


def write_report(document: dict[str, Any], path: Path) -> None:
    """Writes the page for a document of :func:`pylog.bench.suite.document`.

    Its own `charts` come first, or without any those of `cases` when these differ in a number;
    then its `tables` (title → rows, the first the head), then the medians.
    """
    title = document.get("title", "pylog bench")
    shown = document["charts"] if "charts" in document else sweep_charts(document["cases"])
    drawn = [charts.draw(chart) for chart in shown]
    parts = [_head(document, title), f"<div class=charts>{''.join(drawn)}</div>"]
    for name, rows in document.get("tables", {}).items():
        parts += [f"<h2>{html.escape(name)}</h2>", _table(rows)]
    if document["cases"]:
        parts += ["<h2>Medians of every case</h2>", _table(medians(document["cases"]), "two")]
    page = (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width'>"
        f"<title>{html.escape(title)}</title><style>{STYLE}</style>"
        f"<body>{''.join(parts)}</body></html>\n"
    )
    path.write_text(page, encoding="utf-8")


def _head(document: dict[str, Any], title: str) -> str:
    machine, timing = document["machine"], document.get("timing")
    facts = (
        f"{machine['cores']} cores ({machine['processor']}), {machine['memory_gb']:g} GB, "
        f"Linux {machine['kernel']}; measured {document['measured_at']}."
    )
    if timing:
        facts += (
            f" Repeats: {timing['repeats']}, each of {timing['measure_s']:g} s after "
            f"{timing['warmup_s']:g} s of warm-up; medians, with the least and the greatest."
        )
    notes = "".join(
        f"<p class=note>{html.escape(text)}</p>" for text in (facts, *document.get("notes", ()))
    )
    command = document.get("command")
    said = f"<p class=note>Command: <code>{html.escape(command)}</code></p>" if command else ""
    return f"<h1>{html.escape(title)}</h1>{notes}{said}"


# ---- charts of a sweep ----


def sweep_charts(cases: Sequence[dict[str, Any]]) -> list[Chart]:
    """Latency, throughput and CPU against the first setting that varies, batch size before all.

    Cases of different modes are too unlike for a line: no charts. What else varies is told apart
    by lines, and by charts of their own when the lines would be too many.
    """
    axis = _axis(cases)
    if axis is None:
        return []
    others = [name for name in _varied(cases) if name != axis]
    targets = len({target for case in cases for target in case["targets"]})
    apart: list[str] = []  # settings with a chart for each value
    while others and targets * _combinations(cases, others) > MOST_LINES:
        apart.insert(0, others.pop())
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for case in cases:
        groups[label(case["load"], apart)].append(case)
    return [
        _sweep_chart(plot, axis, others, where, group)
        for where, group in groups.items()
        for plot in PLOTS
        if _is_known(plot, group)
    ]


def _is_known(plot: str, cases: Sequence[dict[str, Any]]) -> bool:
    """CPU is not where nobody has told the broker's process."""
    fields = PLOTS[plot][0].values()
    results = [result for case in cases for result in case["targets"].values()]
    return any(result["median"][name] > 0 for result in results for name in fields)


def _axis(cases: Sequence[dict[str, Any]]) -> str | None:
    if len({case["load"]["mode"] for case in cases}) != 1:
        return None
    varied = _varied(cases)
    return next((name for name in NUMERIC_AXES if name in varied), None)


def _varied(cases: Sequence[dict[str, Any]]) -> list[str]:
    return [name for name in cases[0]["load"] if len({case["load"][name] for case in cases}) > 1]


def _combinations(cases: Sequence[dict[str, Any]], names: Sequence[str]) -> int:
    return len({label(case["load"], names) for case in cases})


def _sweep_chart(
    plot: str, axis: str, others: Sequence[str], where: str, cases: Sequence[dict[str, Any]]
) -> LineChart:
    figures, unit, factor = PLOTS[plot]
    lines: dict[str, list[tuple[float, dict[str, Any]]]] = defaultdict(list)
    for case in cases:
        for target, result in case["targets"].items():
            name = ", ".join(filter(None, (target, label(case["load"], others))))
            lines[name].append((case["load"][axis], result))
    series: list[Series] = [
        {
            "name": f"{name} {figure}".strip(),
            "colour": colour,
            "dashed": dashed > 0,
            "points": [_point(x, result, field, factor) for x, result in points],
        }
        for colour, (name, points) in enumerate(lines.items())
        for dashed, (figure, field) in enumerate(figures.items())
    ]
    title = f"{plot} against {NUMERIC_AXES[axis]}" + (f" ({where})" if where else "")
    return {
        "kind": "lines",
        "title": title,
        "x_label": NUMERIC_AXES[axis],
        "y_label": unit,
        "series": series,
    }


def _point(x: float, result: dict[str, Any], field: str, factor: float) -> Point:
    least, greatest = result["spread"][field]
    return {
        "x": x,
        "middle": factor * result["median"][field],
        "least": factor * least,
        "greatest": factor * greatest,
    }


# ---- tables ----


def medians(cases: Sequence[dict[str, Any]]) -> list[list[str]]:
    """A row for each case and target, the head first."""
    rows = [["case", "broker", *COLUMNS]]
    for case in cases:
        for target, result in case["targets"].items():
            rows.append([case["name"], target, *_figures(result["median"])])
    return rows


def _figures(median: dict[str, float]) -> list[str]:
    known_process = median["broker_rss_mb"] > 0
    return [
        f"{factor * median[name]:,.{decimals}f}"
        if known_process or not name.startswith("broker_")
        else "-"
        for name, factor, decimals in COLUMNS.values()
    ]


def _table(rows: Sequence[Sequence[object]], kind: str = "") -> str:
    head, *body = rows
    lines = ["".join(f"<th>{html.escape(str(cell))}</th>" for cell in head)]
    lines += ["".join(_cell(str(cell)) for cell in row) for row in body]
    return (
        f'<div class=scroll><table class="{kind}"><tr>{"</tr><tr>".join(lines)}</tr></table></div>'
    )


def _cell(text: str) -> str:
    kind = f' class="{text}"' if text in ("yes", "no") else ""
    return f"<td{kind}>{html.escape(text)}</td>"
