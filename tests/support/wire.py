"""A client of bare messages: what a test sends is what it says, and answers come as messages."""

from __future__ import annotations

import itertools
import select
import socket
import struct
from typing import Any

from pylog.protocol.api_keys import API_KEYS, decode_response, encode_request
from pylog.protocol.message import Message

TIMEOUT_S = 30.0


class Closed(ConnectionError):
    """The broker has closed the connection."""


class Wire:
    """One connection. ``client_id`` goes with every request."""

    def __init__(
        self, bootstrap: str, client_id: str | None = "wire", timeout_s: float = TIMEOUT_S
    ) -> None:
        host, _, port = bootstrap.rpartition(":")
        self.client_id = client_id
        self._socket = socket.create_connection((host, int(port)), timeout=timeout_s)
        self._numbers = itertools.count(1)

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def ask(self, request: Message, version: int | None = None) -> Any:
        """The response, in the newest version unless told otherwise. Closed."""
        key = request.API_KEY
        version = API_KEYS[key].max_version if version is None else version
        number = self.send(request, version)
        got, response = decode_response(key, version, self.receive())
        assert got == number
        return response

    def send(self, request: Message, version: int) -> int:
        """Send without reading; returns the correlation id."""
        number = next(self._numbers)
        frame = encode_request(request.API_KEY, version, number, self.client_id, request)
        self.send_frame(frame)
        return number

    def send_frame(self, frame: bytes) -> None:
        """Send bytes behind their length."""
        try:
            self._socket.sendall(struct.pack(">i", len(frame)) + frame)
        except (BrokenPipeError, ConnectionResetError):
            raise Closed from None

    def receive(self) -> bytes:
        """The next frame without its length. Closed."""
        (length,) = struct.unpack(">i", self._read(4))
        return self._read(length)

    def _read(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            part = self._receive(count - len(data))
            if not part:
                raise Closed
            data += part
        return bytes(data)

    def has_something(self) -> bool:
        """Whether an answer, or the end of the connection, is there already."""
        return bool(select.select([self._socket], [], [], 0)[0])

    def is_closed_by_peer(self) -> bool:
        """Waits until the broker has closed the connection; bytes instead are an error."""
        try:
            return not self._receive(1)
        except Closed:
            return True

    def _receive(self, most: int) -> bytes:
        try:
            return self._socket.recv(most)
        except ConnectionResetError:
            raise Closed from None
