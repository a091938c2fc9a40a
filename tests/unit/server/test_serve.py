"""``pylog serve`` as a process: what it prints, how it ends, and with which exit code."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.wire import Wire
from tests.unit.apis.topics import make_topic, produce

from pylog.protocol.messages.metadata import MetadataRequest
from pylog.server.app import Exit

SERVE = [sys.executable, "-m", "pylog", "serve"]
TIMEOUT_S = 60


def failing(*arguments: str | Path, **environment: str) -> tuple[int, str]:
    """Exit code and stderr of a broker that does not start."""
    done = subprocess.run(
        [*SERVE, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        env=os.environ | environment,
        check=False,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


@contextmanager
def serving(*arguments: str | Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running broker, and the address that its one line tells."""
    command = [*SERVE, "--listen", "127.0.0.1:0", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as p:
        try:
            assert p.stdout is not None
            line = p.stdout.readline()
            match = re.fullmatch(r"pylog: listening on (127\.0\.0\.1:\d+)\n", line)
            assert match is not None, line
            yield p, match[1]
        finally:
            p.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_well(tmp_path: Path, unique: str, number: signal.Signals) -> None:
    with serving("--data-dir", tmp_path) as (process, address):
        with Wire(address) as wire:
            make_topic(wire, unique)
            produce(wire, unique, [1, 2, 3])
        process.send_signal(number)
        assert process.wait(TIMEOUT_S) == Exit.OK
        assert process.stdout is not None
        assert process.stdout.read() == ""
    assert (tmp_path / ".kafka_cleanshutdown").exists()
    checkpoint = (tmp_path / "recovery-point-offset-checkpoint").read_text()
    assert f"{unique} 0 3\n" in checkpoint


def test_it_uses_as_many_descriptors_as_it_may(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1] // 2, before[1]))
    try:
        with serving("--data-dir", tmp_path) as (process, _):
            assert resource.prlimit(process.pid, resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path, unique: str) -> None:
    with serving("--data-dir", tmp_path) as (process, address):
        with Wire(address) as wire:
            make_topic(wire, unique)
            produce(wire, unique, [1, 2, 3])
        process.kill()
        process.wait(TIMEOUT_S)
    with serving("--data-dir", tmp_path) as (_, address), Wire(address) as wire:
        assert produce(wire, unique, [4]) == 3


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        code, text = failing("--data-dir", tmp_path, "--listen", where)
    assert (code, text) == (
        Exit.CANNOT_LISTEN,
        f"pylog: can't listen on {where}: Address already in use\n",
    )


def test_a_taken_folder_is_told(tmp_path: Path) -> None:
    with serving("--data-dir", tmp_path):
        code, text = failing("--data-dir", tmp_path, "--listen", "127.0.0.1:0")
    assert code == Exit.FOLDER_TAKEN
    assert text == f"pylog: {tmp_path} is in use by another broker\n"


def test_a_folder_that_can_not_be_used_is_told(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    code, text = failing("--data-dir", file, "--listen", "127.0.0.1:0")
    assert code == Exit.FOLDER_UNUSABLE
    assert re.fullmatch(r"pylog: .*file.*\n", text)


def test_the_folder_of_another_node_is_told(tmp_path: Path) -> None:
    with serving("--data-dir", tmp_path):
        pass
    where = ["--data-dir", tmp_path, "--listen", "127.0.0.1:0"]
    code, text = failing(*where, "--set", "node.id=2")
    assert code == Exit.FOLDER_UNUSABLE
    assert "belongs to node 1" in text


def rewrite(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def of_another_cluster(data_dir: Path) -> str:
    meta = data_dir / "meta.properties"
    rewrite(meta, "cluster.id=", "cluster.id=AA")
    return "is of cluster AA"


def with_a_later_identity(data_dir: Path) -> str:
    rewrite(data_dir / "meta.properties", "version=1", "version=2")
    return "has version 2"


def with_a_later_log(data_dir: Path) -> str:
    rewrite(data_dir / "topic-0" / "partition.metadata", "version: 0", "version: 1")
    return "has version 1"


def with_later_metadata(data_dir: Path) -> str:
    database = sqlite3.connect(data_dir / "metadata.db")
    database.execute("PRAGMA user_version = 2")
    database.close()
    return "has version 2"


@pytest.mark.parametrize(
    "change", [of_another_cluster, with_a_later_identity, with_a_later_log, with_later_metadata]
)
def test_a_folder_of_another_cluster_or_of_the_future_is_told(
    tmp_path: Path, change: Callable[[Path], str]
) -> None:
    with serving("--data-dir", tmp_path) as (_, address), Wire(address) as wire:
        make_topic(wire, "topic")
    reason = change(tmp_path)
    code, text = failing("--data-dir", tmp_path, "--listen", "127.0.0.1:0")
    assert code == Exit.FOLDER_UNUSABLE
    assert reason in text
    assert text.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--set", "num.partitions=many"], "num.partitions"),
        (["--set", "num.partition=1"], "did you mean num.partitions"),
        (["--set", "num.partitions"], "NAME=VALUE"),
        (["--listen", "nowhere"], "HOST:PORT"),
        (["--set", "listeners=SSL://:1"], "SSL"),
        (["--config", "no-such-file.toml"], "no-such-file.toml"),
    ],
)
def test_a_wrong_setting_is_told_in_one_line(
    tmp_path: Path, arguments: list[str], reason: str
) -> None:
    code, text = failing("--data-dir", tmp_path / "data", *arguments)
    assert code == Exit.WRONG_SETTING
    assert text.startswith("pylog: ")
    assert text.count("\n") == 1
    assert reason in text
    assert not (tmp_path / "data").exists()


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(
    tmp_path: Path,
) -> None:
    file = tmp_path / "pylog.toml"
    file.write_text('"num.partitions" = 2\n"default.replication.factor" = 0\n')
    code, text = failing("-d", tmp_path, "-c", file, PYLOG_NUM_PARTITIONS="many")
    assert (code, "'many'" in text) == (Exit.WRONG_SETTING, True)
    arguments = ["-d", tmp_path, "-c", file, "-s", "num.partitions=1"]
    code, text = failing(*arguments, PYLOG_NUM_PARTITIONS="many")
    assert (code, "default.replication.factor" in text) == (Exit.WRONG_SETTING, True)


def test_nothing_that_a_broker_does_not_need_is_imported() -> None:
    script = "import sys, pylog.cli.serve, pylog.server.app; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    heavy = {"confluent_kafka", "rich", "numpy", "psutil", "tomllib", "http", "shutil"}
    assert heavy.isdisjoint(done.stdout.split())
    assert not [m for m in done.stdout.split() if m.startswith("pylog.coordinator.")]


def test_a_broker_that_is_told_a_path_makes_its_folders(tmp_path: Path) -> None:
    with serving("--data-dir", tmp_path / "a" / "b") as (_, address), Wire(address) as wire:
        assert wire.ask(MetadataRequest(topics=[])).cluster_id
