"""What the shell commands share."""

from __future__ import annotations

import gzip
from pathlib import Path

import click
import pytest

from pylog.cli import _client
from pylog.cli.bench import parse_target
from pylog.cli.produce import _LineParser


def test_times_without_a_zone_are_utc() -> None:
    assert _client.parse_time_ms("1970-01-01T00:00:01") == 1000
    assert _client.parse_time_ms("1970-01-01T01:00:01+01:00") == 1000
    assert _client.parse_time_ms("yesterday") is None


def test_a_pair_needs_a_name_and_a_sign() -> None:
    assert _client.parse_pairs(["a=b=c", "d="], "--config") == {"a": "b=c", "d": ""}
    with pytest.raises(click.BadParameter, match="NAME=VALUE"):
        _client.parse_pairs(["novalue"], "--config")


def test_packed_input_is_seen_by_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "no-suffix"
    path.write_bytes(gzip.compress(b"one\ntwo\n"))
    with _client.open_input(str(path)) as stream:
        assert list(stream) == [b"one\n", b"two\n"]


def test_a_key_ends_at_the_first_separator() -> None:
    parse = _LineParser(",", json_records=False, null_text="NULL")
    assert parse(b"k,a,b") == {"key": b"k", "value": b"a,b"}
    assert parse(b"k,NULL") == {"key": b"k", "value": None}
    with pytest.raises(click.ClickException, match="line 3"):
        parse(b"no separator")


def test_json_records_carry_bytes_that_are_no_text() -> None:
    parse = _LineParser(None, json_records=True, null_text=None)
    line = b'{"key": null, "value_base64": "/w==", "headers": [["h", "v"]], "timestamp_ms": 5}'
    assert parse(line) == {
        "key": None, "value": b"\xff", "headers": [("h", b"v")], "timestamp": 5,
    }  # fmt: skip
    with pytest.raises(click.ClickException, match="line 2: no JSON record"):
        parse(b"[1")


def test_a_bench_target_names_a_broker_and_perhaps_its_process() -> None:
    target = parse_target("kafka=localhost:9092@123")
    assert (target.name, target.host, target.port, target.pid) == ("kafka", "localhost", 9092, 123)
    assert parse_target("p=[::1]:1").pid == 0
    with pytest.raises(click.BadParameter):
        parse_target("localhost:9092")
