"""Which API keys a broker serves, asked over a plain socket."""

from __future__ import annotations

import socket
import struct

API_VERSIONS = 18
CORRELATION_ID = 7


def served_keys(address: str) -> frozenset[int]:
    """The keys that the broker at HOST:PORT tells in ApiVersions version 0."""
    host, _, port = address.rpartition(":")
    request = struct.pack(">hhih", API_VERSIONS, 0, CORRELATION_ID, -1)
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(struct.pack(">i", len(request)) + request)
        stream = connection.makefile("rb")
        (size,) = struct.unpack(">i", stream.read(4))
        body = stream.read(size)
    _, error, count = struct.unpack_from(">ihi", body)
    assert error == 0
    return frozenset(struct.unpack_from(">h", body, 10 + 6 * n)[0] for n in range(count))
