"""``pylog bench``: batch size, latency and throughput of one broker, or of several side by side."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from pylog.bench import suite
from pylog.bench.load import Compression, Load, LoadError, Mode
from pylog.cli import _client
from pylog.cli._server import own_broker

MODES = {"produce": Mode.PRODUCE, "fetch": Mode.FETCH, "end-to-end": Mode.END_TO_END}
ACKS = {"1": 1, "all": -1}


def numbers(
    kind: Callable[[str], Any],
) -> Callable[[click.Context, click.Parameter, str], list[Any]]:
    """A callback for options that take values separated by commas."""

    def parse(_context: click.Context, _parameter: click.Parameter, text: str) -> list[Any]:
        try:
            return [kind(part.strip()) for part in text.split(",")]
        except (ValueError, KeyError) as error:
            raise click.BadParameter(f"{text!r}: {error}") from error

    return parse


def parse_target(text: str) -> suite.Target:
    """``NAME=HOST:PORT`` or ``NAME=HOST:PORT@PID``."""
    name, _, place = text.partition("=")
    address, _, pid = place.partition("@")
    host, _, port = address.rpartition(":")
    if not (name and host and port.isdigit() and (pid.isdigit() or not pid)):
        raise click.BadParameter(f"{text!r} is not NAME=HOST:PORT[@PID]", param_hint="--target")
    return suite.Target(name, host, int(port), int(pid or 0))


@click.command("bench")
@click.option(
    "-t",
    "--target",
    "targets",
    multiple=True,
    metavar="NAME=HOST:PORT[@PID]",
    help="A broker to measure; several run side by side. With its process id on this host, CPU "
    "and memory are measured too. Without a target, a broker is started for the run.",
)
@click.option("--mode", type=click.Choice(list(MODES)), default="produce", show_default=True)
@click.option(
    "--batch",
    default="1,10,100,1000",
    show_default=True,
    callback=numbers(int),
    help="Records a batch.",
)
@click.option("--record-bytes", default="100", show_default=True, callback=numbers(int))
@click.option(
    "--linger-ms",
    default="0",
    show_default=True,
    callback=numbers(float),
    help="With --rate: how long a batch may wait to fill.",
)
@click.option(
    "--compression",
    default="none",
    show_default=True,
    callback=numbers(lambda name: Compression[name.upper()]),
)
@click.option("--connections", default="1", show_default=True, callback=numbers(int))
@click.option("--acks", default="1", show_default=True, callback=numbers(ACKS.__getitem__))
@click.option(
    "--depth",
    default="1",
    show_default=True,
    callback=numbers(int),
    help="Requests in flight of a connection.",
)
@click.option(
    "--rate",
    default="0",
    show_default=True,
    callback=numbers(float),
    help="Records a second of all connections (open loop); 0: as fast as it goes.",
)
@click.option("--partitions", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--fetch-bytes", type=click.IntRange(min=1), default=1 << 20, show_default=True)
@click.option("--seconds", type=click.FloatRange(min=0.1), default=3.0, show_default=True)
@click.option("--warmup", type=click.FloatRange(min=0), default=1.0, show_default=True)
@click.option("--repeats", type=click.IntRange(min=1), default=3, show_default=True)
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Write every run to this file (-: standard output).",
)
@click.option(
    "--html",
    "html_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a report with plots; needs matplotlib (pip install 'pylog[bench]').",
)
@_client.client_errors
def command(
    targets: tuple[str, ...],
    mode: str,
    batch: list[int],
    record_bytes: list[int],
    linger_ms: list[float],
    compression: list[Compression],
    connections: list[int],
    acks: list[int],
    depth: list[int],
    rate: list[float],
    partitions: int,
    fetch_bytes: int,
    seconds: float,
    warmup: float,
    repeats: int,
    json_file: Path | None,
    html_file: Path | None,
) -> None:
    """Measure brokers. Options with commas are swept: every combination is a case."""
    write_report = _report_writer() if html_file else None
    base = Load(mode=MODES[mode], partitions=partitions, fetch_bytes=fetch_bytes)
    axes: dict[str, Sequence[Any]] = {
        "batch_records": batch,
        "record_bytes": record_bytes,
        "linger_ms": linger_ms,
        "compression": compression,
        "connections": connections,
        "acks": acks,
        "depth": depth,
        "records_per_s": rate,
    }
    cases = list(suite.sweep(base, axes))
    timing = suite.Timing(warmup, seconds, repeats)
    with _targets(targets) as measured:
        total = len(cases) * len(measured) * repeats
        with _client.progress("runs", total) as advance:
            try:
                results = suite.run_suite(measured, cases, timing, lambda _text: advance(1))
            except LoadError as error:
                raise click.ClickException(str(error)) from error
    document = suite.document(results, timing, command=shlex.join(["pylog", *sys.argv[1:]]))
    if json_file:
        with click.open_file(str(json_file), "w") as output:
            json.dump(document, output, indent=1)
    if write_report and html_file:
        write_report(document, html_file)
    if not json_file or str(json_file) != "-":
        _print(results)


def _report_writer() -> Callable[[dict[str, Any], Path], None]:
    try:
        from pylog.bench.report import write_report
    except ImportError as error:
        raise click.ClickException("--html needs matplotlib: pip install 'pylog[bench]'") from error
    return write_report


@contextmanager
def _targets(texts: tuple[str, ...]) -> Iterator[list[suite.Target]]:
    if texts:
        yield [parse_target(text) for text in texts]
        return
    with own_broker() as (address, pid):
        host, _, port = address.rpartition(":")
        yield [suite.Target("pylog", host, int(port), pid)]


def _print(results: list[suite.CaseResult]) -> None:
    rows = []
    for result in results:
        for target in result.runs:
            median = result.median(target)
            least, greatest = result.spread(target)["records_per_s"]
            rows.append(
                (
                    result.name,
                    target,
                    round(median["records_per_s"]),
                    f"{round(least):,} … {round(greatest):,}",
                    round(median["payload_mb_per_s"], 1),
                    *(
                        f"{median[name] / 1000:.3f}"
                        for name in ("p50_us", "p99_us", "p999_us", "max_us")
                    ),
                    *_of_the_process(median),
                )
            )
    _client.print_table(
        None,
        (
            "case", "broker", "#records/s", "#least … greatest", "#MB/s", "#p50 ms", "#p99 ms",
            "#p99.9 ms", "#max ms", "#CPU s/M records", "#CPU s/GB", "#RSS MB",
        ),
        rows,
    )  # fmt: skip


def _of_the_process(median: dict[str, float]) -> tuple[str, str, str]:
    if not median["broker_rss_mb"]:
        return "-", "-", "-"  # nobody has told which process it is
    return (
        f"{median['broker_cpu_s_per_mrecords']:.3f}",
        f"{median['broker_cpu_s_per_gb']:.2f}",
        f"{median['broker_rss_mb']:.0f}",
    )
