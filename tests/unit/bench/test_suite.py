"""Cases, medians and the report of the benchmark suite."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from pylog.bench import suite
from pylog.bench.load import Compression, Load, LoadError, Measurement, Mode, run
from pylog.bench.report import sweep_charts, write_report


def measurement(records_per_s: float) -> Measurement:
    return Measurement(
        requests_per_s=1, records_per_s=records_per_s, payload_mb_per_s=1, wire_mb_per_s=1,
        mean_us=1, p50_us=1, p90_us=1, p99_us=2, p999_us=3, max_us=4,
        broker_cpu_us_per_request=1, broker_cpu_s_per_gb=1, broker_cpu_s_per_mrecords=1,
        broker_rss_mb=1, own_cpu_s_per_s=0.1, least_requests=1, most_requests=1,
        behind_records=0, seconds=1,
    )  # fmt: skip


def test_a_sweep_is_the_product_and_names_only_what_varies() -> None:
    axes = {
        "batch_records": [1, 10],
        "compression": [Compression.NONE, Compression.LZ4],
        "connections": [4],
    }
    cases = list(suite.sweep(Load(), axes))
    assert [name for name, _ in cases] == [
        "batch 1, none",
        "batch 1, lz4",
        "batch 10, none",
        "batch 10, lz4",
    ]
    assert all(load.connections == 4 for _, load in cases)


def test_median_and_spread_are_over_the_repeats() -> None:
    runs = [measurement(value) for value in (1, 9, 2)]
    result = suite.CaseResult("case", Load(), {"pylog": runs})
    assert result.median("pylog")["records_per_s"] == 2
    assert result.spread("pylog")["records_per_s"] == (1, 9)


def test_the_report_is_one_page_with_plots_against_batch_size_first(tmp_path: Path) -> None:
    results = [
        suite.CaseResult(f"batch {n}", Load(batch_records=n), {"a<b": [measurement(n)]})
        for n in (1, 10)
    ]
    document = suite.document(results, suite.Timing(), command="pylog bench")
    path = tmp_path / "report.html"
    write_report(document, path)
    page = path.read_text()
    assert page.index("Latency against records per batch") < page.index("Throughput against")
    assert page.count("<svg") == 4
    assert "a&lt;b" in page
    assert not re.search(r"<(script|link|img|iframe)|url\(http|@import", page)


def test_nobody_at_the_address_is_a_clear_error() -> None:
    with pytest.raises(LoadError, match=r"cannot connect to 127\.0\.0\.1:1"):
        run("127.0.0.1", 1, "t", Load(), warmup_s=0, measure_s=0.1)


def test_a_load_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(LoadError, match="depth"):
        run("127.0.0.1", 1, "t", Load(depth=0), warmup_s=0, measure_s=0.1)
    with pytest.raises(LoadError, match="rate"):
        run("127.0.0.1", 1, "t", Load(mode=Mode.END_TO_END), warmup_s=0, measure_s=0.1)


def test_a_suite_says_which_target_nobody_listens_at() -> None:
    targets = [suite.Target("absent", "127.0.0.1", 1)]
    with pytest.raises(LoadError, match=r"cannot connect to absent, 127\.0\.0\.1:1"):
        suite.run_suite(targets, [("case", Load())], suite.Timing())


def test_what_is_unknown_of_a_broker_without_a_process_is_not_shown_as_zero(tmp_path: Path) -> None:
    unknown = replace(
        measurement(5), broker_rss_mb=0, broker_cpu_us_per_request=0, broker_cpu_s_per_gb=0,
        broker_cpu_s_per_mrecords=0,
    )  # fmt: skip
    results = [suite.CaseResult(f"{n}", Load(batch_records=n), {"b": [unknown]}) for n in (1, 2)]
    path = tmp_path / "report.html"
    write_report(suite.document(results, suite.Timing()), path)
    page = path.read_text()
    assert "Broker CPU against" not in page
    assert "<td>-</td>" in page


def test_a_sweep_with_many_lines_is_drawn_in_charts_of_their_own() -> None:
    axes = {"batch_records": [1, 10], "connections": [1, 2, 4, 8], "depth": [1, 2, 4]}
    results = [
        suite.CaseResult(name, load, {"b": [measurement(1)]})
        for name, load in suite.sweep(Load(), axes)
    ]
    charts = sweep_charts([suite.case_document(result) for result in results])
    throughput = [chart for chart in charts if chart["title"].startswith("Throughput")]
    assert [chart["title"] for chart in throughput] == [
        f"Throughput against records per batch ({depth} in flight)" for depth in (1, 2, 4)
    ]
    assert all(len(chart["series"]) == 4 for chart in throughput if chart["kind"] == "lines")
