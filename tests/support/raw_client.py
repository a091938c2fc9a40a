"""One connection with several requests in flight, as no client library has them."""

from __future__ import annotations

from typing import Any

from tests.support.wire import TIMEOUT_S, Wire

from pylog.protocol.api_keys import decode_response
from pylog.protocol.message import Message


class RawClient:
    """Sends requests of any version and reads their answers, in order.

    ``send`` and ``receive`` may be called apart: then requests are in flight together.
    """

    def __init__(
        self, address: str, client_id: str | None = "raw", timeout_s: float = TIMEOUT_S
    ) -> None:
        self._wire = Wire(address, client_id, timeout_s)
        self._in_flight: list[tuple[int, int, int]] = []
        self.close = self._wire.close
        self.send_frame = self._wire.send_frame
        self.is_closed_by_peer = self._wire.is_closed_by_peer

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(self, message: Message, version: int) -> Any:
        self.send(message, version)
        return self.receive()

    def send(self, message: Message, version: int, *, answered: bool = True) -> None:
        """``answered=False`` for a Produce with acks 0."""
        number = self._wire.send(message, version)
        if answered:
            self._in_flight.append((message.API_KEY, version, number))

    def receive(self) -> Any:
        """The message that answers the oldest request in flight. Closed."""
        key, version, expected_number = self._in_flight.pop(0)
        number, message = decode_response(key, version, self._wire.receive())
        assert number == expected_number
        return message
