"""``pylog demo``: the first use of a commit log, on real input."""

from __future__ import annotations

import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from confluent_kafka.admin import AdminClient, NewTopic

from pylog.cli import _client
from pylog.cli._server import own_broker
from pylog.demo import sources, streams

ACTIVITY_TOPIC, METRICS_TOPIC = "page-views", "host-metrics"
ACTIVITY_GROUP, METRICS_GROUP = "views-per-minute", "metrics-watch"
PARTITIONS = 4
DRAIN_S = 30.0
# name, librdkafka's settings: what batching and compression do
VARIANTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("1 record a batch", {"linger.ms": 0, "batch.num.messages": 1}),
    ("up to 100", {"linger.ms": 5, "batch.num.messages": 100}),
    ("up to 1 MB", {"linger.ms": 20, "batch.size": 1_000_000}),
    ("1 MB, gzip", {"linger.ms": 20, "batch.size": 1_000_000, "compression.type": "gzip"}),
    ("1 MB, snappy", {"linger.ms": 20, "batch.size": 1_000_000, "compression.type": "snappy"}),
    ("1 MB, lz4", {"linger.ms": 20, "batch.size": 1_000_000, "compression.type": "lz4"}),
    ("1 MB, zstd", {"linger.ms": 20, "batch.size": 1_000_000, "compression.type": "zstd"}),
)


@dataclass
class Result:
    """Everything the demo measured."""

    activity: streams.Sent
    metrics: streams.Sent
    view_members: list[streams.PageViews]
    metric_members: list[streams.Metrics]
    variants: list[tuple[str, streams.Sent]]


@click.command("demo")
@click.option(
    "--activity",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A log as user activity, plain or gz; best a web access log.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0.5),
    default=5.0,
    show_default=True,
    help="How long to watch this host.",
)
@click.option("-b", "--bootstrap", metavar="HOST:PORT", help="Use this broker, start none.")
@_client.json_option
@_client.client_errors
def command(activity: Path | None, seconds: float, bootstrap: str | None, as_json: bool) -> None:
    """Send two real streams through a broker and read them with two groups.

    Live metrics of this host, and a log as user activity keyed by visitor. One group counts page
    views a minute, the other watches the metrics.
    """
    source = sources.find_activity(activity, seconds)
    with _broker(bootstrap) as address:
        say = (lambda _line: None) if as_json else click.echo
        say(f"broker {address}")
        say(f"activity: {source.describe()}")
        result = _run(address, source, seconds, say)
    problems = _problems(result)
    if as_json:
        _client.print_json(_document(source, result, problems))
    else:
        _print(source, result, problems)
    if problems:
        raise click.ClickException("; ".join(problems))


@contextmanager
def _broker(bootstrap: str | None) -> Iterator[str]:
    """The given broker, or one of our own in a temporary folder."""
    if bootstrap is not None:
        yield bootstrap
        return
    with own_broker() as (address, _pid):
        yield address


def _run(
    address: str,
    source: sources.ActivityFile | sources.ActivityProcesses,
    seconds: float,
    say: Any,
) -> Result:
    admin = AdminClient(_client.common_config(address))
    variant_topics = [f"page-views-{index}" for index in range(len(VARIANTS))]
    _create_topics(admin, [ACTIVITY_TOPIC, METRICS_TOPIC, *variant_topics])
    view_members = [
        streams.PageViews(address, ACTIVITY_GROUP, ACTIVITY_TOPIC, f"views-{i}") for i in (1, 2)
    ]
    metric_members = [streams.Metrics(address, METRICS_GROUP, METRICS_TOPIC, "metrics-1")]
    for member in (*view_members, *metric_members):
        member.start()
    say(f"watching this host for {seconds:g} s while the activity is read ...")
    sent_metrics, sent_activity = _send_both(address, source, seconds)
    _drain(view_members, sent_activity.records)
    _drain(metric_members, sent_metrics.records)
    for member in (*view_members, *metric_members):
        member.finish()
    say("sending the activity again with other batches and compression ...")
    variants = _send_variants(address, source, variant_topics)
    return Result(sent_activity, sent_metrics, view_members, metric_members, variants)


