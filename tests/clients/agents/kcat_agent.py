"""The agent around kcat: a process a command, or a process that streams for as long as it reads."""

from __future__ import annotations

import re
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from tests.clients.agents.loop import HEARTBEAT_MS, Json, Refused, decode, record, serve

TIMEOUT_S = 60
# Where a record begins: partition, offset, time, sizes of key and value (-1: null), headers.
FORMAT = r"%p %o %T %K %S %h\n%k%s\n"
AT_END = {"earliest": "-2", "latest": "-1"}
DELIVERED = re.compile(rb"Message delivered to partition (\d+) \(offset (-?\d+)\)")
REBALANCED = re.compile(r"rebalanced .*?: (assigned|revoked): (.*)")
PARTITION = re.compile(r"(\S+) \[(\d+)\]")


def kcat(bootstrap: str, *arguments: str) -> list[str]:
    """The command line; the process ends with its parent, as threads of a killed client do."""
    return ["setpriv", "--pdeathsig", "KILL", "kcat", "-b", bootstrap, *arguments]


def run(command: list[str], stdin: bytes = b"") -> tuple[bytes, bytes]:
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=TIMEOUT_S, check=False)
    if done.returncode:
        raise Refused(None, done.stderr.decode(errors="replace"))
    return done.stdout, done.stderr


def is_plain(item: Json) -> bool:
    """Whether a record fits on a line: key, tab, value."""
    key, value = decode(item["key"]), decode(item["value"])
    special = any(mark in (key or b"") + (value or b"") for mark in (b"\n", b"\t"))
    return not (item["headers"] or special or not value or key == b"")


def read_record(stream: IO[bytes]) -> Json | None:
    head = stream.readline()
    if not head:
        return None
    partition, offset, timestamp, key, value, headers = head[:-1].split(b" ", 5)
    fields = [stream.read(int(size)) if int(size) >= 0 else None for size in (key, value)]
    stream.read(1)
    pairs = [pair.split(b"=", 1) for pair in headers.split(b",") if pair]
    named = [(name.decode(), data) for name, data in pairs]
    return record(int(partition), int(offset), int(timestamp), fields[0], fields[1], named)


