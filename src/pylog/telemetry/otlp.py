"""Reads the numbers out of OpenTelemetry's MetricsData, as clients push it (OTLP 1.0, protobuf).

Only what clients send is read: gauges and sums. Other kinds of metrics, and fields that are not
known, are skipped. Malformed input raises :class:`PayloadError`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

MAX_POINTS: Final = 10_000  # of one payload

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_DELTA: Final = 1
_DOUBLE: Final = struct.Struct("<d")
_SIGNED: Final = struct.Struct("<q")


class PayloadError(ValueError):
    """The bytes are no MetricsData."""


class Point(NamedTuple):
    """One number. ``delta``: it adds to what came before; ``monotonic``: it never falls."""

    name: str
    attributes: tuple[tuple[str, str], ...]  # sorted
    value: float
    delta: bool
    monotonic: bool


# A field's number and its value: an int for a varint, else its bytes.
_Field = tuple[int, "int | bytes"]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 64:
        if at >= len(data):
            raise PayloadError("cut varint")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise PayloadError("varint too long")


def _fields(data: bytes) -> Iterator[_Field]:
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind, size = tag & 7, 0
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield tag >> 3, value
            continue
        if kind == _LENGTH:
            size, at = _varint(data, at)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise PayloadError(f"wire type {kind}")
        if size > len(data) - at:
            raise PayloadError("cut field")
        yield tag >> 3, data[at : at + size]
        at += size


def _messages(data: bytes, number: int) -> Iterator[bytes]:
    return (value for field, value in _fields(data) if field == number and type(value) is bytes)


def _text(value: int | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _eight(value: int | bytes, form: struct.Struct) -> float:
    if not isinstance(value, bytes) or len(value) != 8:
        raise PayloadError("a number of eight bytes was expected")
    return float(form.unpack(value)[0])


def _any_value(data: bytes) -> str:
    """A string, bool, int or double (AnyValue 1 to 4) as text."""
    for field, value in _fields(data):
        if field == 4:
            return str(_eight(value, _DOUBLE))
        if field == 2:
            return "true" if value else "false"
        if field in (1, 3):
            return _text(value)
    return ""


def _attribute(data: bytes) -> tuple[str, str]:
    name = text = ""
    for field, value in _fields(data):
        if field == 1:
            name = _text(value)
        elif field == 2 and isinstance(value, bytes):
            text = _any_value(value)
    return name, text


class _Kind(NamedTuple):
    """Of a metric: its name, and how its numbers are to be understood."""

    name: str
    delta: bool
    monotonic: bool


def _point(data: bytes, kind: _Kind) -> Point | None:
    attributes: dict[str, str] = {}
    number: float | None = None
    for field, value in _fields(data):
        if field == 4:
            number = _eight(value, _DOUBLE)
        elif field == 6:
            number = _eight(value, _SIGNED)
        elif field == 7 and isinstance(value, bytes):
            attributes.update([_attribute(value)])
    if number is None:
        return None
    return Point(kind.name, tuple(sorted(attributes.items())), number, kind.delta, kind.monotonic)


def _metric(data: bytes) -> Iterator[Point]:
    name, numbers, is_sum = "", b"", False
    for field, value in _fields(data):
        if field == 1:
            name = _text(value)
        elif field in (5, 7) and isinstance(value, bytes):
            numbers, is_sum = value, field == 7
    settings = {field: value for field, value in _fields(numbers) if isinstance(value, int)}
    kind = _Kind(name, is_sum and settings.get(2) == _DELTA, is_sum and bool(settings.get(3)))
    for item in _messages(numbers, 1):
        point = _point(item, kind)
        if point is not None:
            yield point


def read_metrics(data: bytes) -> list[Point]:
    """All numbers of a payload; PayloadError when it is malformed or has too many."""
    points: list[Point] = []
    for resource in _messages(data, 1):
        for scope in _messages(resource, 2):
            for metric in _messages(scope, 2):
                points += _metric(metric)
                if len(points) > MAX_POINTS:
                    raise PayloadError("too many points")
    return points
