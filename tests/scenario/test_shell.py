"""The shell commands against a broker, as a person and as a script use them."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pylog.testing import Broker

LINE = '10.0.0.{n} - - [17/May/2015:10:0{m}:03 +0000] "GET /page/{n} HTTP/1.1" 200 20 "-" "agent"\n'
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "web_activity.log.gz"


@pytest.fixture(scope="module")
def bootstrap() -> Iterator[str]:
    with Broker() as broker:
        yield broker.bootstrap


class Shell:
    """Runs ``pylog`` with PYLOG_BOOTSTRAP set; every test has topic names of its own."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self._environment = {"PYLOG_BOOTSTRAP": bootstrap, "PATH": "/usr/bin:/bin"}
        self.topic = prefix

    def run(self, *arguments: str, stdin: bytes = b"", fails: bool = False) -> Any:
        command = [sys.executable, "-m", "pylog", *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, env=self._environment)
        assert (done.returncode != 0) == fails, done.stderr.decode()
        return done

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json").stdout)


@pytest.fixture
def shell(bootstrap: str, request: pytest.FixtureRequest) -> Shell:
    return Shell(bootstrap, request.node.name.replace("[", "-").replace("]", ""))


def test_a_topic_is_created_changed_and_deleted(shell: Shell) -> None:
    shell.run("topic", "create", shell.topic, "-p", "2", "-c", "retention.ms=1000")
    again = shell.run("topic", "create", shell.topic, fails=True)
    assert b"TOPIC_ALREADY_EXISTS" in again.stderr
    shell.run("topic", "create", shell.topic, "--if-not-exists")
    shell.run("topic", "alter", shell.topic, "-p", "3", "--unset", "retention.ms",
              "-c", "cleanup.policy=compact")  # fmt: skip
    (described,) = shell.json("topic", "describe", shell.topic)
    assert len(described["partitions"]) == 3
    assert described["config"] == {"cleanup.policy": "compact"}
    assert {"topic": shell.topic, "partitions": 3} in shell.json("topic", "list")
    shell.run("topic", "delete", shell.topic)
    assert shell.topic not in {row["topic"] for row in shell.json("topic", "list")}


def test_lines_come_back_as_they_went_in(shell: Shell, tmp_path: Path) -> None:
    packed = tmp_path / "lines.gz"
    packed.write_bytes(gzip.compress(b"k1,one\nk2,two\n"))
    shell.run("topic", "create", shell.topic)
    shell.run("produce", shell.topic, str(packed), "-", "-K", ",", "-z", "lz4", stdin=b"k3,three")
    done = shell.run("consume", shell.topic, "--exit", "-K", ",")
    assert done.stdout == b"k1,one\nk2,two\nk3,three\n"


def test_json_records_survive_a_copy_to_another_topic(shell: Shell) -> None:
    copy = f"{shell.topic}-copy"
    for name in (shell.topic, copy):
        shell.run("topic", "create", name)
    shell.run("produce", shell.topic, "-K", ",", "-H", "h=v", "--null", "NULL",
              stdin=b"a,b\nNULL,c\nd,NULL\n")  # fmt: skip
    records = shell.run("consume", shell.topic, "--exit", "--json").stdout
    shell.run("produce", copy, "--json-records", stdin=records)
    copied = shell.run("consume", copy, "--exit", "--json").stdout
    assert copied.replace(copy.encode(), shell.topic.encode()) == records
    assert [json.loads(line)["key"] for line in records.splitlines()] == ["a", None, "d"]


def test_reading_can_start_at_an_offset_and_stop_after_a_count(shell: Shell) -> None:
    shell.run("topic", "create", shell.topic)
    shell.run("produce", shell.topic, stdin=b"0\n1\n2\n3\n")
    assert shell.run("consume", shell.topic, "-f", "1", "-n", "2").stdout == b"1\n2\n"
    assert shell.run("consume", shell.topic, "-f", "latest", "-e").stdout == b""
    later = shell.run("consume", shell.topic, "-f", "not-a-time", "-e", fails=True)
    assert b"no offset and no time" in later.stderr


def test_a_group_is_read_reset_and_deleted(shell: Shell) -> None:
    group = f"group-{shell.topic}"
    shell.run("topic", "create", shell.topic)
    shell.run("produce", shell.topic, stdin=b"a\nb\n")
    assert shell.run("consume", shell.topic, "-g", group, "-e").stdout == b"a\nb\n"
    described = shell.json("group", "describe", group)
    assert [row["lag"] for row in described["partitions"]] == [0]
    shell.run("group", "reset", group, "-t", shell.topic, "--to", "1")
    assert shell.run("consume", shell.topic, "-g", group, "-n", "1").stdout == b"b\n"
    shell.run("group", "delete", group)
    assert group not in {row["group"] for row in shell.json("group", "list")}


def test_nobody_at_the_address_is_one_clear_line(tmp_path: Path) -> None:
    done = Shell("127.0.0.1:1", "x").run("topic", "list", fails=True)
    assert done.stderr.decode().startswith("Error: no broker answers at 127.0.0.1:1")
    assert len(done.stderr.splitlines()) == 1


def test_the_demo_loses_nothing_and_keeps_order(shell: Shell, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text("".join(LINE.format(n=i % 7, m=i % 10) for i in range(1000)))
    activity = SHARED if SHARED.exists() else log
    document = shell.json("demo", "--activity", str(activity), "--seconds", "0.5")
    views, metrics = document["flow"]
    assert views["records in"] == views["records out"] == (10_000 if activity is SHARED else 1000)
    assert metrics["records in"] == metrics["records out"] > 0
    assert document["order_per_key_held"]
    assert document["problems"] == []
    assert sum(document["page_views_a_minute"].values()) == views["records in"]
    wire = {row["batches"]: row["wire bytes"] for row in document["variants"]}
    assert wire["1 MB, zstd"] < wire["up to 1 MB"] < wire["1 record a batch"]


def test_a_benchmark_writes_its_result_and_report(shell: Shell, tmp_path: Path) -> None:
    result, report = tmp_path / "r.json", tmp_path / "r.html"
    shell.run("bench", "--batch", "1,10", "--seconds", "0.2", "--warmup", "0.1", "--repeats", "1",
              "--json", str(result), "--html", str(report))  # fmt: skip
    cases = json.loads(result.read_text())["cases"]
    assert [case["load"]["batch_records"] for case in cases] == [1, 10]
    assert all(case["targets"]["pylog"]["median"]["records_per_s"] > 0 for case in cases)
    assert "<svg" in report.read_text()


@pytest.mark.parametrize("mode", ["produce", "fetch", "end-to-end"])
def test_every_mode_of_the_load_generator_counts_what_it_did(
    shell: Shell, bootstrap: str, mode: str
) -> None:
    rate = "500" if mode == "end-to-end" else "0"
    case = ["-t", f"here={bootstrap}", "--mode", mode, "--rate", rate, "--batch", "1"]
    timing = ["--seconds", "0.5", "--warmup", "0.2", "--repeats", "1"]
    done = shell.run("bench", *case, *timing, "--json", "-")
    (measured,) = json.loads(done.stdout)["cases"]
    median = measured["targets"]["here"]["median"]
    assert median["records_per_s"] > 100
    assert median["max_us"] >= median["p99_us"] >= median["p50_us"] > 0
