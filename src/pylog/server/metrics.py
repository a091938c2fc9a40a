"""Metrics for Prometheus, in its text format, over HTTP at ``metrics.listen``.

What the engine and the dispatcher count, and what clients push (KIP-714). Nothing is computed
before somebody asks.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from pylog.protocol.api_keys import API_KEYS

if TYPE_CHECKING:
    from pylog.server.broker import Broker

_NOT_A_NAME: Final = re.compile(r"[^a-zA-Z0-9_]")
_LONGEST_REQUEST: Final = 8192
_READ_TIMEOUT_S: Final = 5.0
_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Sample = tuple[Mapping[str, str], float]


def family(name: str, kind: str, text: str, samples: Iterable[Sample]) -> Iterator[str]:
    """The lines of one metric."""
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"
    for labels, value in samples:
        inner = ",".join(f'{key}="{_escaped(item)}"' for key, item in labels.items())
        yield f"{name}{{{inner}}} {value:.17g}" if inner else f"{name} {value:.17g}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def render(broker: Broker) -> str:
    """All metrics of a broker."""
    lines = [*_engine_lines(broker), *_request_lines(broker), *_client_lines(broker)]
    return "\n".join(lines) + "\n"


def _engine_lines(broker: Broker) -> Iterator[str]:
    counters = broker.engine.counters()
    for name, value in counters._asdict().items():
        text = name.replace("_", " ").capitalize() + "."
        yield from family(f"pylog_engine_{name}_total", "counter", text, [({}, value)])
    open_now = counters.connections_opened - counters.connections_closed
    yield from family("pylog_connections", "gauge", "Connections that are open.", [({}, open_now)])
    image = broker.metadata.image
    count = sum(len(topic.partitions) for topic in image.topics.values())
    yield from family("pylog_topics", "gauge", "Topics.", [({}, len(image.topics))])
    yield from family("pylog_partitions", "gauge", "Partitions.", [({}, count)])
    stuck = len(broker.partitions.uncleanable)
    text = "Partitions that compaction has given up."
    yield from family("pylog_uncleanable_partitions", "gauge", text, [({}, stuck)])
    logs = broker.partitions
    offline, recovering = logs.offline_count, logs.recovering_count
    yield from family("pylog_logs_offline", "gauge", "Logs that can't be used.", [({}, offline)])
    text = "Logs that are still to be opened."
    yield from family("pylog_logs_recovering", "gauge", text, [({}, recovering)])
    works = [({"folder": str(path)}, path not in broker.dirs.failed) for path in broker.dirs.paths]
    text = "Whether a data folder works."
    yield from family("pylog_data_folder_online", "gauge", text, works)


def _request_lines(broker: Broker) -> Iterator[str]:
    served = sorted(broker.requests_served.items())
    counts = [({"api": API_KEYS[key].name}, count) for key, (count, _) in served]
    seconds = [({"api": API_KEYS[key].name}, ns / 1e9) for key, (_, ns) in served]
    name = "pylog_control_requests"
    yield from family(f"{name}_total", "counter", "Requests of the control lane.", counts)
    yield from family(f"{name}_busy_seconds_total", "counter", "Time spent on them.", seconds)


def _client_lines(broker: Broker) -> Iterator[str]:
    """One family a metric that clients push; who pushed it is in the labels."""
    now_ms = time.monotonic() * 1000
    families: dict[str, list[Sample]] = {}
    counters = set()
    for identity, point in broker.client_metrics.series(now_ms):
        name = "pylog_client_" + _NOT_A_NAME.sub("_", point.name)
        labels = {
            "client_id": identity.client_id,
            "client_instance_id": identity.client_instance_id,
            "client_software_name": identity.client_software_name,
        }
        labels |= {_NOT_A_NAME.sub("_", key): text for key, text in point.attributes}
        families.setdefault(name, []).append((labels, point.value))
        if point.monotonic:
            counters.add(name)
    for name, samples in sorted(families.items()):
        kind = "counter" if name in counters else "gauge"
        yield from family(name, kind, "Pushed by clients.", samples)
    count = broker.client_metrics.count(now_ms)
    yield from family("pylog_telemetry_clients", "gauge", "Clients that push.", [({}, count)])


async def serve(broker: Broker, host: str, port: int) -> asyncio.Server:
    """Answer GET /metrics; each connection has one request. OSError."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _READ_TIMEOUT_S)
            writer.write(_respond(broker, head))
            await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    return await asyncio.start_server(answer, host or None, port, limit=_LONGEST_REQUEST)


def _respond(broker: Broker, head: bytes) -> bytes:
    method, _, rest = head.partition(b" ")
    path = rest.partition(b" ")[0].partition(b"?")[0]
    if method != b"GET":
        status, body = "405 Method Not Allowed", b""
    elif path != b"/metrics":
        status, body = "404 Not Found", b""
    else:
        status, body = "200 OK", render(broker).encode()
    start = f"HTTP/1.1 {status}\r\nContent-Type: {_TYPE}\r\nContent-Length: {len(body)}\r\n"
    return f"{start}Connection: close\r\n\r\n".encode() + body