class Stream:
    """One reading kcat. `records` grows until the process ends; `assignment` follows its group."""

    def __init__(self, command: list[str]) -> None:
        self.assignment: set[tuple[str, int]] = set()
        self.records: list[Json] = []
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self._threads = [threading.Thread(target=f) for f in (self._read, self._follow)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        for thread in self._threads:
            thread.join()
        self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        while found := read_record(self._process.stdout):
            self.records.append(found)

    def _follow(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if match := REBALANCED.search(line.decode(errors="replace")):
                named = {(topic, int(number)) for topic, number in PARTITION.findall(match[2])}
                gained = match[1] == "assigned"
                self.assignment = self.assignment | named if gained else self.assignment - named


class Reader:
    """What was read of a topic: a kcat for each partition."""

    def __init__(self, start: Callable[[int, str], Stream]) -> None:
        self._start = start
        self._streams: dict[int, Stream] = {}

    def begin(self, partition: int, at: str) -> None:
        if partition in self._streams:
            self._streams[partition].stop()
        self._streams[partition] = self._start(partition, at)

    def take(self, count: int) -> list[Json]:
        taken: list[Json] = []
        for stream in self._streams.values():
            ready = stream.records[: count - len(taken)]
            del stream.records[: len(ready)]
            taken += ready
        return taken

    def stop(self) -> None:
        for stream in self._streams.values():
            stream.stop()


class KcatAgent:
    def __init__(self) -> None:
        self.producers: dict[str, tuple[str, list[str]]] = {}
        self.consumers: dict[str, tuple[str, list[str], str | None]] = {}
        self.readers: dict[str, Reader] = {}
        self.members: dict[str, Stream] = {}

    def producer_open(
        self,
        handle: str,
        bootstrap: str,
        compression: str = "none",
        acks: int = -1,
        idempotent: bool = False,
        batch_bytes: int = 1_000_000,
    ) -> None:
        options = ["-z", compression, "-X", f"acks={acks}", "-X", f"batch.size={batch_bytes}"]
        options += ["-X", f"enable.idempotence={str(idempotent).lower()}"]
        self.producers[handle] = bootstrap, options

    def producer_send(self, handle: str, topic: str, records: list[Json]) -> list[list[int]]:
        bootstrap, options = self.producers[handle]
        base = kcat(bootstrap, "-P", "-t", topic, "-v", "-v", *options)
        if all(is_plain(item) for item in records):
            return self._send_lines(base, records)
        return [self._send_one(base, item) for item in records]

    def _send_lines(self, base: list[str], records: list[Json]) -> list[list[int]]:
        places: list[list[int]] = [[-1, -1]] * len(records)
        for partition in {item["partition"] for item in records}:
            chosen = [n for n, item in enumerate(records) if item["partition"] == partition]
            lines = [
                b"\t".join(decode(records[n][f]) or b"" for f in ("key", "value") if records[n][f])
                for n in chosen
            ]
            where = [] if partition is None else ["-p", str(partition)]
            _, log = run([*base, *where, "-K", "\t"], b"\n".join(lines) + b"\n")
            delivered = sorted((int(p), int(at)) for p, at in DELIVERED.findall(log))
            for n, place in zip(chosen, delivered, strict=True):
                places[n] = [-1, -1] if partition is None else list(place)
        return places

    def _send_one(self, base: list[str], item: Json) -> list[int]:
        command = [*base, "-p", str(item["partition"])]
        key, value = decode(item["key"]), decode(item["value"])
        for name, data in item["headers"]:
            command += ["-H", f"{name}={(decode(data) or b'').decode()}"]
        if value is None:
            _, log = run([*command, "-Z", "-K", "\t"], (key or b"") + b"\t\n")
        else:
            command += [] if key is None else ["-k", key.decode()]
            with tempfile.NamedTemporaryFile() as file:
                Path(file.name).write_bytes(value)
                _, log = run([*command, file.name])
        ((partition, offset),) = DELIVERED.findall(log)
        return [int(partition), int(offset)]

    def consumer_open(
        self,
        handle: str,
        bootstrap: str,
        group: str | None = None,
        instance: str | None = None,
        session_timeout_ms: int = 10_000,
        reset: str = "earliest",
    ) -> None:
        options = ["-E", "-u", "-f", FORMAT, "-X", f"auto.offset.reset={reset}"]
        if group is not None:
            options += ["-X", f"session.timeout.ms={session_timeout_ms}"]
            options += ["-X", f"heartbeat.interval.ms={HEARTBEAT_MS}"]
        if instance is not None:
            options += ["-X", f"group.instance.id={instance}"]
        self.consumers[handle] = bootstrap, options, group

    def consumer_assign(self, handle: str, topic: str, positions: dict[str, Any]) -> None:
        bootstrap, options, _ = self.consumers[handle]

        def start(partition: int, at: str) -> Stream:
            where = ["-C", "-t", topic, "-p", str(partition), "-o", at]
            return Stream(kcat(bootstrap, *where, *options))

        self.readers[handle] = reader = Reader(start)
        for name, at in positions.items():
            if at == "latest":  # resolved now, and not when the new process gets there
                at = self.offset(bootstrap, topic, int(name), "latest")
            reader.begin(int(name), "beginning" if at == "earliest" else str(at))

    def consumer_seek(self, handle: str, topic: str, partition: int, offset: int) -> None:
        self.readers[handle].begin(partition, str(offset))

    def consumer_read(self, handle: str, count: int, timeout_ms: int) -> list[Json]:
        records: list[Json] = []
        deadline = time.monotonic() + timeout_ms / 1000
        while len(records) < count and time.monotonic() < deadline:
            records += self.readers[handle].take(count - len(records))
            time.sleep(0.01)
        return records

    def consumer_subscribe(self, handle: str, topics: list[str]) -> None:
        bootstrap, options, group = self.consumers[handle]
        assert group is not None
        self.members[handle] = Stream(kcat(bootstrap, *options, "-G", group, *topics))

    def member_state(self, handle: str) -> Json:
        member = self.members[handle]
        count = len(member.records)
        taken = member.records[:count]
        del member.records[:count]
        return {"assignment": sorted(member.assignment), "records": taken}

    def member_commit(self, handle: str) -> None:
        """Nothing to ask for: kcat commits what it gave out when it leaves its group."""

    def close(self, handle: str) -> None:
        for open_handles in (self.members, self.readers):
            if handle in open_handles:
                open_handles.pop(handle).stop()

    def offset(self, bootstrap: str, topic: str, partition: int, at: str | int) -> int | None:
        place = f"{topic}:{partition}:{AT_END[at] if isinstance(at, str) else at}"
        found, _ = run(kcat(bootstrap, "-Q", "-t", place))
        offset = int(found.split()[-1])
        return None if offset < 0 else offset


if __name__ == "__main__":
    serve(KcatAgent(), lambda failure: None)
