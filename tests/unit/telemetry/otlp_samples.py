"""MetricsData as a client would encode it: just enough protobuf to build samples."""

from __future__ import annotations

import struct
from collections.abc import Mapping

GAUGE, SUM, HISTOGRAM = 5, 7, 9
DELTA, CUMULATIVE = 1, 2


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def message(number: int, *parts: bytes) -> bytes:
    data = b"".join(parts)
    return varint(number << 3 | 2) + varint(len(data)) + data


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def double(field: int, value: float) -> bytes:
    return varint(field << 3 | 1) + struct.pack("<d", value)


def integer(field: int, value: int) -> bytes:
    return varint(field << 3 | 1) + struct.pack("<q", value)


def attribute(name: str, text: str) -> bytes:
    return message(7, message(1, name.encode()), message(2, message(1, text.encode())))


def point(value: bytes, attributes: Mapping[str, str] | None = None) -> bytes:
    labels = [attribute(*item) for item in (attributes or {}).items()]
    return message(1, *labels, integer(3, 1_700_000_000_000_000_000), value)


def metric(name: str, kind: int, *parts: bytes) -> bytes:
    return message(2, message(1, name.encode()), message(3, b"ms"), message(kind, *parts))


def metrics_data(*metrics: bytes) -> bytes:
    resource = message(1, message(1, message(1, b"service"), message(2, message(1, b"x"))))
    scope = message(2, message(1, message(1, b"scope")), *metrics)
    return message(1, resource, scope)


def delta_sum(name: str, value: float) -> bytes:
    return metric(name, SUM, point(double(4, value)), number(2, DELTA), number(3, 1))
