"""``pylog produce``: one record a line, from standard input or files (gzip too)."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import click
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from pylog.cli import _client

QUEUE_FULL_WAIT_S = 0.1


@dataclass
class Outcome:
    """What became of the records so far."""

    sent: int = 0
    sent_bytes: int = 0
    delivered: int = 0
    failures: dict[str, int] = field(default_factory=dict)

    def on_delivery(self, error: KafkaError | None, _message: Message) -> None:
        if error is None:
            self.delivered += 1
        else:
            text = f"{error.name()}: {error.str()}"
            self.failures[text] = self.failures.get(text, 0) + 1


@click.command("produce")
@click.argument("topic")
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option("-K", "--key-separator", help="The key of a line ends at this text.")
@click.option("--json-records", is_flag=True, help="Lines are as `consume --json` writes them.")
@click.option("--null", "null_text", help="A key or value equal to this text is stored as null.")
@click.option("-p", "--partition", type=click.IntRange(min=0), help="Default: by key.")
@click.option("-H", "--header", "headers", multiple=True, metavar="NAME=VALUE")
@click.option(
    "-z",
    "--compression",
    type=click.Choice(["none", "gzip", "snappy", "lz4", "zstd"]),
    default="none",
    show_default=True,
)
@click.option("--acks", type=click.Choice(["0", "1", "all"]), default="all", show_default=True)
@click.option("--linger-ms", type=click.FloatRange(min=0), default=5, show_default=True)
@click.option("--batch-bytes", type=click.IntRange(min=1), default=1_000_000, show_default=True)
@_client.json_option
@_client.bootstrap_option
@_client.client_errors
def command(
    topic: str,
    files: tuple[str, ...],
    key_separator: str | None,
    json_records: bool,
    null_text: str | None,
    partition: int | None,
    headers: tuple[str, ...],
    compression: str,
    acks: str,
    linger_ms: float,
    batch_bytes: int,
    as_json: bool,
    bootstrap: str,
) -> None:
    """Write records to TOPIC: one a line, from FILEs or standard input (-)."""
    producer = Producer(
        _client.common_config(bootstrap)
        | {
            "compression.type": compression,
            "acks": acks,
            "linger.ms": linger_ms,
            "batch.size": batch_bytes,
            "enable.idempotence": acks == "all",
        }
    )
    _client.require_broker(producer, bootstrap)
    common: dict[str, Any] = {"headers": list(_client.parse_pairs(headers, "--header").items())}
    if partition is not None:
        common["partition"] = partition
    parse = _LineParser(key_separator, json_records, null_text)
    outcome = Outcome()
    started = time.perf_counter()
    with _client.progress("records", None) as advance:
        for line in _lines(files or ("-",)):
            _send(producer, topic, common | parse(line), outcome)
            advance(1)
        while producer.flush(1.0):
            pass
    _report(topic, outcome, time.perf_counter() - started, as_json)


def _lines(files: tuple[str, ...]) -> Iterator[bytes]:
    for path in files:
        try:
            with _client.open_input(path) as stream:
                for line in stream:
                    yield line.removesuffix(b"\n").removesuffix(b"\r")
        except (OSError, EOFError) as error:
            raise click.ClickException(f"cannot read {path}: {error}") from error


class _LineParser:
    """Turns a line into the arguments of one produce call."""

    def __init__(
        self, key_separator: str | None, json_records: bool, null_text: str | None
    ) -> None:
        self._separator = key_separator.encode() if key_separator else None
        self._json_records = json_records
        self._null = None if null_text is None else null_text.encode()
        self._number = 0

    def __call__(self, line: bytes) -> dict[str, Any]:
        self._number += 1
        if self._json_records:
            return self._parse_json(line)
        key: bytes | None = None
        value: bytes | None = line
        if self._separator is not None:
            key, found, value = line.partition(self._separator)
            if not found:
                raise click.ClickException(f"line {self._number}: no key separator in it")
        return {"key": self._nullable(key), "value": self._nullable(value)}

    def _nullable(self, data: bytes | None) -> bytes | None:
        return None if data == self._null else data

    def _parse_json(self, line: bytes) -> dict[str, Any]:
        try:
            document = json.loads(line)
            record: dict[str, Any] = {
                "key": _bytes_of(document, "key"),
                "value": _bytes_of(document, "value"),
            }
            if document.get("headers"):
                record["headers"] = [
                    (name, _text_bytes(value)) for name, value in document["headers"]
                ]
            if document.get("timestamp_ms") is not None:
                record["timestamp"] = int(document["timestamp_ms"])
        except (ValueError, TypeError, AttributeError) as error:
            raise click.ClickException(f"line {self._number}: no JSON record: {error}") from error
        return record


def _bytes_of(document: dict[str, Any], name: str) -> bytes | None:
    """`name`, or `name_base64` where the bytes are no UTF-8 text."""
    if document.get(f"{name}_base64") is not None:
        return base64.b64decode(document[f"{name}_base64"], validate=True)
    return _text_bytes(document.get(name))


def _text_bytes(value: object) -> bytes | None:
    if value is None:
        return None
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


def _send(producer: Producer, topic: str, record: dict[str, Any], outcome: Outcome) -> None:
    while True:
        try:
            producer.produce(topic, on_delivery=outcome.on_delivery, **record)
            break
        except BufferError:
            producer.poll(QUEUE_FULL_WAIT_S)  # the queue is full: wait for deliveries
        except KafkaException as error:
            raise click.ClickException(
                f"record {outcome.sent + 1}: {_client.describe_error(error)}"
            ) from error
    producer.poll(0)
    outcome.sent += 1
    outcome.sent_bytes += len(record["key"] or b"") + len(record["value"] or b"")


def _report(topic: str, outcome: Outcome, seconds: float, as_json: bool) -> None:
    failed = sum(outcome.failures.values())
    if as_json:
        _client.print_json(
            {
                "topic": topic,
                "records": outcome.delivered,
                "failed": failed,
                "bytes": outcome.sent_bytes,
                "seconds": round(seconds, 3),
            }
        )
    else:
        rate = outcome.delivered / seconds if seconds else 0.0
        click.echo(
            f"{outcome.delivered:,} records, {outcome.sent_bytes:,} bytes to {topic} "
            f"in {seconds:.2f} s ({rate:,.0f} records/s)",
            err=True,
        )
    if failed:
        reasons = "; ".join(f"{count} x {text}" for text, count in outcome.failures.items())
        raise click.ClickException(f"{failed:,} records were not stored: {reasons}")
