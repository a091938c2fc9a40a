"""Kafka Connect, distributed: lines of a file through a topic into a file, across a kill."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.clients.client import Client
from tests.clients.kinds import TOOLS
from tests.support.kafka import free_ports
from tests.support.wait import wait_until

LINES = 600
TIMEOUT_S = 60.0
FILES = "org.apache.kafka.connect.file.FileStream"
TEXT = "org.apache.kafka.connect.storage.StringConverter"


class Worker:
    """The only worker of a Connect cluster; what it knows of connectors is in the broker."""

    def __init__(self, bootstrap: str, name: str, folder: Path) -> None:
        [port] = free_ports(1)
        self._address = f"http://127.0.0.1:{port}"
        self._log_path = folder / "worker.log"
        self._properties = folder / "worker.properties"
        settings = {
            "bootstrap.servers": bootstrap,
            "listeners": self._address,
            "group.id": name,
            "session.timeout.ms": "6000",
            "heartbeat.interval.ms": "500",
            "scheduled.rebalance.max.delay.ms": "0",
            "consumer.session.timeout.ms": "6000",
            "key.converter": TEXT,
            "value.converter": TEXT,
            "offset.flush.interval.ms": "500",
            "exactly.once.source.support": "enabled",
        }
        for kind in ("config", "offset", "status"):
            settings[f"{kind}.storage.topic"] = f"{name}-{kind}"
            settings[f"{kind}.storage.replication.factor"] = "1"
        self._properties.write_text("".join(f"{n}={value}\n" for n, value in settings.items()))

    def start(self) -> None:
        """Returns when it has joined its group and answers."""
        command = [
            *("java", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx384m"),
            *("-cp", f"{TOOLS}/classes:{TOOLS}/connect/*"),
            "org.apache.kafka.connect.cli.ConnectDistributed",
            str(self._properties),
        ]
        with self._log_path.open("a") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until(lambda: self._ask("GET", "connectors") is not None, TIMEOUT_S, ignoring=OSError)

    def kill(self) -> None:
        """Ends it as a crash does."""
        self._process.kill()
        self._process.wait()

    def connect(self, name: str, **config: str) -> None:
        """Makes or changes a connector, once no rebalance forbids it; `_` stands for a dot."""
        named = {key.replace("_", "."): value for key, value in config.items()}
        put = partial(self._ask, "PUT", f"connectors/{name}/config", named)
        wait_until(put, TIMEOUT_S, ignoring=OSError)

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            f"{self._address}/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            return json.load(answer)


@pytest.fixture
def worker(bootstrap: str, unique: str, tmp_path: Path) -> Iterator[Worker]:
    worker = Worker(bootstrap, unique, tmp_path)
    worker.start()
    yield worker
    worker.kill()


def test_connect_carries_each_line_once_though_its_worker_is_killed(
    worker: Worker, admin: Client, topic: str, tmp_path: Path
) -> None:
    source, sink = tmp_path / "in.txt", tmp_path / "out.txt"
    lines = [f"line {number}\n" for number in range(LINES)]
    half = LINES // 2
    source.write_text("".join(lines[:half]))
    worker.connect(
        "source", connector_class=f"{FILES}SourceConnector", file=str(source), topic=topic
    )
    worker.connect("sink", connector_class=f"{FILES}SinkConnector", file=str(sink), topics=topic)
    wait_until(lambda: sink.exists() and sink.read_text() == source.read_text(), TIMEOUT_S)
    before = admin.offset(topic, "latest")
    with source.open("a") as more:
        more.writelines(lines[half:])
    wait_until(lambda: admin.offset(topic, "latest") != before)
    worker.kill()
    worker.start()
    wait_until(lambda: set(sink.read_text().splitlines(True)) == set(lines), TIMEOUT_S)
    with admin.reader(topic, isolation="read_committed") as reader:
        carried = [record.value.decode() + "\n" for record in reader.read(LINES)]
        assert carried == lines
        assert reader.read(1, timeout_ms=300) == []
