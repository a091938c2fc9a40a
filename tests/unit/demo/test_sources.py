"""Where the demo's records come from."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from pylog.demo.sources import ActivityFile, find_activity, parse_view, sample_metrics

LINE = (
    b'83.149.9.216 - - [17/May/2015:10:05:03 +0000] "GET /images/a.png HTTP/1.1" 200 203023 '
    b'"http://example.org/" "Mozilla/5.0"'
)
SHARED = Path(__file__).resolve().parents[4] / "shared" / "data" / "web_activity.log.gz"


def test_a_line_of_an_access_log_names_visitor_time_and_path() -> None:
    view = parse_view(LINE)
    assert view is not None
    assert (view.visitor, view.path) == (b"83.149.9.216", b"/images/a.png")
    assert view.time_ms == 1431857103000


@pytest.mark.parametrize("line", [b"", b"hello", LINE.replace(b"May", b"Mai"), b"\xff\xfe"])
def test_any_other_line_is_no_view(line: bytes) -> None:
    assert parse_view(line) is None


def test_plain_and_packed_files_give_the_same_events(tmp_path: Path) -> None:
    text = LINE + b"\n" + b"kernel: something else\n"
    plain, packed = tmp_path / "a.log", tmp_path / "b.log.gz"
    plain.write_bytes(text)
    packed.write_bytes(gzip.compress(text))
    from_plain, from_packed = list(ActivityFile(plain)), list(ActivityFile(packed))
    assert [(e.key, e.value) for e in from_plain] == [(e.key, e.value) for e in from_packed]
    assert [e.key for e in from_plain] == [b"83.149.9.216", b"kernel:"]


def test_lines_that_are_no_views_are_counted_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"one\n\ntwo words\n")
    source = ActivityFile(path)
    assert [event.value for event in source] == [b"one", b"two words"]
    assert source.other_lines == 2


@pytest.mark.skipif(not SHARED.exists(), reason="the recording is not beside this clone")
def test_the_recorded_log_is_read_whole() -> None:
    source = ActivityFile(SHARED)
    events = list(source)
    assert len(events) == 10_000
    assert source.other_lines == 0
    assert len({event.key for event in events}) == 1_753


def test_metrics_of_this_host_are_json_keyed_by_metric() -> None:
    events = {event.key: json.loads(event.value) for event in sample_metrics()}
    assert events[b"memory"]["total"] > events[b"memory"]["available"] > 0
    assert b"cpu0" in events


def test_a_given_file_is_used_and_said(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_bytes(LINE)
    assert str(path) in find_activity(path, 1).describe()
