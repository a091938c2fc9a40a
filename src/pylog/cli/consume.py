"""``pylog consume``: records to standard output, once to the end or for ever."""

from __future__ import annotations

import base64
import json
import sys
from typing import Any, cast

import click
from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from pylog.cli import _client

POLL_S = 0.2
POLL_RECORDS = 1000


@click.command("consume")
@click.argument("topics", nargs=-1, required=True)
@click.option("-g", "--group", help="Read as a member of this group and commit its offsets.")
@click.option(
    "-f",
    "--from",
    "start",
    metavar="earliest|latest|OFFSET|TIME",
    help="An offset, or an ISO 8601 time. Default: earliest, or the group's offset.",
)
@click.option("-p", "--partition", "partitions", type=int, multiple=True, help="Default: all.")
@click.option("-n", "--count", type=click.IntRange(min=1), help="Stop after this many records.")
@click.option("-e", "--exit", "exit_at_end", is_flag=True, help="Stop at the end of the log.")
@click.option("-K", "--key-separator", help="Write key, this text, then the value.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a record.")
@click.option("--committed/--uncommitted", default=True, help="Of transactions.")
@_client.bootstrap_option
@_client.client_errors
def command(
    topics: tuple[str, ...],
    group: str | None,
    start: str | None,
    partitions: tuple[int, ...],
    count: int | None,
    exit_at_end: bool,
    key_separator: str | None,
    as_json: bool,
    committed: bool,
    bootstrap: str,
) -> None:
    """Write the records of TOPICs to standard output, values as they are."""
    if group and partitions:
        raise click.UsageError("--partition is not for groups: the group divides the partitions")
    consumer = Consumer(_consumer_config(bootstrap, group, start, committed))
    _client.require_broker(consumer, bootstrap)
    reader = _Reader(consumer, count, exit_at_end, _Writer(as_json, key_separator))
    try:
        if group:
            callbacks = {"on_assign": _seek_on_assign(start)} if start else {}
            consumer.subscribe(list(topics), **callbacks)
        else:
            assignment = _assignment(consumer, topics, partitions, start or "earliest")
            reader.expect(assignment)
            consumer.assign(assignment)
        reader.run()
    except KeyboardInterrupt:
        pass
    finally:
        consumer.close()
    click.echo(f"{reader.read:,} records", err=True)


def _consumer_config(
    bootstrap: str, group: str | None, start: str | None, committed: bool
) -> dict[str, Any]:
    return _client.common_config(bootstrap) | {
        # The library wants a group id even when it joins none.
        "group.id": group or "pylog-consume",
        "enable.auto.commit": group is not None,
        "enable.auto.offset.store": False,
        "auto.offset.reset": start if start in ("earliest", "latest") else "earliest",
        "enable.partition.eof": True,
        "isolation.level": "read_committed" if committed else "read_uncommitted",
        "fetch.wait.max.ms": 100,
    }


def _seek_on_assign(start: str) -> Any:
    def on_assign(consumer: Consumer, partitions: list[TopicPartition]) -> None:
        consumer.assign(_at(consumer, partitions, start))

    return on_assign


def _assignment(
    consumer: Consumer, topics: tuple[str, ...], wanted: tuple[int, ...], start: str
) -> list[TopicPartition]:
    partitions = []
    for topic in topics:
        metadata = consumer.list_topics(topic, timeout=_client.TIMEOUT_S).topics[topic]
        if metadata.error is not None:
            raise click.ClickException(f"{topic}: {metadata.error.str()}")
        missing = set(wanted) - set(metadata.partitions)
        if missing:
            raise click.ClickException(f"{topic} has no partition {min(missing)}")
        partitions += [
            TopicPartition(topic, index) for index in wanted or sorted(metadata.partitions)
        ]
    return _at(consumer, partitions, start)


def _at(consumer: Consumer, partitions: list[TopicPartition], start: str) -> list[TopicPartition]:
    """The partitions with the offset that `start` means for each."""
    named = {"earliest": OFFSET_BEGINNING, "latest": OFFSET_END}
    time_ms = None if start.isdigit() else _client.parse_time_ms(start)
    if start in named or start.isdigit():
        offset = named[start] if start in named else int(start)
        return [TopicPartition(p.topic, p.partition, offset) for p in partitions]
    if time_ms is None:
        raise click.BadParameter(f"{start!r} is no offset and no time", param_hint="--from")
    asked = [TopicPartition(p.topic, p.partition, time_ms) for p in partitions]
    return list(consumer.offsets_for_times(asked, timeout=_client.TIMEOUT_S))


class _Writer:
    """Writes one record to standard output."""

    def __init__(self, as_json: bool, key_separator: str | None) -> None:
        self._as_json = as_json
        self._separator = key_separator.encode() if key_separator else None

    def write(self, message: Message) -> None:
        out = sys.stdout.buffer
        if self._as_json:
            out.write(json.dumps(_document(message), ensure_ascii=False).encode() + b"\n")
            return
        if self._separator is not None:
            out.write((message.key() or b"") + self._separator)
        out.write((message.value() or b"") + b"\n")

    def flush(self) -> None:
        sys.stdout.buffer.flush()


def _document(message: Message) -> dict[str, Any]:
    kind, time_ms = message.timestamp()
    document: dict[str, Any] = {
        "topic": message.topic(),
        "partition": message.partition(),
        "offset": message.offset(),
        "timestamp_ms": None if kind == TIMESTAMP_NOT_AVAILABLE else time_ms,
        "headers": [[name, _text(value)] for name, value in _headers(message)],
    }
    for name, data in (("key", message.key()), ("value", message.value())):
        try:
            document[name] = _text(data, errors="strict")
        except UnicodeDecodeError:
            document[f"{name}_base64"] = base64.b64encode(cast(bytes, data)).decode()
    return document


def _headers(message: Message) -> list[tuple[str, str | bytes | None]]:
    return cast(list[tuple[str, str | bytes | None]], message.headers() or [])


def _text(value: str | bytes | None, errors: str = "replace") -> str | None:
    return value.decode(errors=errors) if isinstance(value, bytes) else value


class _Reader:
    """Polls until the asked number of records, the ends of all partitions, or an interrupt."""

    def __init__(
        self, consumer: Consumer, count: int | None, exit_at_end: bool, writer: _Writer
    ) -> None:
        self._consumer = consumer
        self._count = count
        self._exit_at_end = exit_at_end
        self._writer = writer
        self._expected: set[tuple[str | None, int | None]] = set()
        self._at_end: set[tuple[str | None, int | None]] = set()
        self.read = 0

    def expect(self, partitions: list[TopicPartition]) -> None:
        self._expected = {(p.topic, p.partition) for p in partitions}

    def run(self) -> None:
        while not self._done():
            left = POLL_RECORDS if self._count is None else self._count - self.read
            for message in self._consumer.consume(min(POLL_RECORDS, left), timeout=POLL_S):
                self._take(message)
            self._writer.flush()

    def _done(self) -> bool:
        if self._count is not None and self.read >= self._count:
            return True
        if not self._exit_at_end:
            return False
        expected = self._expected or {(p.topic, p.partition) for p in self._consumer.assignment()}
        return bool(expected) and expected <= self._at_end

    def _take(self, message: Message) -> None:
        error = message.error()
        place = (message.topic(), message.partition())
        if error is None:
            self._writer.write(message)
            self._consumer.store_offsets(message)
            self._at_end.discard(place)
            self.read += 1
        elif error.code() == KafkaError._PARTITION_EOF:
            self._at_end.add(place)
        elif error.fatal() or not error.retriable():
            raise KafkaException(error)
