"""Numbers out of OpenTelemetry's payloads, and refusals of what is none."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.telemetry.otlp_samples import (
    CUMULATIVE,
    GAUGE,
    HISTOGRAM,
    SUM,
    delta_sum,
    double,
    integer,
    metric,
    metrics_data,
    number,
    point,
    varint,
)

from pylog.telemetry import otlp
from pylog.telemetry.otlp import PayloadError, Point, read_metrics

SAMPLE = metrics_data(
    metric("gauge", GAUGE, point(integer(6, -7), {"b": "2", "a": "1"}), point(double(4, 0.5))),
    delta_sum("delta", 3),
    metric("total", SUM, point(integer(6, 9)), number(2, CUMULATIVE), number(3, 1)),
    metric("skipped", HISTOGRAM, point(double(4, 1))),
)


def test_gauges_and_sums_are_read() -> None:
    assert read_metrics(SAMPLE) == [
        Point("gauge", (("a", "1"), ("b", "2")), -7, delta=False, monotonic=False),
        Point("gauge", (), 0.5, delta=False, monotonic=False),
        Point("delta", (), 3, delta=True, monotonic=True),
        Point("total", (), 9, delta=False, monotonic=True),
    ]


def test_nothing_is_read_from_nothing() -> None:
    assert read_metrics(b"") == []


@pytest.mark.parametrize("length", range(1, len(SAMPLE)))
def test_a_cut_payload_is_refused(length: int) -> None:
    with pytest.raises(PayloadError):
        read_metrics(SAMPLE[:length])


@pytest.mark.parametrize("data", [b"\x0b", b"\x0a\xff\xff\xff\xff\x0f", b"\xff" * 11, varint(9)])
def test_malformed_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(PayloadError):
        read_metrics(data)


def test_too_many_points_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp, "MAX_POINTS", 3)
    with pytest.raises(PayloadError):
        read_metrics(SAMPLE)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(PayloadError):
        read_metrics(data)
