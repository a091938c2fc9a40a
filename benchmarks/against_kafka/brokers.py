"""The two brokers as processes with the same face: start, stop, kill."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from confluent_kafka import TopicPartition
from confluent_kafka.admin import OffsetSpec

from benchmarks.against_kafka.comparison import KAFKA, PYLOG
from pylog.bench.suite import Target, admin_of

API_VERSIONS_V0 = b"\0\0\0\x0e\0\x12\0\0\0\0\0\1\0\4ping"
LOOK_AGAIN_S = 0.02
# Of both: files of a deleted topic go away at once, so that a run leaves nothing behind.
COMMON = ("log.segment.delete.delay.ms=0",)


def free_port() -> int:
    """A port that nobody listens on, with the next one free as well (Kafka's controller)."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port


def await_first_answer(port: int, process: subprocess.Popen[bytes] | None = None) -> None:
    """Returns when an ApiVersions request is answered; raises when the process ends first."""
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                connection.sendall(API_VERSIONS_V0)
                if len(connection.recv(4)) == 4:
                    return
        except OSError:
            pass
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"the broker ended with {process.returncode}")
        time.sleep(0.001)


def rss_mb(pid: int) -> float:
    """Resident memory of a process in 10^6 bytes."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    match = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert match is not None
    return int(match[1]) * 1024 / 1e6


class Pylog:
    """``pylog serve`` of the environment that runs this."""

    def __init__(self, folder: Path, settings: Sequence[str] = (), name: str = PYLOG) -> None:
        self.name = name
        self.folder = folder
        self._settings = [*COMMON, *settings]
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Seconds from exec to the first answer."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command: list[str | Path] = [Path(sys.executable).with_name("pylog"), "serve"]
        command += ["--data-dir", self.folder / "data", "--listen", f"127.0.0.1:{self.port}"]
        for setting in self._settings:
            command += ["--set", setting]
        with (self.folder / "server.log").open("ab") as log:
            started = time.perf_counter()
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        await_first_answer(self.port, self._process)
        return time.perf_counter() - started

    @property
    def target(self) -> Target:
        assert self._process is not None
        return Target(self.name, "127.0.0.1", self.port, self._process.pid)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Sends the signal and waits for the end."""
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait()

    def kill(self) -> None:
        """Nothing of it runs afterwards, whatever state it was in."""
        if self._process is not None and self._process.poll() is None:
            self.stop(signal.SIGKILL)


class Kafka:
    """Apache Kafka by the script of the peers folder."""

    name = KAFKA

    def __init__(self, folder: Path, script: Path, settings: Sequence[str] = ()) -> None:
        self.folder = folder
        self._settings = [*COMMON, *settings]
        self._script = script
        self.port = free_port()

    def start(self) -> float:
        """Seconds from exec of the JVM to the first answer, as the script measures it."""
        command: list[str | Path] = [
            "bash",
            self._script,
            "start",
            self.folder,
            str(self.port),
            *self._settings,
        ]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        match = re.search(r"ready after (\d+) ms", output)
        assert match is not None, output
        return int(match[1]) / 1000

    @property
    def pid(self) -> int:
        return int((self.folder / "pid").read_text())

    @property
    def target(self) -> Target:
        return Target(self.name, "127.0.0.1", self.port, self.pid)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Sends the signal and waits for the end."""
        os.kill(self.pid, how)
        subprocess.run(["bash", self._script, "stop", self.folder], check=True)

    def kill(self) -> None:
        """Nothing of it runs afterwards, whatever state it was in."""
        with suppress(FileNotFoundError, ProcessLookupError):
            self.stop(signal.SIGKILL)

    def tool(self, java_class: str, *arguments: str) -> str:
        """Standard output of a Java tool of the distribution."""
        command: list[str | Path] = ["bash", self._script, "cli", java_class, *arguments]
        return str(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


Broker = Kafka | Pylog


def await_served(broker: Broker, topics: Sequence[str], partitions: int) -> None:
    """Until every partition tells its end offset: only then it can be written and read.

    A new client each time: librdkafka keeps the answer that a partition has no leader.
    """
    waiting = {TopicPartition(topic, index) for topic in topics for index in range(partitions)}
    while True:
        admin = admin_of("127.0.0.1", broker.port)
        futures = admin.list_offsets(dict.fromkeys(waiting, OffsetSpec.latest()))
        waiting = {partition for partition, future in futures.items() if future.exception(120)}
        if not waiting:
            return
        time.sleep(LOOK_AGAIN_S)
