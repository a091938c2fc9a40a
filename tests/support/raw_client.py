"""One connection that speaks the protocol message by message, as no client library does."""

from __future__ import annotations

import socket
import struct
from typing import Any

from pylog.protocol.api_keys import decode_response, encode_request
from pylog.protocol.message import Message

TIMEOUT_S = 30.0


class RawClient:
    """Sends requests of any version and reads their answers, in order.

    ``send`` and ``receive`` may be called apart: then requests are in flight together.
    """

    def __init__(
        self, address: str, client_id: str | None = "raw", timeout_s: float = TIMEOUT_S
    ) -> None:
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout_s)
        self._client_id = client_id
        self._correlation_id = 0
        self._in_flight: list[tuple[int, int, int]] = []

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def call(self, message: Message, version: int) -> Any:
        self.send(message, version)
        return self.receive()

    def send(self, message: Message, version: int, *, answered: bool = True) -> None:
        """``answered=False`` for a Produce with acks 0."""
        key = type(message).API_KEY
        self._correlation_id += 1
        frame = encode_request(key, version, self._correlation_id, self._client_id, message)
        self.send_frame(frame)
        if answered:
            self._in_flight.append((key, version, self._correlation_id))

    def send_frame(self, frame: bytes) -> None:
        self._socket.sendall(struct.pack(">i", len(frame)) + frame)

    def receive(self) -> Any:
        """The message that answers the oldest request in flight."""
        key, version, expected_id = self._in_flight.pop(0)
        (length,) = struct.unpack(">i", self._read(4))
        correlation_id, message = decode_response(key, version, self._read(length))
        assert correlation_id == expected_id
        return message

    def is_closed_by_peer(self) -> bool:
        """Waits until the broker has closed the connection; bytes instead are an error."""
        try:
            return self._socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def _read(self, n: int) -> bytes:
        parts = []
        while n > 0:
            part = self._socket.recv(n)
            if not part:
                raise ConnectionError("closed by the broker")
            parts.append(part)
            n -= len(part)
        return b"".join(parts)
