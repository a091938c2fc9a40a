"""What the peers folder holds: Apache Kafka, the other load generator, the server of the ceiling.

All of it is copied to a folder of our own first, built or fetched there on first use.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.against_kafka.brokers import free_port
from benchmarks.against_kafka.comparison import SINK
from pylog.bench.suite import Target

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT.parent / "shared" / "peers"
CACHE = ROOT / ".cache" / "peers"
# One record of 100 B that is fetched comes in an answer of this size.
ANSWER_BYTES = {"produce": 58, "fetch": 236}


@dataclass(frozen=True, slots=True)
class Generator:
    """The folder with `loadgen` and `sinkd`, built."""

    folder: Path

    def run(self, arguments: list[str], target: Target, topic: str) -> dict[str, float]:
        """The figures of its one line, by their names there."""
        mode, *options = arguments
        command: list[str | Path] = [
            self.folder / "loadgen",
            "-m",
            mode,
            "-h",
            target.host,
            "-p",
            str(target.port),
        ]
        command += ["-B", str(target.pid), "-t", topic, *options]
        line = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        pairs = (part.partition("=") for part in line.split())
        return {name: float(value) for name, _, value in pairs if name != "mode"}

    @contextmanager
    def sink(self, mode: str) -> Iterator[Target]:
        """A server that stores nothing and answers with as many bytes as a broker would."""
        port = free_port()
        process = subprocess.Popen(
            [self.folder / "sinkd", str(port), str(ANSWER_BYTES[mode])], stderr=subprocess.DEVNULL
        )
        try:
            _await_listener(port, process)
            yield Target(SINK, "127.0.0.1", port, process.pid, raw=True)
        finally:
            process.terminate()
            process.wait()


def _await_listener(port: int, process: subprocess.Popen[bytes]) -> None:
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if process.poll() is not None:
                raise
            time.sleep(0.005)


def prepare_generator(folder: Path | None) -> Generator | None:
    """None where there is none: then nothing is held against the ceiling."""
    source = folder or PEERS / "loadgen"
    if not source.is_dir():
        return None
    copy = CACHE / "loadgen"
    copy.mkdir(parents=True, exist_ok=True)
    for name in ("Makefile", "loadgen.c", "sinkd.c"):
        shutil.copyfile(source / name, copy / name)
    subprocess.run(["make", "-C", copy, "loadgen", "sinkd"], check=True, capture_output=True)
    return Generator(copy)


def prepare_kafka() -> Path:
    """The script that starts Apache Kafka, with its jars beside it."""
    script = CACHE / "apache-kafka.sh"
    if not (CACHE / "jars").is_dir():
        if not PEERS.is_dir():
            raise SystemExit(f"no {PEERS}: give the path of apache-kafka.sh with --kafka-script")
        CACHE.mkdir(parents=True, exist_ok=True)
        for name in ("apache-kafka.sh", "pom.xml", "log4j2.properties"):
            shutil.copyfile(PEERS / name, CACHE / name)
        subprocess.run(["bash", script, "get"], check=True)
    return script
