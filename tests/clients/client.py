"""The test's side of an agent: agents/README.md describes the commands that this sends."""

from __future__ import annotations

import base64
import itertools
import json
import os
import queue
import subprocess
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from tests.clients.kinds import ROOT, Kind
from tests.support.wait import wait_until

CALL_TIMEOUT_S = 90.0
READ_TIMEOUT_MS = 30_000

Position = int | str
_names = itertools.count()


class ClientError(Exception):
    """The client reported an error. `code` is Kafka's error code, None for one of its own."""

    def __init__(self, kind: str, code: int | None, text: str) -> None:
        super().__init__(f"{kind}: {text} (code {code})")
        self.code = code


@dataclass(frozen=True)
class Record:
    """A record as it is sent, or with an offset as it was read. Timestamp in ms since 1970."""

    value: bytes | None
    key: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    timestamp: int | None = None
    partition: int | None = 0
    offset: int | None = field(default=None, compare=False)

    def to_json(self) -> dict[str, Any]:
        return {
            "partition": self.partition,
            "timestamp": self.timestamp,
            "key": _encode(self.key),
            "value": _encode(self.value),
            "headers": [[name, _encode(data)] for name, data in self.headers],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Record:
        return cls(
            _decode(data["value"]),
            _decode(data["key"]),
            tuple((name, _decode(value)) for name, value in data["headers"]),
            data["timestamp"],
            data["partition"],
            data["offset"],
        )

    def without_timestamp(self) -> Record:
        return replace(self, timestamp=None)


class Agent:
    """The process of one agent; answers come back in the order of the calls."""

    def __init__(self, kind: Kind, log_path: Path) -> None:
        self.kind = kind
        self._log_path = log_path
        with log_path.open("a") as log:
            self._process = subprocess.Popen(
                kind.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=ROOT,
                env={**os.environ, "PYTHONWARNINGS": "ignore"},
            )
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def call(self, op: str, **arguments: Any) -> Any:
        """The result of one command. Raises ClientError, or RuntimeError where the agent ended."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"op": op, **arguments}) + "\n")
        self._process.stdin.flush()
        try:
            line = self._answers.get(timeout=CALL_TIMEOUT_S)
        except queue.Empty:
            self.kill()
            raise TimeoutError(f"{self.kind.name}: {op}: no answer; {self._tail()}") from None
        if not line:
            raise RuntimeError(f"{self.kind.name}: {op}: the agent ended; {self._tail()}")
        answer = json.loads(line)
        if "error" in answer:
            raise ClientError(self.kind.name, answer["error"]["code"], answer["error"]["text"])
        return answer["result"]

    def kill(self) -> None:
        """Ends the process as a crash does: members do not leave, sockets just close."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.kill()
        self._process.wait()
        self._reader.join()
        self._process.stdin.close()
        self._process.stdout.close()

    def is_running(self) -> bool:
        return self._process.poll() is None

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put("")

    def _tail(self) -> str:
        return self._log_path.read_text()[-2000:]


class Producer:
    def __init__(self, agent: Agent, bootstrap: str, **config: Any) -> None:
        self._agent, self._handle = agent, f"producer-{next(_names)}"
        agent.call("producer_open", handle=self._handle, bootstrap=bootstrap, **config)

    def send(self, topic: str, records: Iterable[Record]) -> list[tuple[int, int]]:
        """Partition and offset of each record once all are acknowledged."""
        items = [record.to_json() for record in records]
        acknowledged = self._call("producer_send", topic=topic, records=items)
        return [(partition, offset) for partition, offset in acknowledged]

    def begin(self) -> None:
        self._call("producer_begin")

    def commit(self) -> None:
        self._call("producer_commit")

    def abort(self) -> None:
        self._call("producer_abort")

    def send_offsets(self, member: Member) -> None:
        """Adds what `member` was given so far to the transaction."""
        self._call("producer_send_offsets", member=member.handle)

    def close(self) -> None:
        self._call("close")

    def _call(self, op: str, **arguments: Any) -> Any:
        return self._agent.call(op, handle=self._handle, **arguments)


class Reader:
    """A consumer of partitions that it was told to read; no group."""

    def __init__(self, agent: Agent, bootstrap: str, topic: str, **config: Any) -> None:
        self._agent, self._topic = agent, topic
        self._handle = f"reader-{next(_names)}"
        agent.call("consumer_open", handle=self._handle, bootstrap=bootstrap, **config)

    def assign(self, positions: dict[int, Position]) -> None:
        named = {str(partition): at for partition, at in positions.items()}
        self._call("consumer_assign", topic=self._topic, positions=named)

    def seek(self, offset: int, partition: int = 0) -> None:
        self._call("consumer_seek", topic=self._topic, partition=partition, offset=offset)

    def read(self, count: int, timeout_ms: int = READ_TIMEOUT_MS) -> list[Record]:
        """The next `count` records, fewer where the time ends first."""
        found = self._call("consumer_read", count=count, timeout_ms=timeout_ms)
        return [Record.from_json(item) for item in found]

    def close(self) -> None:
        self._call("close")

    def _call(self, op: str, **arguments: Any) -> Any:
        return self._agent.call(op, handle=self._handle, **arguments)


class Member:
    """A member of a group, polled by a thread of its agent. `records` has all that it was given."""

    def __init__(
        self, agent: Agent, bootstrap: str, group: str, topics: Sequence[str], **config: Any
    ) -> None:
        self.agent, self.handle = agent, f"member-{next(_names)}"
        self.records: list[Record] = []
        agent.call("consumer_open", handle=self.handle, bootstrap=bootstrap, group=group, **config)
        agent.call("consumer_subscribe", handle=self.handle, topics=list(topics))

    def assignment(self) -> set[tuple[str, int]]:
        state = self.agent.call("member_state", handle=self.handle)
        self.records += [Record.from_json(item) for item in state["records"]]
        return {(topic, partition) for topic, partition in state["assignment"]}

    def received(self) -> int:
        """How many records it was given so far."""
        self.assignment()
        return len(self.records)

    def commit(self) -> None:
        self.agent.call("member_commit", handle=self.handle)

    def close(self) -> None:
        self.agent.call("close", handle=self.handle)


class Client:
    """One client library at one broker."""

    def __init__(self, agent: Agent, bootstrap: str) -> None:
        self.agent, self.kind, self.bootstrap = agent, agent.kind, bootstrap

    @contextmanager
    def producer(self, **config: Any) -> Iterator[Producer]:
        producer = Producer(self.agent, self.bootstrap, **config)
        try:
            yield producer
        finally:
            _close(self.agent, producer)

    @contextmanager
    def reader(
        self, topic: str, positions: dict[int, Position] | None = None, **config: Any
    ) -> Iterator[Reader]:
        reader = Reader(self.agent, self.bootstrap, topic, **config)
        try:
            reader.assign(positions or {0: "earliest"})
            yield reader
        finally:
            _close(self.agent, reader)

    @contextmanager
    def member(self, group: str, *topics: str, **config: Any) -> Iterator[Member]:
        """A member that has left, unless its agent is gone, when the block ends."""
        member = Member(self.agent, self.bootstrap, group, topics, **config)
        try:
            yield member
        finally:
            _close(self.agent, member)

    def produce(
        self, topic: str, records: Iterable[Record], **config: Any
    ) -> list[tuple[int, int]]:
        with self.producer(**config) as producer:
            return producer.send(topic, records)

    def read(
        self, topic: str, count: int, positions: dict[int, Position] | None = None
    ) -> list[Record]:
        with self.reader(topic, positions) as reader:
            return reader.read(count)

    def admin(self, op: str, **arguments: Any) -> Any:
        """One of the commands that take no handle."""
        return self.agent.call(op, bootstrap=self.bootstrap, **arguments)

    def create_topic(self, topic: str, partitions: int = 1) -> str:
        """Returns the name once each partition answers: Kafka may need time, pylog must not."""
        self.admin("create_topic", topic=topic, partitions=partitions)
        for partition in range(partitions):
            probe = partial(self.offset, topic, "latest", partition)
            wait_until(lambda probe=probe: probe() is not None, ignoring=ClientError)
        return topic

    def offset(self, topic: str, at: Position, partition: int = 0) -> int | None:
        found: int | None = self.admin("offset", topic=topic, partition=partition, at=at)
        return found

    def committed(self, group: str, topic: str) -> dict[int, int]:
        found = self.admin("committed", group=group, topic=topic)
        return {int(partition): offset for partition, offset in found.items()}

    def group_state(self, group: str) -> tuple[str, int]:
        """State in capitals and number of members."""
        found = self.admin("group", group=group)
        return found["state"].upper(), found["members"]


def _close(agent: Agent, handle: Producer | Reader | Member) -> None:
    if agent.is_running():
        handle.close()


def _encode(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


def _decode(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)