def _create_topics(admin: AdminClient, names: Sequence[str]) -> None:
    # The records keep the time of their event, which may be years ago: never expire them.
    config = {"retention.ms": "-1"}
    topics = [NewTopic(name, PARTITIONS, 1, config=config) for name in names]
    _client.wait_all(admin.create_topics(topics))


def _send_both(
    address: str, source: sources.ActivityFile | sources.ActivityProcesses, seconds: float
) -> tuple[streams.Sent, streams.Sent]:
    stop = threading.Event()
    metrics: list[streams.Sent] = []
    settings = {"linger.ms": 5, "compression.type": "lz4"}

    def watch_host() -> None:
        events = streams.metric_events(stop, interval_s=0.1)
        metrics.append(streams.send(address, METRICS_TOPIC, events, settings))

    watcher = threading.Thread(target=watch_host)
    started = time.monotonic()
    watcher.start()
    try:
        activity = streams.send(address, ACTIVITY_TOPIC, source, settings)
        stop.wait(max(0.0, seconds - (time.monotonic() - started)))
    finally:
        stop.set()
        watcher.join()
    if not metrics:
        raise click.ClickException("the metrics producer failed; see above")
    return metrics[0], activity


def _drain(members: Sequence[streams.Member], records: int) -> None:
    """Waits until the group has read `records`, or has read nothing for DRAIN_S."""
    last, deadline = -1, time.monotonic() + DRAIN_S
    while (read := sum(member.records for member in members)) < records:
        if read != last:
            last, deadline = read, time.monotonic() + DRAIN_S
        if time.monotonic() > deadline or any(member.failure for member in members):
            return  # told by _problems, or raised by finish
        time.sleep(0.02)


def _send_variants(
    address: str,
    source: sources.ActivityFile | sources.ActivityProcesses,
    topics: Sequence[str],
) -> list[tuple[str, streams.Sent]]:
    events = list(source)
    results = []
    with _client.progress("variants", len(VARIANTS)) as advance:
        for topic, (name, settings) in zip(topics, VARIANTS, strict=True):
            # A producer id may take the library half a second, whatever the batches are.
            plain = settings | {"enable.idempotence": False}
            results.append((name, streams.send(address, topic, events, plain)))
            advance(1)
    return results


def _problems(result: Result) -> list[str]:
    """What a reader of the demo must not miss: loss, repetition, disorder, errors."""
    found = []
    pairs = (
        (ACTIVITY_TOPIC, result.activity, result.view_members),
        (METRICS_TOPIC, result.metrics, result.metric_members),
    )
    for topic, sent, members in pairs:
        read = sum(member.records for member in members)
        if read != sent.records:
            found.append(f"{topic}: {sent.records} records went in, {read} came out")
        disorder = sum(member.out_of_order for member in members)
        if disorder:
            found.append(f"{topic}: {disorder} times a key's order did not hold")
    for name, sent in (
        ("activity", result.activity),
        ("metrics", result.metrics),
        *result.variants,
    ):
        for error, count in sent.errors.items():
            found.append(f"{name}: {count} records failed: {error}")
    return found


def _merged(members: Sequence[streams.PageViews]) -> tuple[Counter[int], Counter[bytes]]:
    minutes: Counter[int] = Counter()
    paths: Counter[bytes] = Counter()
    for member in members:
        minutes.update(member.per_minute)
        paths.update(member.per_path)
    return minutes, paths


def _flow_rows(result: Result) -> list[tuple[object, ...]]:
    return [
        (
            topic,
            sent.records,
            sum(member.records for member in members),
            sent.payload_bytes,
            sum(member.payload_bytes for member in members),
            len(sent.per_key),
            len({index for member in members for index in member.partitions}),
            group,
            len(members),
        )
        for topic, group, sent, members in (
            (ACTIVITY_TOPIC, ACTIVITY_GROUP, result.activity, result.view_members),
            (METRICS_TOPIC, METRICS_GROUP, result.metrics, result.metric_members),
        )
    ]


