"""Real input for the demo: live metrics of this host, and user activity from a log.

Nothing here is invented: every source says where its records come from.
"""

from __future__ import annotations

import gzip
import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psutil

# Combined log format: visitor, identity, user, [time], "request", status, ...
ACCESS_LINE = re.compile(
    rb'(?P<visitor>\S+) \S+ \S+ \[(?P<time>[^\]]+)\] "(?P<request>[^"]*)" (?P<status>\d{3}) '
)
ACCESS_TIME = "%d/%b/%Y:%H:%M:%S %z"
HOST_LOGS = (
    "/var/log/nginx/access.log",
    "/var/log/apache2/access.log",
    "/var/log/httpd/access_log",
    "/var/log/syslog",
    "/var/log/messages",
    "/var/log/dpkg.log",
    "/var/log/dpkg.log.1",
)


@dataclass(frozen=True, slots=True)
class Event:
    """One record to produce; `key` decides the partition and so the order."""

    key: bytes
    value: bytes
    time_ms: int


@dataclass(frozen=True, slots=True)
class View:
    """One line of an access log, as far as the demo reads it."""

    visitor: bytes
    time_ms: int
    path: bytes


def parse_view(line: bytes) -> View | None:
    """The visitor, time and path of a combined-format line; None for any other line."""
    match = ACCESS_LINE.match(line)
    if match is None:
        return None
    try:
        moment = datetime.strptime(match["time"].decode("ascii"), ACCESS_TIME)
    except (ValueError, UnicodeDecodeError):
        return None
    words = match["request"].split(b" ")
    path = words[1] if len(words) > 1 else match["request"]
    return View(match["visitor"], int(moment.timestamp() * 1000), path)


class ActivityFile:
    """User activity: the lines of a log file, plain or gzip, in the order of the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.other_lines = 0  # no access log lines: kept, keyed by their first word

    def describe(self) -> str:
        return f"the lines of {self.path}"

    def __iter__(self) -> Iterator[Event]:
        with self.path.open("rb") as probe:
            packed = probe.read(2) == b"\x1f\x8b"
        modified_ms = int(self.path.stat().st_mtime * 1000)
        with gzip.open(self.path) if packed else self.path.open("rb") as stream:
            for line in stream:
                line = line.rstrip(b"\r\n")
                view = parse_view(line)
                if view is not None:
                    yield Event(view.visitor, line, view.time_ms)
                elif line:
                    self.other_lines += 1
                    yield Event(line.split(None, 1)[0], line, modified_ms)


class ActivityProcesses:
    """User activity where the host has no readable log: what its processes do, sampled live."""

    def __init__(self, seconds: float, interval_s: float = 0.2) -> None:
        self._seconds = seconds
        self._interval_s = interval_s
        self.other_lines = 0

    def describe(self) -> str:
        return "what the processes of this host do (no readable log was found)"

    def __iter__(self) -> Iterator[Event]:
        deadline = time.monotonic() + self._seconds
        while time.monotonic() < deadline:
            started = time.monotonic()
            for process in psutil.process_iter(["pid", "name", "cpu_times", "num_threads"]):
                info = process.info
                document = {
                    "pid": info["pid"],
                    "name": info["name"],
                    "threads": info["num_threads"],
                    "cpu_s": sum(info["cpu_times"][:2]) if info["cpu_times"] else None,
                }
                value = json.dumps(document).encode()
                yield Event(f"{info['name']}/{info['pid']}".encode(), value, _now_ms())
            time.sleep(max(0.0, self._interval_s - (time.monotonic() - started)))


def find_activity(file: Path | None, seconds: float) -> ActivityFile | ActivityProcesses:
    """The given file, else a log that this host has, else its processes."""
    if file is not None:
        return ActivityFile(file)
    for name in HOST_LOGS:
        path = Path(name)
        try:
            with path.open("rb") as stream:
                if stream.read(1):
                    return ActivityFile(path)
        except OSError:
            continue
    return ActivityProcesses(seconds)


def sample_metrics() -> Iterator[Event]:
    """One sample of this host: processors, memory, load, and the disks and interfaces in use."""
    now_ms = _now_ms()
    for index, cpu in enumerate(psutil.cpu_times(percpu=True)):
        yield _metric(
            f"cpu{index}", now_ms, {"user_s": cpu.user, "system_s": cpu.system, "idle_s": cpu.idle}
        )
    memory = psutil.virtual_memory()
    yield _metric("memory", now_ms, {"total": memory.total, "available": memory.available})
    load = psutil.getloadavg()
    yield _metric("load", now_ms, {"1m": load[0], "5m": load[1], "15m": load[2]})
    for name, disk in (psutil.disk_io_counters(perdisk=True) or {}).items():
        yield _metric(
            f"disk/{name}", now_ms, {"read": disk.read_bytes, "written": disk.write_bytes}
        )
    for name, link in psutil.net_io_counters(pernic=True).items():
        if link.bytes_sent or link.bytes_recv:
            values = {"sent": link.bytes_sent, "received": link.bytes_recv}
            yield _metric(f"net/{name}", now_ms, values)


def _metric(name: str, time_ms: int, values: Mapping[str, float]) -> Event:
    document = {"metric": name, "time_ms": time_ms, **values}
    return Event(name.encode(), json.dumps(document).encode(), time_ms)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
