"""Brokers for tests: a `pylog serve` process of our own, or one that runs already.

`PYLOG_TEST_BROKER=kafka:HOST:PORT` names a running broker to test against instead of pylog.
`PYLOG_TEST_COMMAND` replaces what is started as `COMMAND serve --data-dir … --listen …`.
"""

from __future__ import annotations

import os
import re
import selectors
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 30.0
LISTENING = re.compile(r"listening on (\S+:\d+)")

# A group forms at once instead of after Kafka's 3 seconds, and locks of a share group may be short:
# tests wait for state, not for time.
QUICK_GROUPS = {
    "group.initial.rebalance.delay.ms": "0",
    "group.share.min.record.lock.duration.ms": "1000",
    "group.share.assignment.interval.ms": "0",
    "group.streams.initial.rebalance.delay.ms": "0",
    "group.streams.assignment.interval.ms": "0",
    "group.streams.heartbeat.interval.ms": "1000",
}


def running_broker() -> str | None:
    """HOST:PORT of the broker that PYLOG_TEST_BROKER names; None where pylog is to be started."""
    named = os.environ.get("PYLOG_TEST_BROKER")
    if not named:
        return None
    kind, _, address = named.partition(":")
    if kind != "kafka" or not re.fullmatch(r"\S+:\d+", address):
        raise ValueError(f"PYLOG_TEST_BROKER is not kafka:HOST:PORT: {named}")
    return address


class BrokerProcess:
    """One `pylog serve` over a data directory; a restart keeps the directory and the port."""

    def __init__(self, data_dir: Path, settings: Mapping[str, str] = QUICK_GROUPS) -> None:
        self.data_dir = data_dir
        self._settings = settings
        self._process: subprocess.Popen[str] | None = None
        self.address = "127.0.0.1:0"
        self.log_path = data_dir.parent / f"{data_dir.name}.log"

    def start(self) -> None:
        """Returns when the broker accepts connections; `address` is then its HOST:PORT."""
        with self.log_path.open("a") as log:
            self._process = subprocess.Popen(
                self._command(), stdout=subprocess.PIPE, stderr=log, text=True
            )
        self.address = self._await_listening()

    def terminate(self) -> int:
        """Asks for a clean stop (SIGTERM) and returns the exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        """Ends the broker as a crash does (SIGKILL)."""
        return self._end(signal.SIGKILL)

    def stop_if_running(self) -> None:
        if self.is_running():
            self.terminate()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _command(self) -> list[str]:
        default = shlex.join([sys.executable, "-m", "pylog"])
        command = shlex.split(os.environ.get("PYLOG_TEST_COMMAND", default))
        command += ["serve", "--data-dir", str(self.data_dir), "--listen", self.address]
        for name, value in self._settings.items():
            command += ["--set", f"{name}={value}"]
        return command

    def _await_listening(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        deadline = time.monotonic() + START_TIMEOUT_S
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while selector.select(max(0.0, deadline - time.monotonic())):
                line = self._process.stdout.readline()
                if match := LISTENING.search(line):
                    return match[1]
                if not line:
                    break
        self.kill()
        raise RuntimeError(f"the broker did not start:\n{self.log_path.read_text()[-4000:]}")

    def _end(self, number: signal.Signals) -> int:
        assert self._process is not None
        assert self._process.stdout is not None
        self._process.send_signal(number)
        try:
            code = self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        finally:
            self._process.stdout.close()
        return code