FLOW_COLUMNS = (
    "topic", "#records in", "#records out", "#bytes in", "#bytes out", "#keys", "#partitions",
    "group", "#members",
)  # fmt: skip
VARIANT_COLUMNS = (
    "batches", "#records/s", "#payload bytes", "#wire bytes", "#wire/payload", "#p50 ms", "#p99 ms",
)  # fmt: skip


def _variant_rows(result: Result) -> list[tuple[object, ...]]:
    return [
        (
            name,
            round(sent.records / sent.seconds),
            sent.payload_bytes,
            sent.wire_bytes,
            round(sent.wire_bytes / max(1, sent.payload_bytes), 3),
            round(1000 * _percentile(sent.latencies_s, 50), 2),
            round(1000 * _percentile(sent.latencies_s, 99), 2),
        )
        for name, sent in result.variants
    ]


def _percentile(values: list[float], percent: int) -> float:
    if len(values) < 2:
        return values[0] if values else 0.0
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _document(
    source: sources.ActivityFile | sources.ActivityProcesses, result: Result, problems: list[str]
) -> dict[str, object]:
    minutes, paths = _merged(result.view_members)
    flow, variants = (
        [dict(zip((c.lstrip("#") for c in columns), row, strict=True)) for row in rows]
        for columns, rows in (
            (FLOW_COLUMNS, _flow_rows(result)),
            (VARIANT_COLUMNS, _variant_rows(result)),
        )
    )
    return {
        "activity": source.describe(),
        "other_lines": source.other_lines,
        "flow": flow,
        "order_per_key_held": not any("order" in problem for problem in problems),
        "page_views_a_minute": {
            _client.format_time_ms(minute * 60_000): count
            for minute, count in sorted(minutes.items())
        },
        "top_pages": [
            [path.decode(errors="replace"), count] for path, count in paths.most_common(5)
        ],
        "variants": variants,
        "problems": problems,
    }


def _print(
    source: sources.ActivityFile | sources.ActivityProcesses, result: Result, problems: list[str]
) -> None:
    click.echo()
    _client.print_table("What went in and came out", FLOW_COLUMNS, _flow_rows(result))
    if not problems:
        keys = len(result.activity.per_key) + len(result.metrics.per_key)
        click.echo(f"Order held for each of {keys:,} keys; nothing lost, nothing twice.")
    _print_views(source, result)
    _print_metrics(result)
    click.echo()
    _client.print_table(
        "What batching and compression did to the activity (sent as fast as it goes; latency from "
        "produce to acknowledgement)",
        VARIANT_COLUMNS,
        _variant_rows(result),
    )


def _print_views(source: sources.ActivityFile | sources.ActivityProcesses, result: Result) -> None:
    minutes, paths = _merged(result.view_members)
    click.echo()
    if not minutes:
        click.echo("The activity holds no access log lines: no page views to count.")
        return
    busiest = [
        (_client.format_time_ms(minute * 60_000)[:16], count)
        for minute, count in minutes.most_common(5)
    ]
    views = sum(minutes.values())
    title = f"{views:,} page views in {len(minutes):,} minutes; the busiest"
    _client.print_table(title, ("minute (UTC)", "#page views"), busiest)
    top = [(path.decode(errors="replace")[:60], count) for path, count in paths.most_common(5)]
    _client.print_table("Pages", ("page", "#page views"), top)
    if source.other_lines:
        click.echo(f"{source.other_lines:,} other lines were kept and not counted.")


def _print_metrics(result: Result) -> None:
    seen = {
        name: samples for member in result.metric_members for name, samples in member.seen.items()
    }
    rows = []
    for name, samples in sorted(seen.items()):
        first, last = samples[0], samples[-1]
        changes = (
            f"{field} {last[field]:,.10g} ({last[field] - first[field]:+,.6g})"
            for field in last
            if field not in ("metric", "time_ms")
        )
        rows.append((name, ", ".join(changes)))
    click.echo()
    _client.print_table("This host, last value (change while watched)", ("metric", "values"), rows)
