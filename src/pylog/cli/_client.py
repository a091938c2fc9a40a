"""What the client commands share: options, the Kafka client, output for people and scripts."""

from __future__ import annotations

import functools
import gzip
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, TypeVar, cast

import click
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

DEFAULT_BOOTSTRAP = "127.0.0.1:9092"
TIMEOUT_S = 30.0
GZIP_MAGIC = b"\x1f\x8b"
PIPE_WIDTH = 250

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


def bootstrap_option(function: F) -> F:
    """``--bootstrap HOST:PORT``, also from PYLOG_BOOTSTRAP."""
    return click.option(
        "-b",
        "--bootstrap",
        envvar="PYLOG_BOOTSTRAP",
        default=DEFAULT_BOOTSTRAP,
        show_default=True,
        metavar="HOST:PORT",
        help="A broker to start from; several are separated by commas.",
    )(function)


def json_option(function: F) -> F:
    """``--json``: one document for scripts in place of a table."""
    return click.option("--json", "as_json", is_flag=True, help="Write JSON.")(function)


def client_errors(function: Callable[..., T]) -> Callable[..., T]:
    """Turns what the client library raises into one clear line and exit code 1."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> T:
        try:
            return function(*args, **kwargs)
        except KafkaException as error:
            raise click.ClickException(describe_error(error)) from error
        except BrokenPipeError:
            # The reader of our output has seen enough (`| head`).
            sys.stderr.close()
            raise SystemExit(0) from None

    return wrapper


def describe_error(error: KafkaException) -> str:
    """The broker's own words with the name of the error code."""
    cause = error.args[0] if error.args else error
    if isinstance(cause, KafkaError):
        return f"{cause.name()}: {cause.str()}"
    return str(cause)


def common_config(bootstrap: str) -> dict[str, Any]:
    """Client settings of every command: errors are told once by the command, not logged."""
    return {
        "bootstrap.servers": bootstrap,
        "client.id": "pylog-cli",
        "log_level": 0,
        "enable.metrics.push": False,
    }


def connect_admin(bootstrap: str) -> AdminClient:
    """An admin client; fails at once with a clear error when no broker answers."""
    admin = AdminClient(common_config(bootstrap))
    require_broker(admin, bootstrap)
    return admin


def require_broker(client: AdminClient | Consumer | Producer, bootstrap: str) -> None:
    """Raises ClickException when nobody answers at `bootstrap` within ten seconds."""
    try:
        client.list_topics(timeout=10)
    except KafkaException as error:
        raise click.ClickException(
            f"no broker answers at {bootstrap}: {describe_error(error)}"
        ) from error


def wait_all(futures: dict[T, Future[Any]]) -> dict[T, Any]:
    """Results by key; the first failure is raised as ClickException that names its key."""
    results = {}
    for key, future in futures.items():
        try:
            results[key] = future.result(timeout=TIMEOUT_S)
        except KafkaException as error:
            raise click.ClickException(f"{key}: {describe_error(error)}") from error
    return results


def parse_pairs(pairs: Sequence[str], option: str) -> dict[str, str]:
    """``NAME=VALUE`` arguments as a dictionary."""
    parsed = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise click.BadParameter(f"{pair!r} is not NAME=VALUE", param_hint=option)
        parsed[name] = value
    return parsed


def parse_time_ms(text: str) -> int | None:
    """An ISO 8601 time as milliseconds since the epoch (UTC when it names no zone), or None."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)


def format_time_ms(time_ms: int) -> str:
    """Milliseconds since the epoch as ISO 8601 in UTC."""
    return datetime.fromtimestamp(time_ms / 1000, tz=UTC).isoformat(timespec="milliseconds")


def print_json(document: object) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(document, indent=2, default=str))


def print_table(
    title: str | None, columns: Sequence[str], rows: Iterable[Sequence[object]]
) -> None:
    """A table for people; columns whose name starts with `#` hold numbers and align right."""
    from rich.console import Console
    from rich.table import Table

    if title:
        click.secho(title, bold=True)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        numeric = column.startswith("#")
        table.add_column(column.lstrip("#"), justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*(format_cell(cell) for cell in row))
    # A pipe has no width: tables for `grep` and `awk` are never folded.
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(table)


def format_cell(cell: object) -> str:
    """Whole numbers with thousands separators, a list with commas, nothing as a dash."""
    if cell is None or cell == []:
        return "-"
    if isinstance(cell, list):
        return ", ".join(map(str, cell))
    if isinstance(cell, bool) or not isinstance(cell, int | float):
        return str(cell)
    return f"{cell:,}" if isinstance(cell, int) else f"{cell:,.2f}"


@contextmanager
def open_input(path: str) -> Iterator[IO[bytes]]:
    """A file, or standard input for ``-``, as bytes; gzip is seen by its magic, not its name."""
    with ExitStack() as stack:
        if path == "-":
            raw = cast(io.BufferedReader, sys.stdin.buffer)
        else:
            raw = stack.enter_context(Path(path).open("rb"))
        packed = raw.peek(2)[:2] == GZIP_MAGIC
        yield cast(IO[bytes], stack.enter_context(gzip.open(raw))) if packed else raw


@contextmanager
def progress(label: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr when a person watches; yields `advance(n)`."""
    if not sys.stderr.isatty():
        yield lambda _n: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total)
        yield lambda n: bar.advance(task, n)
